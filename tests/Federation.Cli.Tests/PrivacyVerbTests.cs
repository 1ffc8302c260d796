using System.Globalization;
using System.Text.Json;
using CsCheck;
using Federation.Privacy.Accounting;
using Federation.Privacy.Ledger;

namespace Federation.Cli.Tests;

public sealed class PrivacyVerbTests : IDisposable
{
    // The list of the published contract.
    private const string Events = """
        [ {"mechanism":"gaussian","noiseMultiplier":1.1,"samplingRate":0.01,"count":1000},
          {"mechanism":"laplace","scale":20,"sensitivity":1,"samplingRate":1,"count":3},
          {"mechanism":"discrete-gaussian","variance":100,"sensitivity":10,"count":5},
          {"mechanism":"discrete-laplace","parameter":0.5,"sensitivity":1,"count":10} ]
        """;

    private readonly Workspace _workspace = new();

    public void Dispose() => _workspace.Dispose();

    [Theory]
    [InlineData("pld")]
    [InlineData("rdp")]
    [InlineData("rdp-continuous")]
    public async Task Epsilon_EventList_AnswersByTheContract(string accountant)
    {
        _workspace.Write("events.json", Events);

        FedResult result = await FedAsync("privacy", "epsilon", "--delta", "1e-5", "--accountant", accountant, "--events", "events.json", "--json");

        Assert.Equal((0, ""), (result.ExitCode, result.Error));
        Assert.Equal(["epsilon", "delta", "accountant", "events"], result.Json.EnumerateObject().Select(field => field.Name));
        Assert.Equal((1e-5, accountant, 4), (result.Json.GetProperty("delta").GetDouble(), result.Json.GetProperty("accountant").GetString(), result.Json.GetProperty("events").GetInt32()));
        await OutputSchema.AssertValidAsync("privacy-epsilon", result.Output);
        FedResult same = await Fed.RunAsync(_workspace.Folder, ["privacy", "epsilon", "--delta", "1e-5", "--accountant", accountant, "--events", "-", "--json"], input: Events);
        Assert.Equal(result.Output, same.Output);
    }

