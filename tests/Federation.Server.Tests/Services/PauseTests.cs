using Federation.Formats.Models;
using Federation.Protocol;
using Federation.V1;
using Grpc.Core;

namespace Federation.Server.Tests.Services;

/// <summary>Maintenance and several runs side by side, over the network.</summary>
public sealed class PauseTests
{
    private static readonly ModelState Good = Tiny.Update(1, 2, 3, 4);

    [Fact] // what an operator does: pause all, wait, stop, start, resume all
    public async Task Drain_TwoRunsInOpenRounds_LosesNoRoundAndNoRunPausedByName()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode[] nodes = await test.EnrolAllAsync("a", "b", "c");
        string first = await test.OpenRoundAsync(nodes), second = await test.OpenRoundAsync(nodes), third = await test.OpenRoundAsync(nodes);
        await PauseAsync(test, third);
        Assert.Equal(["pausing", "pausing", "pausing"], (await PauseAsync(test, "")).Select(run => run.State));
        foreach (string run in new[] { first, second, third })
        {
            foreach (TestNode node in nodes) await node.ContributeAsync(run, Good);
            await test.SummedAsync(run);
        }

        Assert.Equal(["paused", "paused", "paused"], (await test.Operator.ListRunsAsync(new ListRunsRequest())).Runs.Select(run => run.State));
        await test.CrashAsync();
        foreach (TestNode node in nodes) await node.JoinAsync();
        Assert.All((await test.Operator.ListRunsAsync(new ListRunsRequest())).Runs, run => Assert.Equal(("paused", 1U), (run.State, run.CompletedRounds)));
        Assert.Equal([first, second], (await test.Operator.ResumeRunsAsync(new ResumeRunsRequest())).Runs.Select(run => run.RunId));
        foreach (string run in new[] { first, second })
        {
            foreach (TestNode node in nodes) await node.ContributeAsync(run, Good);
            await test.SummedAsync(run);
            Assert.Equal("completed", test.StateOf(run).PhaseName);
            foreach (TestNode node in nodes) Assert.Equal(run, (await node.NextAsync()).RunEnded.RunId);
        }

        RunDetails left = await test.ShowAsync(third);
        Assert.Equal(("paused", "Paused by the operator."), (left.Summary.State, left.Summary.Reason));
        await test.Operator.ResumeRunsAsync(new ResumeRunsRequest { RunId = third });
        Assert.Equal("training", (await test.ShowAsync(third)).Summary.State);
        Assert.All(left.Rounds, round => Assert.Equal("completed", round.State));
    }

    [Fact]
    public async Task Pause_ARunThatIsOver_IsRefused()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        string run = await test.SubmitAsync();
        await test.Operator.CancelRunAsync(new CancelRunRequest { RunId = run });
        await Tiny.RefusedAsync(Refusal.RunOver, StatusCode.FailedPrecondition, () => PauseAsync(test, run), "cancelled");
        Assert.Empty(await PauseAsync(test, ""));
    }

    [Fact] // each round makes the next one due at once: without turns the older run would have all of the site's time
    public async Task Tasks_OfSeveralRuns_TakeTurns()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode node = (await test.EnrolAllAsync("a"))[0];
        string[] runs = [await test.OpenRoundAsync([node], spec: Tiny.Spec(rounds: 3, least: 1)), await test.OpenRoundAsync([node], spec: Tiny.Spec(rounds: 3, least: 1)), await test.OpenRoundAsync([node], spec: Tiny.Spec(rounds: 3, least: 1))];
        List<(int Run, uint Round)> served = [];
        while (served.Count < 9)
        {
            NodeTask task = await node.NextAsync();
            if (task.RunEnded is not null) continue;
            Train train = task.Train;
            await node.BeginAsync(train.RunId, train.Round, train.ModelSha256, Good);
            test.Time.AdjustTime(test.Time.GetUtcNow() + TimeSpan.FromMilliseconds(10));
            await node.SendAsync(train.RunId, train.Round, Good);
            await test.SummedAsync(train.RunId);
            served.Add((Array.IndexOf(runs, train.RunId), train.Round));
        }

        Assert.Equal([(0, 1U), (1, 1U), (2, 1U), (0, 2U), (1, 2U), (2, 2U), (0, 3U), (1, 3U), (2, 3U)], served);
    }

    private static async Task<IReadOnlyList<RunSummary>> PauseAsync(TestCoordinator test, string run) => [.. (await test.Operator.PauseRunsAsync(new PauseRunsRequest { RunId = run })).Runs];
}
