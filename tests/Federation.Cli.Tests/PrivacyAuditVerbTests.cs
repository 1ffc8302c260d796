using System.Text.Json;
using Federation.Cli.Results;
using Federation.Cli.Terminal;
using Federation.Cli.Verbs;

namespace Federation.Cli.Tests;

public sealed class PrivacyAuditVerbTests : IDisposable
{
    private const string Private = """
        name: demo
        data: { schema: demo.schema.yaml }
        model: { kind: logistic }
        task: { kind: binary-classification, label: disease }
        rounds: 4
        seed: 42
        cohort: { sites: all, minContributors: 3, deadline: 1m }
        local: { optimizer: { kind: sgd, learningRate: 0.2 }, batchSize: 16 }
        privacy: { unit: record, clip: 0.5, noiseMultiplier: auto, maxEpsilon: 3, samplingRate: 0.25, delta: 1e-5, noise: own, steps: 4 }
        """;

    private readonly Workspace _workspace = new();

    public PrivacyAuditVerbTests()
    {
        _workspace.WriteTable("table.csv", 7);
        _workspace.Write("private.yaml", Private);
        _workspace.Write("seeded.yaml", Private.Replace("delta:", "insecureSeededNoise: true, delta:", StringComparison.Ordinal));
        string wide = Private.Replace("noise: own, steps: 4", "noise: shared", StringComparison.Ordinal).Replace("logistic", "mlp, hidden: [100, 100]", StringComparison.Ordinal);
        _workspace.Write("coarse.yaml", wide + "\nsecureAggregation: { kind: threshold-bfv, bits: 6 }");
        _workspace.Write("fine.yaml", wide.Replace("minContributors: 3", "minContributors: 50000", StringComparison.Ordinal) + "\nsecureAggregation: { kind: threshold-bfv, bits: 24 }");
        _workspace.Write("shared.yaml", Private.Replace("noise: own, steps: 4", "noise: shared", StringComparison.Ordinal));
    }

    public void Dispose() => _workspace.Dispose();

    [Theory] // confidence 0.99999: a false alarm in one run of 100,000
    [InlineData("private.yaml", "own", 0)]
    [InlineData("shared.yaml", "shared", 1)]
    public async Task Audit_HonestRun_HoldsAndFitsItsSchema(string spec, string noise, int colluding)
    {
        FedResult result = await FedAsync("privacy", "audit", spec, "--data", "table.csv", "--canaries", "400", "--confidence", "0.99999", "--json");

        Assert.Equal((0, ""), (result.ExitCode, result.Error));
        await OutputSchema.AssertValidAsync("privacy-audit", result.Output);
        JsonElement json = result.Json;
        Assert.Equal((noise, colluding, true), (json.GetProperty("noise").GetString(), json.GetProperty("maxColluding").GetInt32(), json.GetProperty("holds").GetBoolean()));
        Assert.InRange(json.GetProperty("upperBound").GetDouble(), 2.9, 3);
        Assert.InRange(json.GetProperty("lowerBound").GetDouble(), 0, 3);
        Assert.Equal("one-run", Assert.Single(json.GetProperty("attacks").EnumerateArray()).GetProperty("attack").GetString());
    }

    [Fact]
    public async Task Audit_BothAttacks_SaysWhatItShows()
    {
        string[] args = ["privacy", "audit", "private.yaml", "--data", "table.csv", "--attack", "both", "--runs", "30", "--canaries", "200", "--confidence", "0.99999"];
        FedResult text = await FedAsync(args), json = await FedAsync([.. args, "--json"]);

        Assert.Equal((0, 0), (text.ExitCode, json.ExitCode));
        await OutputSchema.AssertValidAsync("privacy-audit", json.Output);
        Assert.Equal(["one-run", "lira"], json.Json.GetProperty("attacks").EnumerateArray().Select(attack => attack.GetProperty("attack").GetString()));
        Assert.Contains("it is no proof of privacy", text.Output, StringComparison.Ordinal);
        Assert.Contains("nothing was released and no budget spent", text.Output, StringComparison.Ordinal);
        Assert.Contains("200 canaries in one run", text.Output, StringComparison.Ordinal);
        Assert.InRange(text.ErrorLines.Length, 1, 20); // progress
    }

    [Theory]
    [InlineData("private.yaml", 4, 0.0, "ε is at least 4, and the accountant says at most 3")]
    [InlineData("private.yaml", 2, 0.001, "780 of 1000 canaries were guessed right, where the accountant allows 640 on average")]
    public void Conclude_RefutedClaim_SaysSoAndIsExitCode1(string run, double lower, double pValue, string expected)
    {
        using var said = new StringWriter();
        AuditAttack attack = new("one-run", 1, lower, false) { Canaries = 1000, CorrectOfAll = 780, ExpectedOfAll = 640, PValue = pValue };
        PrivacyAuditResult result = new(run, "table.csv", 60, 4, "record", "add-or-remove-one", "own", 0, 1e-5, 0.95, "pld", 3, lower, false, [attack], "");
        Assert.Equal(1, PrivacyAuditVerb.Conclude(new Output(false, TextWriter.Null, said, false), result));
        Assert.Contains(expected, said.ToString(), StringComparison.Ordinal);
        Assert.Contains("one honest run in 20", said.ToString(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("privacy: The run has no differential privacy: there is no claim to audit.", "run.yaml", "--data", "table.csv")]
    [InlineData("privacy.insecureSeededNoise: The run's noise follows from its seed and protects nobody: there is no claim to audit.", "seeded.yaml", "--data", "table.csv")]
    [InlineData("--attack: 'onerun' is no attack. Did you mean 'one-run'?", "private.yaml", "--data", "table.csv", "--attack", "onerun")]
    [InlineData("--canaries: 3 is not possible. 16 to 100000 is right.", "private.yaml", "--data", "table.csv", "--canaries", "3")]
    [InlineData("--canaries: lira attacks one record", "private.yaml", "--data", "table.csv", "--attack", "lira", "--canaries", "300")]
    [InlineData("--runs: one-run is one run.", "private.yaml", "--data", "table.csv", "--runs", "300")]
    [InlineData("--confidence: A confidence of 1 is not possible.", "private.yaml", "--data", "table.csv", "--confidence", "1")]
    [InlineData("privacy.noise: With 9000 canaries the model would be encoded in another way", "shared.yaml", "--data", "table.csv", "--canaries", "9000")]
    [InlineData("coarse.yaml:10: secureAggregation.bits: 6 bits do not carry the 10901 values of the model in a sum over 3 sites: One site's noise", "coarse.yaml", "--data", "table.csv", "--attack", "lira")]
    [InlineData("are needed. 11 to 24 are right here.", "coarse.yaml", "--data", "table.csv")]
    [InlineData("fine.yaml:9: privacy.noiseMultiplier: No number of bits carries the 10901 values of the model with this noise in a sum over 50000 sites: 24 bits a value do not fit", "fine.yaml", "--data", "table.csv", "--attack", "lira")]
    [InlineData("none.csv", "private.yaml", "--data", "none.csv")]
    public async Task Audit_WrongInput_SaysItInOneLineAndExitsWith2(string expected, params string[] args)
    {
        FedResult result = await FedAsync(["privacy", "audit", .. args]);

        Assert.Equal((2, ""), (result.ExitCode, result.Output));
        Assert.Contains(expected, Assert.Single(result.ErrorLines), StringComparison.Ordinal);
    }

    private Task<FedResult> FedAsync(params string[] args) => Fed.RunAsync(_workspace.Folder, args);
}
