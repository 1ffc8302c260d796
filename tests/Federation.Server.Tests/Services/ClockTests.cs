using Federation.Formats.Models;
using Federation.Server.Runs;
using Federation.V1;
using Grpc.Core;

namespace Federation.Server.Tests.Services;

/// <summary>The coordinator's clock is set in the middle of a run.</summary>
public sealed class ClockTests
{
    private static readonly ModelState Good = Tiny.Update(1, 2, 3, 4);

    [Fact]
    public async Task Clock_ADayForwardAndBackInARound_TheRoundGoesOnAndTheLogSaysSo()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode[] nodes = await test.EnrolAllAsync("a", "b", "c");
        string run = await test.OpenRoundAsync(nodes, spec: Tiny.Spec(rounds: 1));
        await nodes[0].ContributeAsync(run, Good);
        test.Time.Offset = TimeSpan.FromDays(1);
        await nodes[1].ContributeAsync(run, Good); // before a tick has seen it
        test.Wait();
        Assert.Equal(["a", "b", "c"], test.Coordinator.Sessions.Roster().Live);
        test.Time.Offset = TimeSpan.Zero;
        test.Wait();
        Assert.Equal(60, (Assert.IsType<RoundOpen>(test.StateOf(run).Phase).Deadline - test.Time.GetUtcNow()).TotalSeconds, 3.0);
        await nodes[2].ContributeAsync(run, Good);
        await test.SummedAsync(run);
        Assert.Equal(("completed", Good.Sha256), (test.StateOf(run).PhaseName, test.StateOf(run).ModelSha256));
        Assert.Equal(
            ["The coordinator's clock was set forward by 1.00:00:00; what is under way keeps the time that it had left.", "The coordinator's clock was set back by 1.00:00:00; what is under way keeps the time that it had left."],
            (await EventsAsync(test, run)).Where(happened => happened.Kind == RunLog.Clock).Select(happened => happened.Message));
    }

    [Fact]
    public async Task Clock_PutBackADay_ASiteThatDiesIsStillPassedOverAtTheDeadline()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode[] nodes = await test.EnrolAllAsync("a", "b", "c");
        string run = await test.OpenRoundAsync(nodes, spec: Tiny.Spec(rounds: 1, least: 2));
        foreach (TestNode node in nodes[..2]) await node.ContributeAsync(run, Good);
        test.Time.Offset = TimeSpan.FromDays(-1);
        test.Wait(TimeSpan.FromSeconds(31));
        Assert.DoesNotContain("c", test.Coordinator.Sessions.Roster().Live);
        test.Wait(TimeSpan.FromSeconds(31));
        await test.SummedAsync(run);
        Assert.Equal("completed", test.StateOf(run).PhaseName);
    }

    [Fact] // nobody saw it happen
    public async Task Clock_PutBackADayWhileTheCoordinatorIsDown_NoRoundWaitsForADateThatIsFarAway()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode[] nodes = await test.EnrolAllAsync("a", "b", "c");
        string run = await test.OpenRoundAsync(nodes, spec: Tiny.Spec(rounds: 1, least: 2));
        foreach (TestNode node in nodes[..2]) await node.ContributeAsync(run, Good);
        test.Time.Offset = TimeSpan.FromDays(-1);
        await test.CrashAsync();
        test.Wait();
        Assert.InRange(Assert.IsType<RoundOpen>(test.StateOf(run).Phase).Deadline - test.Time.GetUtcNow(), TimeSpan.Zero, TimeSpan.FromSeconds(60));
        test.Wait(TimeSpan.FromSeconds(61));
        await test.SummedAsync(run);
        Assert.Equal("completed", test.StateOf(run).PhaseName);
    }

    private static async Task<List<V1.RunEvent>> EventsAsync(TestCoordinator test, string run)
    {
        List<V1.RunEvent> seen = [];
        using AsyncServerStreamingCall<V1.RunEvent> watch = test.Operator.WatchRun(new WatchRunRequest { RunId = run });
        await foreach (V1.RunEvent happened in watch.ResponseStream.ReadAllAsync(TestContext.Current.CancellationToken)) seen.Add(happened);
        return seen;
    }
}
