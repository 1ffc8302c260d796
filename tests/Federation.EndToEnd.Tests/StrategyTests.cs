using Federation.Client;
using Federation.Formats.Models;
using Federation.Server.Strategies;
using Federation.V1;
using Grpc.Core;

namespace Federation.EndToEnd.Tests;

/// <summary>Strategies in real runs: what they keep outlives the coordinator, and goes with the run.</summary>
public sealed class StrategyTests
{
    private static readonly string[] s_sites = ["a", "b", "c", "d", "e"];

    [Theory] // two rounds with the mean 0.5 from 0, by hand: m = 0.05, v = 0.0124, 0.0236569; m = 0.095, v = 0.014776, + 0.1·0.095/(0.1215566 + 0.1)
    [InlineData("none")]
    [InlineData("threshold-bfv")]
    public async Task Run_WithFedAdam_KeepsItsMomentsOverARestart(string secure)
    {
        await using TestFederation federation = await TestFederation.StartAsync();
        using var gate = new GatedLearner(new WeightyLearner(0.5f, 3), heldRound: 2);
        string spec = OneVector.Spec(rounds: 2, least: 3, secure) + "\nstrategy: { kind: fedadam, tau: 0.1 }";
        List<Task<NodeOutcome>> nodes = await StartAsync(federation, site => site == "a" ? gate : new WeightyLearner(0.5f, 10));
        string run = await federation.SubmitAsync(spec, "", OneVector.Initial(10));
        await gate.Started;
        string kept = Assert.Single(Directory.EnumerateFiles(Path.Combine(federation.State, "strategies", run)));
        Assert.Equal(("1", 10 * 2 * sizeof(float)), (Path.GetFileName(kept), new FileInfo(kept).Length));
        await federation.RestartCoordinatorAsync();
        gate.Release();
        NodeOutcome[] outcomes = await Task.WhenAll(nodes);
        Assert.All(outcomes, outcome => Assert.Equal(("completed", 2), (outcome.State, outcome.Rounds)));
        Assert.All(ModelOf(federation, run), value => Assert.Equal(0.0236569 + 0.0428782, value, 1e-4));
        Assert.False(Directory.Exists(Path.Combine(federation.State, "strategies", run)));
    }

    [Fact] // four move by 0.5 and one by −1000: Krum goes by the four, and says whom it followed
    public async Task Run_WithKrum_IsNotMovedByOneThatLies()
    {
        await using TestFederation federation = await TestFederation.StartAsync();
        string spec = OneVector.Spec(rounds: 1, least: 5) + "\nstrategy: { kind: krum }";
        List<Task<NodeOutcome>> nodes = await StartAsync(federation, site => new WeightyLearner(site == "b" ? -1000 : 0.5f, site == "b" ? 1_000_000ul : 7));
        string run = await federation.SubmitAsync(spec, "", OneVector.Initial(10));
        RunEvent told = await federation.WaitForAsync(run, "opened", happened => happened.Message.Contains("kept", StringComparison.Ordinal));
        Assert.Equal("Round 1: the updates of a were kept.", told.Message);
        await Task.WhenAll(nodes);
        Assert.All(ModelOf(federation, run), value => Assert.Equal(0.5f, value, 1e-6));
    }

    [Fact]
    public async Task Run_WithAStrategyOfOnesOwn_GoesByIt()
    {
        await using TestFederation federation = await TestFederation.StartAsync(strategies: new Dictionary<string, Func<IReadOnlyDictionary<string, double>, Strategy>> { ["scaled"] = numbers => new Scaled(numbers["factor"]) });
        List<Task<NodeOutcome>> nodes = await StartAsync(federation, _ => new WeightyLearner(0.5f, 7));
        string own = OneVector.Spec(rounds: 1, least: 5, "threshold-bfv") + "\nstrategy: { kind: custom, name: scaled, parameters: { factor: 0.25 } }";
        RpcException unknown = await Assert.ThrowsAsync<RpcException>(() => federation.SubmitAsync(own.Replace("name: scaled", "name: scaledd", StringComparison.Ordinal), "", OneVector.Initial(10)));
        Assert.Equal(StatusCode.InvalidArgument, unknown.StatusCode);
        Assert.Contains("no strategy 'scaledd'", unknown.Status.Detail, StringComparison.Ordinal);
        string run = await federation.SubmitAsync(own, "", OneVector.Initial(10));
        await Task.WhenAll(nodes);
        Assert.All(ModelOf(federation, run), value => Assert.Equal(0.125f, value, 1e-4));
    }

    private static async Task<List<Task<NodeOutcome>>> StartAsync(TestFederation federation, Func<string, Federation.Learning.ILocalLearner> learnerOf)
    {
        List<Task<NodeOutcome>> nodes = [];
        foreach (string site in s_sites)
        {
            await federation.EnrollAsync(site);
            nodes.Add(federation.RunNodeAsync(site, learnerOf(site)));
        }

        return nodes;
    }

    private static float[] ModelOf(TestFederation federation, string run) => ModelState.Read(Path.Combine(new NodeFolder(federation.NodeState("a")).Run(run), "model.safetensors")).Tensors.Single().Values;

    private sealed class Scaled(double factor) : Strategy
    {
        public override void Apply(Span<double> weights, ReadOnlySpan<double> mean, Span<float> state)
        {
            for (int i = 0; i < mean.Length; i++) weights[i] += factor * mean[i];
        }
    }
}
