using Federation.Formats.Configuration;
using Federation.Formats.Models;
using Federation.Protocol;
using Federation.Server.Runs;
using Federation.V1;
using Grpc.Core;
using Microsoft.Data.Sqlite;

namespace Federation.Server.Tests.Services;

/// <summary>The coordinator's database goes away and comes back; the coordinator does not.</summary>
public sealed class StoreAwayTests(PostgresCluster cluster) : IClassFixture<PostgresCluster>
{
    private static readonly ModelState Good = Tiny.Update(1, 2, 3, 4);

    [Fact]
    public async Task Call_WhileSomebodyHoldsTheSqliteFile_IsUnavailableAndGoesThroughAfterwards()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode[] nodes = await test.EnrolAllAsync("a", "b", "c");
        string run = await test.OpenRoundAsync(nodes, spec: Tiny.Spec(rounds: 1));
        foreach (TestNode node in nodes[..2]) await node.ContributeAsync(run, Good);
        using (var other = new SqliteConnection($"Data Source={test.Folder.Database};Pooling=False"))
        {
            other.Open();
            using SqliteCommand command = other.CreateCommand();
            command.CommandText = "BEGIN IMMEDIATE";
            command.ExecuteNonQuery();
            await Tiny.RefusedAsync(Refusal.StorageUnavailable, StatusCode.Unavailable, () => nodes[2].JoinAsync(), "nothing was taken");
            test.Wait(); // a tick fails as well, and costs nothing
        }

        await EventuallyAsync(test, () => nodes[2].ContributeAsync(run, Good));
        await CompletedAsync(test, run);
        await AssertLogAsync(test, run);
    }

    [Theory] // in turn at each commit of a run: nothing happens twice, nothing is lost, numbers have no gap
    [InlineData(CommitCutter.Cut.Before)]
    [InlineData(CommitCutter.Cut.After)]
    public async Task Run_WhoseCommitsLoseTheirAnswers_EndsAsAnyOther(CommitCutter.Cut cut)
    {
        string database = cluster.NewDatabase().Reveal().Split("Database=")[1];
        using var cutter = new CommitCutter(cluster);
        await using TestCoordinator test = await TestCoordinator.StartAsync(store: new ConnectionString($"Host=127.0.0.1;Port={cutter.Port};Username=fed;Database={database};SSL Mode=Disable"));
        TestNode[] nodes = await test.EnrolAllAsync("a", "b", "c");
        string run = await test.OpenRoundAsync(nodes);
        for (int round = 1; round <= 2; round++)
        {
            foreach (TestNode node in nodes)
            {
                cutter.CutNext(cut);
                await EventuallyAsync(test, () => node.JoinAsync());
                cutter.CutNext(cut);
                await EventuallyAsync(test, () => ContributeAsync(test, node, run, round));
            }

            cutter.CutNext(cut);
            await UntilAsync(test, run, state => state.CompletedRounds >= round);
        }

        await CompletedAsync(test, run);
        await AssertLogAsync(test, run);
        Assert.Equal(new[] { 8f, 2, 4, 6 }, Tiny.Values(await test.DownloadAsync(test.StateOf(run).ModelSha256)));
    }

    [Fact] // the operator was told that it may have been taken
    public async Task Submit_WhoseCommitLosesItsAnswer_BeginsTheRunOnce()
    {
        string database = cluster.NewDatabase().Reveal().Split("Database=")[1];
        using var cutter = new CommitCutter(cluster);
        await using TestCoordinator test = await TestCoordinator.StartAsync(store: new ConnectionString($"Host=127.0.0.1;Port={cutter.Port};Username=fed;Database={database};SSL Mode=Disable"));
        ModelState initial = Tiny.Model();
        await test.UploadAsync(initial.ToBytes(), initial.Sha256);
        foreach (CommitCutter.Cut cut in new[] { CommitCutter.Cut.Before, CommitCutter.Cut.After })
        {
            cutter.CutNext(cut);
            await Tiny.RefusedAsync(Refusal.StorageUnavailable, StatusCode.Unavailable, () => test.SubmitAsync(initial), "not known");
            await EventuallyAsync(test, async () => await test.Operator.ListSitesAsync(new ListSitesRequest()));
            test.Wait();
            test.Wait();
            Assert.Equal(cut == CommitCutter.Cut.After ? 1 : 0, (await test.Operator.ListRunsAsync(new ListRunsRequest())).Runs.Count);
        }
    }

    /// <summary>What a node does: a coordinator that has the update already says so, as does a round that it closed.</summary>
    private static async Task ContributeAsync(TestCoordinator test, TestNode node, string run, int round)
    {
        await UntilAsync(test, run, state => state.Round >= round);
        if (test.StateOf(run).CompletedRounds >= round || RunMachine.Counted(test.StateOf(run))?.ContainsKey(node.Site) == true) return;
        BeginUploadReply begun = await node.BeginAsync(run, (uint)round, test.StateOf(run).ModelSha256, Good);
        if (begun.Offset < (ulong)Good.Header.FileLength) await node.SendAsync(run, (uint)round, Good, (int)begun.Offset);
    }

    private static async Task UntilAsync(TestCoordinator test, string run, Func<RunState, bool> holds)
    {
        while (!holds(test.StateOf(run)))
        {
            TestContext.Current.CancellationToken.ThrowIfCancellationRequested();
            test.Wait();
            await test.SummedAsync(run);
        }
    }

    /// <summary>A store that failed is left alone for a second.</summary>
    private static async Task EventuallyAsync(TestCoordinator test, Func<Task> call)
    {
        while (true)
        {
            try
            {
                await call();
                return;
            }
            catch (RpcException error) when (RpcError.Is(error, Refusal.StorageUnavailable))
            {
                TestContext.Current.CancellationToken.ThrowIfCancellationRequested();
                test.Wait();
            }
        }
    }

    private static async Task CompletedAsync(TestCoordinator test, string run)
    {
        await UntilAsync(test, run, state => state.IsOver);
        Assert.Equal("completed", test.StateOf(run).PhaseName);
    }

    private static async Task AssertLogAsync(TestCoordinator test, string run)
    {
        List<V1.RunEvent> seen = [];
        await EventuallyAsync(test, async () =>
        {
            seen.Clear();
            using AsyncServerStreamingCall<V1.RunEvent> watch = test.Operator.WatchRun(new WatchRunRequest { RunId = run });
            await foreach (V1.RunEvent happened in watch.ResponseStream.ReadAllAsync(TestContext.Current.CancellationToken)) seen.Add(happened);
        });
        Assert.Equal(Enumerable.Range(1, seen.Count).Select(i => (ulong)i), seen.Select(happened => happened.Sequence));
        Assert.All(seen.Where(happened => happened.Kind == "contributed").GroupBy(happened => (happened.Round, happened.Site)), group => Assert.Single(group));
        Assert.Single(seen, happened => happened.Kind == "completed");
    }
}
