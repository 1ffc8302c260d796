using Federation.Formats.Models;
using Federation.Server.Strategies;
using Federation.V1;

namespace Federation.Server.Tests.Services;

/// <summary>Buffered asynchronous aggregation over the network, against steps worked out by hand.</summary>
public sealed class FedBuffTests
{
    [Fact] // s(0) = 1, s(1) = 0.7071068, s(3) = 0.5
    public void WeightOf_AnAge_IsThePapers() => Assert.All(new[] { (0, 1.0), (1, 0.70710678), (3, 0.5), (8, 1.0 / 3) }, pair => Assert.Equal(pair.Item2, FedBuff.WeightOf(pair.Item1), 1e-8));

    /// <remarks>
    /// η = 0.5, buffers of two. Round 1, from 0: a moves by 2, b by 4 (its weight of 3 counts for nothing): x = 0.5·(2 + 4)/2 = 1.5.
    /// Round 2: c, slow, moved by 8 from the first model, a step old; a by 2 from the newest: x = 1.5 + 0.5·(8/√2 + 2)/2 = 3.4142136.
    /// Between them the coordinator dies with half of c's upload on its disk.
    /// </remarks>
    [Fact]
    public async Task Run_WithASlowSite_WeightsItsUpdateByTheModelsAge()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode[] nodes = await test.EnrolAllAsync("a", "b", "c");
        string run = await test.OpenRoundAsync(nodes, spec: Tiny.Spec(rounds: 2, least: 2, extra: "strategy: { kind: fedbuff, buffer: 2, learningRate: 0.5 }"));
        Train slow = (await nodes[2].NextAsync()).Train;
        await nodes[0].ContributeAsync(run, Moved(2));
        await nodes[1].ContributeAsync(run, Moved(4 * 3), weight: 3);
        await test.SummedAsync(run);
        ModelState first = await test.DownloadAsync(test.StateOf(run).ModelSha256);
        Assert.All(Tiny.Values(first), value => Assert.Equal(1.5, value, 1e-6));

        Assert.Equal((1U, 0UL), (slow.Round, (await nodes[2].BeginAsync(run, slow.Round, slow.ModelSha256, Moved(8))).Offset));
        await Assert.ThrowsAsync<Grpc.Core.RpcException>(() => nodes[2].SendAsync(run, slow.Round, Moved(8).ToBytes(), until: 30));
        await test.CrashAsync();
        foreach (TestNode node in nodes) await node.JoinAsync();
        Assert.Equal(30UL, (await nodes[2].BeginAsync(run, slow.Round, slow.ModelSha256, Moved(8))).Offset);
        Assert.False((await nodes[2].SendAsync(run, slow.Round, Moved(8), 30)).Duplicate);
        Assert.Equal((ulong)Moved(8).Header.FileLength, (await nodes[2].BeginAsync(run, slow.Round, slow.ModelSha256, Moved(8))).Offset); // the reply was lost: it counts once
        await nodes[0].ContributeAsync(run, Moved(2));
        await test.SummedAsync(run);
        Assert.Equal("completed", test.StateOf(run).PhaseName);
        Assert.All(Tiny.Values(await test.DownloadAsync(test.StateOf(run).ModelSha256)), value => Assert.Equal(3.4142136, value, 1e-6));
        Assert.Empty(Directory.EnumerateFiles(test.Folder.Spool, "*", SearchOption.AllDirectories));
    }

    [Fact]
    public async Task Run_SlowUpdateInAnEvaluation_WaitsForTheNextStep()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode[] nodes = await test.EnrolAllAsync("a", "b", "c");
        string run = await test.OpenRoundAsync(nodes, spec: Tiny.Spec(rounds: 2, least: 2, extra: "strategy: { kind: fedbuff, buffer: 2 }\nevaluate: { every: 1, metrics: [accuracy] }"));
        Train slow = (await nodes[2].NextAsync()).Train;
        await nodes[0].ContributeAsync(run, Moved(2));
        await nodes[1].ContributeAsync(run, Moved(4));
        await test.SummedAsync(run);
        Assert.Equal("evaluating", test.StateOf(run).PhaseName);
        await nodes[2].BeginAsync(run, slow.Round, slow.ModelSha256, Moved(8));
        await nodes[2].SendAsync(run, slow.Round, Moved(8));
        Assert.Equal(["c"], test.StateOf(run).Buffer!.Early.Keys);
    }

    private static ModelState Moved(float by) => Tiny.Update(by, by, by, by);
}
