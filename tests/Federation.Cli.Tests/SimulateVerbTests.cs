using System.Text.Json;

namespace Federation.Cli.Tests;

/// <summary><c>fed simulate</c> as its users type it.</summary>
public sealed class SimulateVerbTests : IDisposable
{
    private const string Spec = """
        name: tried
        model: { kind: mlp, hidden: [16] }
        rounds: 4
        seed: 5
        cohort: { minContributors: 3, count: 10, deadline: 10m }
        local: { optimizer: { kind: sgd, learningRate: 0.2 }, batchSize: 5 }
        secureAggregation: none
        privacy: none
        simulation:
          clients: 100
          dropout: 0.1
          evaluateEvery: 2
          checkpointEvery: 20
          data: { kind: synthetic, examples: 1000, testExamples: 200, classes: 3, shape: [10], separation: 2 }
        """;

    private readonly Workspace _workspace = new();

    public void Dispose() => _workspace.Dispose();

    [Fact]
    public async Task Simulate_ASpec_WritesFiguresCurveAndPage()
    {
        FedResult result = await RunAsync(Spec, "--json", "--workers", "2", "--out", "a");

        Assert.Equal(0, result.ExitCode);
        await OutputSchema.AssertValidAsync("simulate", result.Output);
        JsonElement one = result.Json.GetProperty("simulations")[0].GetProperty("result");
        Assert.Equal((4, "none"), (one.GetProperty("completedRounds").GetInt32(), one.GetProperty("secureAggregation").GetString()));
        Assert.True(one.GetProperty("accuracy").GetDouble() > 0.5);
        Assert.InRange(result.ErrorLines.Length, 1, 20);
        string folder = result.Json.GetProperty("folder").GetString()!;
        Assert.Equal(5, File.ReadAllLines(Path.Combine(folder, "rounds.csv")).Length);
        Assert.Equal([0x89, (byte)'P', (byte)'N', (byte)'G'], File.ReadAllBytes(Path.Combine(folder, "accuracy.png"))[..4]);
        Assert.Contains("data:image/png;base64,", File.ReadAllText(Path.Combine(folder, "index.html")), StringComparison.Ordinal);
        Assert.Equal(one.GetRawText().Length > 0, JsonDocument.Parse(File.ReadAllText(Path.Combine(folder, "metrics.json"))).RootElement.GetProperty("modelSha256").GetString() == one.GetProperty("modelSha256").GetString());
    }

    [Fact]
    public async Task Simulate_KilledAndResumed_MakesTheSameModel()
    {
        string spec = Spec.Replace("rounds: 4", "rounds: 600", StringComparison.Ordinal);
        FedResult whole = await RunAsync(spec, "--json", "--workers", "2", "--out", "whole");
        await using (Fed fed = Fed.Start(_workspace.Folder, ["simulate", "run.yaml", "--workers", "2", "--out", "killed"]))
        {
            string checkpoint = _workspace["killed/checkpoint/checkpoint.json"];
            for (var clock = System.Diagnostics.Stopwatch.StartNew(); !File.Exists(checkpoint) && clock.Elapsed < TimeSpan.FromMinutes(2);) await Task.Yield();
            Assert.True(File.Exists(checkpoint));
            await fed.KillAsync();
        }

        FedResult resumed = await RunAsync(spec, "--json", "--workers", "1", "--out", "killed", "--resume");
        Assert.Equal(Sha256(whole), Sha256(resumed));
        Assert.InRange(resumed.Json.GetProperty("simulations")[0].GetProperty("result").GetProperty("clientRounds").GetInt64(), 0, 600 * 10 - 200); // it did not begin anew
        FedResult other = await RunAsync(spec.Replace("seed: 5", "seed: 6", StringComparison.Ordinal), "--json", "--out", "killed", "--resume");
        Assert.Equal(2, other.ExitCode);
        Assert.Contains("another spec", other.Error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Sweep_OfEpsilon_GivesTableAndPlot()
    {
        string spec = Spec.Replace("privacy: none", "privacy: { unit: record, clip: 1, noiseMultiplier: auto, samplingRate: 0.5, steps: 2, delta: 1e-5, maxEpsilon: 1 }", StringComparison.Ordinal);
        FedResult result = await RunAsync(spec, "--json", "--out", "s", "--sweep", "privacy.maxEpsilon=1,8,none");
        Assert.Equal((0, 3), (result.ExitCode, result.Json.GetProperty("simulations").GetArrayLength()));
        await OutputSchema.AssertValidAsync("simulate", result.Output);
        double[] epsilons = [.. result.Json.GetProperty("simulations").EnumerateArray().Take(2).Select(entry => entry.GetProperty("result").GetProperty("privacy").GetProperty("epsilon").GetDouble())];
        Assert.InRange(epsilons[0], 0.9, 1);
        Assert.InRange(epsilons[1], 7.5, 8);
        Assert.Equal(JsonValueKind.Null, result.Json.GetProperty("simulations")[2].GetProperty("result").GetProperty("privacy").ValueKind);
        Assert.True(File.Exists(_workspace["s/sweep.png"]));
        Assert.Equal(4, File.ReadAllLines(_workspace["s/sweep.csv"]).Length);
    }

    [Theory]
    [InlineData("clients: 100", "clients: 2000", "simulation.partition", 10)]
    [InlineData("dropout: 0.1", "dropuot: 0.1", "simulation.dropuot", 11)]
    [InlineData("minContributors: 3, count: 10", "minContributors: 3, count: 1000", "cohort.count", 5)]
    public async Task Simulate_AMistake_IsNamedByFileLineAndField(string right, string wrong, string field, int line)
    {
        FedResult result = await RunAsync(Spec.Replace(right, wrong, StringComparison.Ordinal), "--json", "--out", "b");
        Assert.Equal((2, ""), (result.ExitCode, result.Output));
        JsonElement error = JsonDocument.Parse(result.ErrorLines[0]).RootElement.GetProperty("error");
        Assert.Equal((field, line, "run.yaml"), (error.GetProperty("field").GetString(), error.GetProperty("line").GetInt32(), error.GetProperty("file").GetString()));
        Assert.False(Directory.Exists(_workspace["b"]));
    }

    private static string Sha256(FedResult result) => result.Json.GetProperty("simulations")[0].GetProperty("result").GetProperty("modelSha256").GetString()!;

    private Task<FedResult> RunAsync(string spec, params string[] args)
    {
        _workspace.Write("run.yaml", spec);
        return Fed.RunAsync(_workspace.Folder, ["simulate", "run.yaml", .. args]);
    }
}
