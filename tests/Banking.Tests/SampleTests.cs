using System.Diagnostics;
using System.Net;
using System.Text.Json;
using Federation.Formats.Models;
using Federation.Samples.Banking.Data;
using NJsonSchema;

namespace Federation.Samples.Banking.Tests;

/// <summary>The sample's real run: six processes, mutual TLS, five banks. Real customers where the data is there; made-up ones otherwise, in the same form.</summary>
public sealed class SampleTests
{
    private static readonly string[] s_banks = [.. Bank.All.Select(bank => bank.Name)];

    [Fact] // by default: encrypted, and differentially private with ε ≤ 3
    public async Task Sample_RealCustomers_IsPrivateAndGoodAndWritesWhatItPromises()
    {
        string data = TestData.FolderWith("credit-default");
        using var sample = new Sample("banking");
        SampleResult result = await sample.RunAsync(["--json", "--seed", "43"], ("FED_DATA", data));
        JsonElement metrics = await CheckedAsync(result);
        Assert.Equal(result.OutputLines[0], File.ReadAllText(sample.Output("metrics.json")).Trim());
        Assert.Equal("uci", metrics.GetProperty("dataSource").GetString());
        JsonElement federated = metrics.GetProperty("federated");
        // Five seeds: samples/banking/README.md. Noise is nobody's seed; the ranges are several times as wide as what it moved. The commoner class: 0.771.
        Assert.InRange(federated.GetProperty("pooledAccuracy").GetDouble(), 0.785, 0.83);
        Assert.InRange(federated.GetProperty("pooledAuc").GetDouble(), 0.74, 0.80);
        Assert.InRange(federated.GetProperty("pooledBalancedAccuracy").GetDouble(), 0.55, 0.75);
        Assert.Equal(metrics.GetProperty("modelSha256").GetString(), ModelState.Read(sample.Output("model.safetensors")).Sha256);
        Assert.Equal([0x89, (byte)'P', (byte)'N', (byte)'G'], File.ReadAllBytes(sample.Output("accuracy.png"))[..4]);

        JsonElement privacy = metrics.GetProperty("privacy");
        Assert.Equal(("record", "shared", 1e-5), (privacy.GetProperty("unit").GetString(), privacy.GetProperty("noise").GetString(), privacy.GetProperty("delta").GetDouble()));
        Assert.InRange(privacy.GetProperty("epsilonAgainstCoalition").GetDouble(), 2.9, 3);
        Assert.All(privacy.GetProperty("epsilonBySite").EnumerateObject(), site => Assert.InRange(site.Value.GetDouble(), 1.5, 2.9));
        SamplePrivacy.AssertSound(metrics, s_banks);
        SamplePrivacy.AssertFiled(sample, s_banks, "Gaussian noise");
        JsonElement secure = metrics.GetProperty("secureAggregation");
        Assert.Equal((4, 5, metrics.GetProperty("rounds").GetInt32()), (secure.GetProperty("threshold").GetInt32(), secure.GetProperty("committee").GetInt32(), secure.GetProperty("openedRounds").GetInt32()));
        string report = WebUtility.HtmlDecode(File.ReadAllText(sample.Output("report.html")));
        Assert.Contains("any 4 of 5 banks", report, StringComparison.Ordinal);
        Assert.Contains("with noise, for 50 rounds of 1 step, each row drawn with probability 0.2; only updates", report, StringComparison.Ordinal);
        Assert.Contains("own model of its own rows alone, without differential privacy, for 20 rounds of 1 epoch.", report, StringComparison.Ordinal);
        Assert.Contains("whether a customer's record was used costs at most ε =", report, StringComparison.Ordinal);
        Assert.Contains("Always naming the commoner class", report, StringComparison.Ordinal);
        Assert.DoesNotContain("hospital", report, StringComparison.OrdinalIgnoreCase);
    }