    [Fact]
    public async Task Epsilon_WithoutNoise_IsInfinityAndSaysSo()
    {
        FedResult json = await FedAsync("privacy", "epsilon", "--delta", "1e-5", "--noise-multiplier", "0", "--json"), text = await FedAsync("privacy", "epsilon", "--delta", "1e-5", "--noise-multiplier", "0");
        Assert.Equal(0, json.ExitCode);
        Assert.Equal("Infinity", json.Json.GetProperty("epsilon").GetString());
        Assert.StartsWith("ε = ∞: something is released without noise", text.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Batch_WithBadCases_AnswersTheOthersInOrderAndExitsWith1()
    {
        string[] lines =
        [
            """{"id":1,"delta":1e-5,"accountant":"pld","events":[{"mechanism":"gaussian","noiseMultiplier":1,"samplingRate":0.01,"count":100}]}""",
            """{"id":"two","delta":1e-5,"accountant":"plt","events":[]}""",
            """{"id":3,"delta":2,"accountant":"rdp","events":[]}""",
            """{"id":4,"delta":1e-5,"accountant":"rdp","events":[{"mechanism":"gaussian","noiseMultiplier":-1}]}""",
            """{"id":5,"delta":1e-5,"accountant":"rdp","events":[{"mechanism":"gaussian","noiseMultiplier":0}]}""",
            "nonsense",
            """{"id":7,"delta":1e-5,"accountant":"rdp","extra":0,"events":[]}""",
            """{"id":8,"delta":1e-5,"accountant":"rdp","events":[{"mechanism":"gaussian","noiseMultiplier":1,"count":9223372036854775807},{"mechanism":"gaussian","noiseMultiplier":1,"count":9223372036854775807}]}""",
            """{"id":9,"delta":1e-5,"accountant":"rdp","relation":"replace-one","events":[{"mechanism":"gaussian","noiseMultiplier":1,"samplingRate":0.5}]}""",
            """{"id":10,"delta":1e-5,"accountant":"rdp","events":[]}""",
        ];
        _workspace.Write("cases.jsonl", string.Join('\n', lines) + "\n");

        FedResult result = await FedAsync("privacy", "epsilon", "--batch", "cases.jsonl", "--json");

        Assert.Equal((1, ""), (result.ExitCode, result.Error));
        JsonElement[] answers = [.. result.OutputLines.Select(line => JsonDocument.Parse(line).RootElement)];
        Assert.Equal(lines.Length, answers.Length);
        foreach (string line in result.OutputLines) await OutputSchema.AssertValidAsync("privacy-epsilon", line);
        Assert.Equal(["id", "epsilon"], answers[0].EnumerateObject().Select(field => field.Name));
        foreach ((int index, string complaint) in (IEnumerable<(int, string)>)[(1, "Did you mean 'pld'?"), (2, "δ = 2"), (3, "events[0].noiseMultiplier: -1 is not possible"), (5, "no JSON"), (6, "extra"), (7, "9.2e18"), (8, "ReplaceOne")])
        {
            Assert.Equal(["id", "error"], answers[index].EnumerateObject().Select(field => field.Name));
            Assert.Contains(complaint, answers[index].GetProperty("error").GetString(), StringComparison.Ordinal);
        }

        Assert.Equal("two", answers[1].GetProperty("id").GetString());
        Assert.Equal("Infinity", answers[4].GetProperty("epsilon").GetString());
        Assert.Equal(0, answers[9].GetProperty("epsilon").GetDouble());
    }

    [Fact]
    public async Task Calibrate_WhicheverIsLeftOut_IsFound()
    {
        FedResult noise = await FedAsync("privacy", "calibrate", "--epsilon", "2", "--delta", "1e-5", "--sampling-rate", "0.01", "--steps", "1000", "--accountant", "pld", "--json");
        await OutputSchema.AssertValidAsync("privacy-calibrate", noise.Output);
        Assert.Equal("noiseMultiplier", Assert.Single(noise.Json.EnumerateObject()).Name);
        double sigma = noise.Json.GetProperty("noiseMultiplier").GetDouble();
        Assert.InRange(sigma, 0.9590, 0.9593);

        string text = sigma.ToString("R", CultureInfo.InvariantCulture);
        FedResult steps = await FedAsync("privacy", "calibrate", "--epsilon", "2", "--delta", "1e-5", "--sampling-rate", "0.01", "--noise-multiplier", text, "--json");
        Assert.InRange(steps.Json.GetProperty("steps").GetInt64(), 1000, 1001);
        FedResult rate = await FedAsync("privacy", "calibrate", "--epsilon", "2", "--delta", "1e-5", "--steps", "1000", "--noise-multiplier", text, "--json");
        Assert.InRange(rate.Json.GetProperty("samplingRate").GetDouble(), 0.00999, 0.01001);
    }

    [Fact]
    public async Task Plan_ATarget_GivesTheNoiseAndNineChoices()
    {
        FedResult json = await FedAsync("privacy", "plan", "--epsilon", "3", "--examples", "6000", "--batch-size", "200", "--epochs", "5", "--delta", "1e-5", "--json"), text = await FedAsync("privacy", "plan", "--epsilon", "3", "--examples", "6000", "--batch-size", "200", "--epochs", "5");
        Assert.Equal((0, ""), (json.ExitCode, json.Error));
        await OutputSchema.AssertValidAsync("privacy-plan", json.Output);
        Assert.Equal(150, json.Json.GetProperty("choice").GetProperty("steps").GetInt32());
        Assert.Equal(8, json.Json.GetProperty("nearby").GetArrayLength());
        Assert.Contains("chosen", text.Output, StringComparison.Ordinal);
        Assert.Contains("δ is a tenth of 1/6000", text.Output, StringComparison.Ordinal);
        double sigma = json.Json.GetProperty("choice").GetProperty("noiseMultiplier").GetDouble();
        Assert.InRange(new PldAccountant().AtDelta([new RepeatedEvent(new GaussianEvent(sigma, 1.0 / 30), 150)], 1e-5, NeighboringRelation.AddOrRemoveOne).Epsilon, 2.99, 3);
    }

    [Theory]
    [InlineData("bad.json:3: events[0].noisMultiplier: This is no known field", "[\n {\"mechanism\":\"gaussian\",\n \"noisMultiplier\":1}]")]
    [InlineData("Did you mean 'noiseMultiplier'?", "[\n {\"mechanism\":\"gaussian\",\n \"noisMultiplier\":1}]")]
    [InlineData("bad.json:2: events[1].count: ", "[{\"mechanism\":\"gaussian\",\"noiseMultiplier\":1},\n{\"mechanism\":\"gaussian\",\"noiseMultiplier\":1,\"count\":0}]")]
    [InlineData("bad.json:2: events[1].samplingRate: 1.5 is not possible", "[{\"mechanism\":\"gaussian\",\"noiseMultiplier\":1},\n{\"mechanism\":\"gaussian\",\"noiseMultiplier\":1,\"samplingRate\":1.5}]")]
    [InlineData("bad.json:1: events[0].sensitivity: The field sensitivity is missing", "[{\"mechanism\":\"laplace\",\"scale\":1}]")]
    [InlineData("bad.json:1: events[0].mechanism: \"gausian\" is no known mechanism", "[{\"mechanism\":\"gausian\"}]")]
    [InlineData("bad.json:2: This is no JSON", "[{\"mechanism\":\n")]
    [InlineData("bad.json:1: events: This is {}", "{}")]
    [InlineData("bad.json:1: events[0].noiseMultiplier: \"1\" is no finite number", "[{\"mechanism\":\"gaussian\",\"noiseMultiplier\":\"1\"}]")]
    public async Task Epsilon_WrongEventFile_NamesLineAndField(string expected, string json)
    {
        _workspace.Write("bad.json", json);

        FedResult result = await FedAsync("privacy", "epsilon", "--delta", "1e-5", "--events", "bad.json");

        Assert.Equal((2, ""), (result.ExitCode, result.Output));
        Assert.Contains(expected, Assert.Single(result.ErrorLines), StringComparison.Ordinal);
    }

    [Fact] // any bytes: an answer or one line
    public async Task Epsilon_DamagedEventFile_NeverFaults()
    {
        List<string> cases = [];
        Check.Sample(Gen.Select(Gen.Int[0, Events.Length - 1], Gen.Int[0, 12], Gen.Char[' ', '~'].Array[0, 4]), ((int At, int Length, char[] Fresh) damage) =>
        {
            string events = Events.ReplaceLineEndings(" ");
            lock (cases) cases.Add($"{{\"id\":0,\"delta\":1e-5,\"accountant\":\"rdp\",\"events\":{events[..damage.At]}{new string(damage.Fresh)}{events[Math.Min(events.Length, damage.At + damage.Length)..]}}}");
        }, iter: 500);
        _workspace.Write("cases.jsonl", string.Join('\n', cases));
        FedResult result = await FedAsync("privacy", "epsilon", "--batch", "cases.jsonl", "--json");
        Assert.True(result.ExitCode is 0 or 1, result.Error);
        Assert.Equal(cases.Count, result.OutputLines.Length);
        Assert.DoesNotContain("fault", result.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task LedgerVerbs_OnALedger_ShowVerifyExportImportAndReport()
    {
        WriteLedger("ledger.db", rounds: 20, new(3, 1e-5));

        FedResult list = await FedAsync("privacy", "ledger", "ledger.db", "--records", "--json"), text = await FedAsync("privacy", "ledger", "ledger.db");
        await OutputSchema.AssertValidAsync("privacy-ledger", list.Output);
        Assert.Contains("verifies", text.Output, StringComparison.Ordinal);
        FedResult verify = await FedAsync("privacy", "verify", "ledger.db");
        Assert.Equal(0, verify.ExitCode);
        Assert.Contains("none missing", verify.Output, StringComparison.Ordinal);

        FedResult export = await FedAsync("privacy", "ledger", "ledger.db", "--export", "heart.jsonl"), import = await FedAsync("privacy", "ledger", "copy.db", "--import", "heart.jsonl", "--json");
        Assert.Equal((0, 0), (export.ExitCode, import.ExitCode));
        await OutputSchema.AssertValidAsync("privacy-ledger", import.Output);
        Assert.Equal(0, (await FedAsync("privacy", "verify", "copy.db")).ExitCode);
        File.WriteAllText(_workspace["heart.jsonl"], File.ReadAllText(_workspace["heart.jsonl"]).Replace("\"round\":3", "\"round\":4", StringComparison.Ordinal));
        FedResult tampered = await FedAsync("privacy", "ledger", "other.db", "--import", "heart.jsonl");
        Assert.Equal(2, tampered.ExitCode);
        Assert.Contains("was edited", Assert.Single(tampered.ErrorLines), StringComparison.Ordinal);

        FedResult report = await FedAsync("privacy", "report", "ledger.db", "-o", "report.html"), json = await FedAsync("privacy", "report", "ledger.db", "--json");
        Assert.Equal((0, ""), (report.ExitCode, report.Error));
        await OutputSchema.AssertValidAsync("privacy-report", json.Output);
        Assert.InRange(json.Json.GetProperty("epsilon").GetDouble() + json.Json.GetProperty("remaining").GetDouble(), 2.999, 3.001);
        Assert.InRange(json.Json.GetProperty("attack").GetProperty("success").GetDouble(), 0.5, 0.9);
        string page = File.ReadAllText(_workspace["report.html"]);
        Assert.Contains("<svg", page, StringComparison.Ordinal);
        Assert.Contains("&lt;b&gt;run", page, StringComparison.Ordinal); // what comes from the ledger is encoded
        Assert.DoesNotContain("<b>run", page, StringComparison.Ordinal);
        Assert.DoesNotContain("http", page, StringComparison.Ordinal); // needs nothing from elsewhere
    }

    [Fact] // figures that hold against everybody but the recipient say so
    public async Task Report_OfUpdatesWhoseNoiseTheRecipientAdds_SaysAgainstWhomNothingHolds()
    {
        WriteLedger("own.db", rounds: 2, budget: null);
        WriteLedger("central.db", rounds: 2, budget: null, Release.EntrustedUpdate);
        foreach (string file in (string[])["own", "central"]) Assert.Equal(0, (await FedAsync("privacy", "report", $"{file}.db", "-o", $"{file}.html")).ExitCode);
        Assert.DoesNotContain("without noise", File.ReadAllText(_workspace["own.html"]), StringComparison.Ordinal);
        string page = File.ReadAllText(_workspace["central.html"]);
        Assert.Contains("against that recipient, and whoever reads its files, there is <strong>no differential privacy</strong>", page, StringComparison.Ordinal);
        Assert.Contains($"<td class=\"short\">{Release.EntrustedUpdate}</td>", page, StringComparison.Ordinal);
        Assert.Contains(Release.EntrustedUpdate, (await FedAsync("privacy", "ledger", "central.db", "--records")).Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task LedgerVerbs_DamagedLedger_SaySoInOneLineAndExitWith1()
    {
        WriteLedger("ledger.db", rounds: 3, budget: null);
        byte[] bytes = File.ReadAllBytes(_workspace["ledger.db"]);
        File.WriteAllBytes(_workspace["cut.db"], bytes[..(bytes.Length / 2)]);
        _workspace.Write("text.db", "no ledger at all");
        foreach (string file in (string[])["cut.db", "text.db"])
        {
            foreach (string verb in (string[])["verify", "ledger", "report"])
            {
                FedResult result = await FedAsync("privacy", verb, file);
                Assert.Equal(1, result.ExitCode);
                Assert.Contains(file, Assert.Single(result.ErrorLines), StringComparison.Ordinal);
                Assert.DoesNotContain("fault", result.Error, StringComparison.Ordinal);
            }
        }

        FedResult gone = await FedAsync("privacy", "verify", "gone.db");
        Assert.Equal(2, gone.ExitCode);
        Assert.Equal("error: gone.db: There is no such ledger. Name the file, or the node's state folder with --state.", Assert.Single(gone.ErrorLines));
    }

    [Theory]
    [InlineData("--delta: δ = 1.5 is not possible", "privacy", "epsilon", "--noise-multiplier", "1", "--delta", "1.5")]
    [InlineData("--delta: δ = NaN is not possible", "privacy", "epsilon", "--noise-multiplier", "1", "--delta", "NaN")]
    [InlineData("--noise-multiplier: '1,5' is not possible", "privacy", "epsilon", "--noise-multiplier", "1,5", "--delta", "1e-5")]
    [InlineData("--sampling-rate: '0,01' is not possible", "privacy", "calibrate", "--epsilon", "2", "--delta", "1e-5", "--steps", "10", "--sampling-rate", "0,01")]
    [InlineData("--steps: '1.000' is not possible", "privacy", "epsilon", "--noise-multiplier", "1", "--delta", "1e-5", "--steps", "1.000")]
    [InlineData("--delta: '0x10' is not possible", "privacy", "epsilon", "--noise-multiplier", "1", "--delta", "0x10")]
    [InlineData("--steps and --events exclude each other", "privacy", "epsilon", "--events", "x", "--delta", "1e-5", "--steps", "5")]
    [InlineData("--examples: 9223372036854775807 is not possible", "privacy", "plan", "--epsilon", "1", "--examples", "9223372036854775807", "--batch-size", "20", "--epochs", "1")]
    [InlineData("--delta is missing", "privacy", "epsilon", "--noise-multiplier", "1")]
    [InlineData("There are no events.", "privacy", "epsilon", "--delta", "1e-5")]
    [InlineData("exclude each other", "privacy", "epsilon", "--delta", "1e-5", "--events", "x", "--noise-multiplier", "1")]
    [InlineData("--accountant: 'pdl' is no accountant. Did you mean 'pld'?", "privacy", "epsilon", "--delta", "1e-5", "--noise-multiplier", "1", "--accountant", "pdl")]
    [InlineData("--steps: 0 is not possible", "privacy", "epsilon", "--delta", "1e-5", "--noise-multiplier", "1", "--steps", "0")]
    [InlineData("--sampling-rate: 0 is not possible", "privacy", "epsilon", "--delta", "1e-5", "--noise-multiplier", "1", "--sampling-rate", "0")]
    [InlineData("--epsilon: ε = 0 is not possible", "privacy", "calibrate", "--epsilon", "0", "--delta", "1e-5", "--steps", "1", "--sampling-rate", "1")]
    [InlineData("Give exactly two of", "privacy", "calibrate", "--epsilon", "1", "--delta", "1e-5", "--steps", "1")]
    [InlineData("--batch-size: A batch of 20 is more than the 10 records.", "privacy", "plan", "--epsilon", "1", "--examples", "10", "--batch-size", "20", "--epochs", "1")]
    public async Task Privacy_WrongUsage_SaysItInOneLineAndExitsWith2(string expected, params string[] args)
    {
        FedResult result = await FedAsync(args);

        Assert.Equal((2, ""), (result.ExitCode, result.Output));
        Assert.Contains(expected, Assert.Single(result.ErrorLines), StringComparison.Ordinal);
    }

    private Task<FedResult> FedAsync(params string[] args) => Fed.RunAsync(_workspace.Folder, args);

    private void WriteLedger(string file, int rounds, PrivacyBudget? budget, string purpose = "update")
    {
        using var ledger = PrivacyLedger.Open(_workspace[file], "heart-disease", new(PrivacyUnit.Record, NeighboringRelation.AddOrRemoveOne), TimeProvider.System);
        if (budget is not null) ledger.SetBudget(budget);
        for (int round = 1; round <= rounds; round++)
        {
            long reservation = ledger.Reserve(new Release("<b>run", round, purpose, "coordinator.example.org:8443", [new RepeatedEvent(new GaussianEvent(1.1, 0.02), 10)]));
            if (round != 5) ledger.Commit(reservation, "coordinator.example.org:8443", ledger.Head, new string('a', 64));
        }
    }
}
