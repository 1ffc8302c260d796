using Federation.Formats.Models;
using Federation.Protocol;
using Federation.Server.Runs;
using Federation.V1;
using Grpc.Core;
using RunEvent = Federation.V1.RunEvent;

namespace Federation.Server.Tests.Services;

public sealed class RunTests
{
    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Run_OfThreeSites_AveragesByWeightAndEndsForEverybody()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode[] nodes = await test.EnrolAllAsync("a", "b", "c");
        string run = await test.OpenRoundAsync(nodes, Tiny.Model(1, 2, 3, 4));
        for (int round = 1; round <= 2; round++)
        {
            // delta × weight: site 0 with 1 example wants +4, the others with 1 and 2 want +0 and -2
            await nodes[0].ContributeAsync(run, Tiny.Update(4, 0, 0, 0), 1);
            await nodes[1].ContributeAsync(run, Tiny.Update(0, 0, 0, 0), 1);
            await nodes[2].ContributeAsync(run, Tiny.Update(0, -4, 0, 0.5f), 2);
            await test.SummedAsync(run);
        }

        RunDetails details = await test.ShowAsync(run);
        Assert.Equal(("completed", 2U), (details.Summary.State, details.Summary.CompletedRounds));
        Assert.Equal(new[] { 4.25f, 3, 0, 3 }, Tiny.Values(await test.DownloadAsync(details.ModelSha256))); // bias 4 + 2·0.125; weights 1 + 2, 2 − 2, 3
        Assert.All(details.Rounds, round => Assert.Equal((4UL, "completed"), (round.Weight, round.State)));
        foreach (TestNode node in nodes)
        {
            RunEnded ended = (await node.NextAsync()).RunEnded;
            Assert.Equal((run, "completed", details.ModelSha256, 2U), (ended.RunId, ended.State, ended.ModelSha256, ended.Rounds));
            Task<NodeTask> idle = node.NextAsync(); // the end is said once
            while (!idle.IsCompleted) test.Wait();
            Assert.NotNull((await idle).Idle);
        }
    }

    [Fact]
    public async Task Watch_FromTheBeginning_TellsThePastThenLiveAndEnds()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode[] nodes = await test.EnrolAllAsync("a", "b", "c");
        string run = await test.OpenRoundAsync(nodes, spec: Tiny.Spec(rounds: 1));
        List<RunEvent> seen = [];
        using AsyncServerStreamingCall<RunEvent> watch = test.Operator.WatchRun(new WatchRunRequest { RunId = run });
        foreach (TestNode node in nodes) await node.ContributeAsync(run, Tiny.Update(1, 1, 1, 1));
        await foreach (RunEvent happened in watch.ResponseStream.ReadAllAsync(Cancelled)) seen.Add(happened);
        Assert.Equal(
            ["submitted", "site-ready", "site-ready", "site-ready", "round-opened", "contributed", "contributed", "contributed", "round-closed", "model", "completed"],
            seen.Select(happened => happened.Kind));
        Assert.True(seen.Zip(seen.Skip(1)).All(pair => pair.First.Sequence < pair.Second.Sequence));

        List<RunEvent> rest = [];
        using AsyncServerStreamingCall<RunEvent> again = test.Operator.WatchRun(new WatchRunRequest { RunId = run, AfterSequence = seen[^3].Sequence });
        await foreach (RunEvent happened in again.ResponseStream.ReadAllAsync(Cancelled)) rest.Add(happened);
        Assert.Equal(["model", "completed"], rest.Select(happened => happened.Kind));
    }

    [Fact]
    public async Task Round_ASiteNeverReturns_ClosesAtTheDeadlineWithoutIt()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode[] nodes = await test.EnrolAllAsync("a", "b", "c");
        string run = await test.OpenRoundAsync(nodes, spec: Tiny.Spec(least: 2));
        await nodes[0].ContributeAsync(run, Tiny.Update(1, 1, 1, 1));
        await nodes[1].ContributeAsync(run, Tiny.Update(1, 1, 1, 1));
        Assert.Equal(1, test.StateOf(run).Round);
        for (int second = 0; second < 60; second++) test.Wait();
        await test.SummedAsync(run);
        RoundSummary round = (await test.ShowAsync(run)).Rounds[0];
        Assert.Equal(["a", "b"], round.Contributors);
        Assert.Equal(["a", "b", "c"], round.Cohort);
        Assert.Equal("waiting", (await test.ShowAsync(run)).Summary.State); // in a minute nobody called: nobody is there
        await Tiny.RefusedAsync(Refusal.Late, StatusCode.FailedPrecondition, () => nodes[2].BeginAsync(run, 1, test.StateOf(run).ModelSha256, Tiny.Update(1, 1, 1, 1)));
    }

    [Fact]
    public async Task Round_CohortIsWorking_HeartbeatsKeepItTogether()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode[] nodes = await test.EnrolAllAsync("a", "b");
        string run = await test.OpenRoundAsync(nodes, spec: Tiny.Spec(least: 2));
        for (int second = 0; second < 58; second += 10)
        {
            foreach (TestNode node in nodes) await node.Client.HeartbeatAsync(new HeartbeatRequest());
            test.Wait(TimeSpan.FromSeconds(10));
        }

        Assert.Equal(2, test.StateOf(run).Round); // abandoned at the deadline, and opened again because both are there
    }

    [Fact]
    public async Task Poll_WithNothingToDo_AnswersAfterTwentySecondsAndAtOnceWhenThereIs()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode[] nodes = await test.EnrolAllAsync("a");
        Task<NodeTask> poll = nodes[0].NextAsync();
        while (!poll.IsCompleted) test.Wait(TimeSpan.FromSeconds(20)); // the call may not have arrived at the first
        Assert.NotNull((await poll).Idle);

        Task<NodeTask> next = nodes[0].NextAsync();
        string run = await test.SubmitAsync();
        Assert.Equal(run, (await next).CheckData.Run.RunId);
    }

    [Fact]
    public async Task Traffic_OfARound_IsTheModelDownTheUpdateUpAndLittleElse()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode[] nodes = await test.EnrolAllAsync("a", "b", "c");
        ModelState model = Tiny.Large(700_000); // three chunks
        string run = await test.OpenRoundAsync(nodes, model, Tiny.Spec(rounds: 1));
        foreach (TestNode node in nodes)
        {
            Train train = (await node.NextAsync()).Train;
            using AsyncServerStreamingCall<Chunk> download = node.Client.Download(new DownloadRequest { Sha256 = train.ModelSha256 });
            ulong length = 0;
            await foreach (Chunk chunk in download.ResponseStream.ReadAllAsync(Cancelled))
            {
                Assert.Equal(length, chunk.Offset);
                length += (ulong)chunk.Data.Length;
            }

            Assert.Equal((ulong)model.Header.FileLength, length);
            await node.ContributeAsync(run, Tiny.Large(700_000, 1));
        }

        await test.SummedAsync(run);
        RoundSummary round = Assert.Single((await test.ShowAsync(run)).Rounds);
        ulong expected = 3 * (ulong)model.Header.FileLength;
        Assert.Equal((expected, expected), (round.BytesDown, round.BytesUp));
        Assert.InRange(round.BytesControl, 1UL, 3 * 5000UL);
    }

    [Fact]
    public async Task Download_FromAnOffset_GivesTheRest()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode[] nodes = await test.EnrolAllAsync("a");
        ModelState model = Tiny.Model(1, 2, 3, 4);
        await test.SubmitAsync(model);
        byte[] bytes = model.ToBytes();
        using AsyncServerStreamingCall<Chunk> call = nodes[0].Client.Download(new DownloadRequest { Sha256 = model.Sha256, Offset = 7 });
        Assert.True(await call.ResponseStream.MoveNext(Cancelled));
        Assert.Equal(7UL, call.ResponseStream.Current.Offset);
        Assert.Equal(bytes[7..], call.ResponseStream.Current.Data.ToByteArray());
        Assert.False(await call.ResponseStream.MoveNext(Cancelled));
        foreach ((string sha256, ulong offset, Refusal reason) in new[] { (model.Sha256, (ulong)bytes.Length + 1, Refusal.WrongOffset), (new string('0', 64), 0UL, Refusal.UnknownBlob), ("../../ca/ca.pem", 0UL, Refusal.UnknownBlob) })
        {
            using AsyncServerStreamingCall<Chunk> wrong = nodes[0].Client.Download(new DownloadRequest { Sha256 = sha256, Offset = offset });
            RpcException error = await Assert.ThrowsAsync<RpcException>(() => wrong.ResponseStream.MoveNext(Cancelled));
            Assert.Equal(reason, RpcError.ReasonOf(error));
        }
    }

    [Fact]
    public async Task Runs_TwoAtOnce_DoNotDisturbEachOther()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode[] nodes = await test.EnrolAllAsync("a", "b", "c");
        string first = await test.OpenRoundAsync(nodes, Tiny.Model(1, 1, 1, 1), Tiny.Spec(rounds: 1));
        foreach (TestNode node in nodes) await node.ContributeAsync(first, Tiny.Update(3, 3, 3, 3));
        await test.SummedAsync(first);
        string second = await test.SubmitAsync(Tiny.Model(1, 1, 1, 1), Tiny.Spec(rounds: 1)); // the same model and spec: another run all the same
        foreach (TestNode node in nodes)
        {
            Assert.Equal(first, (await node.NextAsync()).RunEnded.RunId);
            await node.ReadyAsync(second);
        }

        foreach (TestNode node in nodes) await node.ContributeAsync(second, Tiny.Update(3, 3, 3, 3));
        await test.SummedAsync(second);
        Assert.Equal(test.StateOf(first).ModelSha256, test.StateOf(second).ModelSha256); // the same sums to the bit
        Assert.IsType<Ended>(test.StateOf(second).Phase);
    }

    [Fact]
    public async Task Site_AnswersWithMismatches_IsShownWithThemAndTheRunGoesOnWithoutIt()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode[] nodes = await test.EnrolAllAsync("a", "b", "c");
        string run = await test.SubmitAsync(spec: Tiny.Spec(least: 2));
        await nodes[0].ReadyAsync(run);
        await nodes[1].ReadyAsync(run);
        await nodes[2].Client.ReportReadinessAsync(new ReadinessReport { RunId = run, Mismatches = { Enumerable.Repeat(new string('x', 1500), 2000) } });
        RunDetails details = await test.ShowAsync(run);
        Assert.Equal("training", details.Summary.State);
        V1.RunSite refused = details.Sites.Single(site => site.Name == "c");
        Assert.Equal("refused", refused.State);
        Assert.InRange(refused.Mismatches.Sum(mismatch => mismatch.Length), 1, 20_000); // whatever a site says, the message stays small
        Assert.StartsWith("And 19", refused.Mismatches[^1], StringComparison.Ordinal);
        Assert.DoesNotContain("c", details.Rounds[0].Cohort);
    }

    [Fact]
    public async Task Cancel_InARound_TellsTheSitesAndDropsTheirUploads()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode[] nodes = await test.EnrolAllAsync("a", "b", "c");
        string run = await test.OpenRoundAsync(nodes);
        await nodes[0].ContributeAsync(run, Tiny.Update(1, 1, 1, 1));
        RunDetails details = await test.Operator.CancelRunAsync(new CancelRunRequest { RunId = run });
        Assert.Equal("cancelled", details.Summary.State);
        Assert.Equal("cancelled", (await nodes[1].NextAsync()).RunEnded.State);
        Assert.Empty(Directory.EnumerateFiles(test.Folder.Spool, "*", SearchOption.AllDirectories));
        await Tiny.RefusedAsync(Refusal.RunOver, StatusCode.FailedPrecondition, async () => await test.Operator.CancelRunAsync(new CancelRunRequest { RunId = run }));
    }
}