    [Fact] // The whole program without data: a server that lies, so made-up customers and loud words; without privacy
    public async Task Sample_WithoutRealData_GoesOnWithSyntheticCustomersAndSaysSo()
    {
        using var sample = new Sample("banking");
        await using FileServer server = await FileServer.StartAsync(_ => "not the file"u8.ToArray());
        SampleResult result = await sample.RunAsync(["--no-privacy"], NoData(sample, server));
        Assert.Equal((0, ""), (result.ExitCode, result.Error));
        Assert.Contains("SYNTHETIC CUSTOMERS", result.OutputLines[0]);
        Assert.Contains("UCI_Credit_Card.csv has SHA-256", result.OutputLines[0]);
        Assert.InRange(result.OutputLines.Length, 10, 40);
        Assert.Equal(7, result.OutputLines.Count(line => line.StartsWith('│'))); // heading, banks, all: no row is wrapped
        Assert.StartsWith("Verdict:", result.OutputLines[^1]);
        Assert.Contains("made-up customers", result.OutputLines[^1]);
        JsonElement metrics = await CheckedAsync(File.ReadAllText(sample.Output("metrics.json")).Trim());
        Assert.Equal(("synthetic", JsonValueKind.Null), (metrics.GetProperty("dataSource").GetString(), metrics.GetProperty("privacy").ValueKind));
        Assert.InRange(metrics.GetProperty("federated").GetProperty("pooledAuc").GetDouble(), 0.72, 0.79);
        string report = File.ReadAllText(sample.Output("report.html"));
        Assert.Contains("Synthetic customers", report, StringComparison.Ordinal);
        Assert.Contains("No differential privacy.", report, StringComparison.Ordinal);
        string filed = Assert.Single(result.OutputLines, line => line.StartsWith("Privacy reports", StringComparison.Ordinal));
        Assert.EndsWith(Path.Combine("out", "banking", "privacy", "below-50k.html") + ", from-50k.html, from-100k.html, from-200k.html, from-300k.html", filed, StringComparison.Ordinal);
        SamplePrivacy.AssertFiled(sample, s_banks, "without noise");
        Assert.Empty(sample.Leftovers);
    }

    [Theory]
    [InlineData("--epsilo", "Did you mean '--epsilon'?")]
    [InlineData("--flamby ranges", "'--flamby' is no option")]
    [InlineData("--secure-aggregation none", "too little")]
    [InlineData("--no-privacy --noise own", "Leave out one or the other")]
    public async Task Sample_WrongFlag_SaysWhatIsRightAndExitsWith2(string args, string says)
    {
        using var sample = new Sample("banking");
        SampleResult result = await sample.RunAsync(args.Split(' '));
        Assert.Equal((2, ""), (result.ExitCode, result.Output));
        Assert.Contains(says, Assert.Single(result.Error.Trim().Split('\n')));
    }

    [Fact]
    public async Task Sample_Interrupted_ExitsWith130AndLeavesNeitherProcessesNorFiles()
    {
        if (!OperatingSystem.IsLinux()) Assert.Skip("Children are found in /proc.");
        using var sample = new Sample("banking");
        await using FileServer server = await FileServer.StartAsync(_ => "not the file"u8.ToArray());
        using Process process = await sample.StartRoundsAsync([], NoData(sample, server));
        IReadOnlyList<Process> children = Sample.ChildrenOf(process);
        Assert.Equal(6, children.Count);
        await Sample.SignalAsync(process, "INT");
        await process.WaitForExitAsync(TestContext.Current.CancellationToken);
        Assert.Equal(130, process.ExitCode);
        foreach (Process child in children) await child.WaitForExitAsync(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(20));
        Assert.Empty(sample.Leftovers);
    }

    private static (string Name, string Value)[] NoData(Sample sample, FileServer server) =>
        [("FED_DATA", sample.Folder), ("FED_CACHE", Path.Combine(sample.Folder, "cache")), ("FED_DOWNLOAD_BASE", server.Address.ToString())];

    private static async Task<JsonElement> CheckedAsync(SampleResult result)
    {
        Assert.True(result.ExitCode == 0, result.Error);
        return await CheckedAsync(Assert.Single(result.OutputLines));
    }

    private static async Task<JsonElement> CheckedAsync(string document)
    {
        JsonSchema schema = await JsonSchema.FromFileAsync(Path.Combine(AppContext.BaseDirectory, "banking-metrics.schema.json"));
        Assert.Empty(schema.Validate(document));
        return JsonDocument.Parse(document).RootElement;
    }
}
