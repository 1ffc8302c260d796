using Federation.Formats.Models;
using Federation.V1;
using Grpc.Core;

namespace Federation.Server.Tests.Services;

/// <summary>Many sites' words at once, which the coordinator stores together.</summary>
public sealed class TogetherTests
{
    private static readonly string[] s_sites = [.. Enumerable.Range(0, 24).Select(i => $"s{i:00}")];

    [Fact]
    public async Task Updates_OfManySitesAtOnce_AreEachCountedOnceAndLoggedInOrder()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode[] nodes = await test.EnrolAllAsync(s_sites);
        string run = await test.OpenRoundAsync(nodes, spec: Tiny.Spec(rounds: 1, least: s_sites.Length));
        float[][] updates = [.. s_sites.Select((_, i) => new float[] { i, 2 * i, 1, -i })];
        await Task.WhenAll(nodes.Select((node, i) => Task.Run(() => node.ContributeAsync(run, Tiny.Update(updates[i])))));
        await test.SummedAsync(run);

        List<RunEvent> seen = [];
        using AsyncServerStreamingCall<RunEvent> watch = test.Operator.WatchRun(new WatchRunRequest { RunId = run });
        await foreach (RunEvent happened in watch.ResponseStream.ReadAllAsync(TestContext.Current.CancellationToken)) seen.Add(happened);
        Assert.Equal(Enumerable.Range(1, seen.Count).Select(i => (ulong)i), seen.Select(happened => happened.Sequence));
        Assert.Equal(s_sites, seen.Where(happened => happened.Kind == "contributed").Select(happened => happened.Site).Order());
        Assert.Equal(s_sites, seen.Where(happened => happened.Kind == "site-ready").Select(happened => happened.Site).Order());
        Assert.Equal("completed", test.StateOf(run).PhaseName);
        Assert.Equal(Enumerable.Range(0, 4).Select(value => updates.Average(update => update[value])).Order(), Tiny.Values(await test.DownloadAsync(test.StateOf(run).ModelSha256)).Order());
    }
}
