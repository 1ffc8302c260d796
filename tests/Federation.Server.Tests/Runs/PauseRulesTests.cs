using Federation.Protocol;
using Federation.Server.Runs;

namespace Federation.Server.Tests.Runs;

public sealed class PauseRulesTests
{
    [Fact]
    public void Pause_InAnOpenRound_LetsItEndAndOpensNoOther()
    {
        var run = new Scenario(rounds: 3);
        run.Ready("a", "b", "c");
        run.Apply(new PauseRequested(Pause.ByName));
        Assert.Equal(("pausing", 1), (run.State.PhaseName, run.State.Round));
        run.PlayRound();
        Assert.Equal(("paused", 1, 1), (run.State.PhaseName, run.State.Round, run.State.CompletedRounds));
        run.Wait(TimeSpan.FromDays(3));
        run.Come("a");
        Assert.Equal(("paused", 1), (run.State.PhaseName, run.State.Round));
        run.Apply(new ResumeRequested(WithAll: false));
        Assert.Equal(("training", 2), (run.State.PhaseName, run.State.Round));
        run.PlayRound();
        run.PlayRound();
        Assert.Equal("completed", run.State.PhaseName);
        Assert.Equal([RunLog.Paused, RunLog.Resumed], run.Said.Where(said => said is RunLog.Paused or RunLog.Resumed));
    }

    [Fact] // the last model's evaluation belongs to the round, and the last round to the run
    public void Pause_InTheLastRound_LetsTheRunComplete()
    {
        var run = new Scenario(rounds: 1, evaluateEvery: 1);
        run.Ready("a", "b", "c");
        run.Apply(new PauseRequested(Pause.ByName));
        run.PlayRound();
        Assert.IsType<Evaluating>(run.State.Phase);
        Assert.Equal("pausing", run.State.PhaseName);
        run.Wait(TimeSpan.FromMinutes(10));
        Assert.Equal("completed", run.State.PhaseName);
    }

    [Fact]
    public void Pause_BeforeTheFirstRound_SitesStillCheckTheirData()
    {
        var run = new Scenario();
        run.Apply(new PauseRequested(Pause.ByName));
        run.Ready("a", "b", "c");
        Assert.Equal(("paused", 0), (run.State.PhaseName, run.State.Round));
        run.Wait(TimeSpan.FromHours(1));
        Assert.Equal(("paused", 0), (run.State.PhaseName, run.State.Round));
        run.Apply(new ResumeRequested(WithAll: false));
        Assert.Equal(("training", 1), (run.State.PhaseName, run.State.Round));
    }

    [Fact]
    public void Pause_Again_ChangesNothingAndByNameOutlastsAll()
    {
        var run = new Scenario();
        run.Ready("a", "b", "c");
        Assert.True(run.Apply(new ResumeRequested(WithAll: true)).Duplicate);
        run.Apply(new PauseRequested(Pause.WithAll));
        Assert.True(run.Apply(new PauseRequested(Pause.WithAll)).Duplicate);
        run.Apply(new PauseRequested(Pause.ByName));
        Assert.True(run.Apply(new PauseRequested(Pause.WithAll)).Duplicate);
        Assert.True(run.Apply(new ResumeRequested(WithAll: true)).Duplicate);
        Assert.Equal("pausing", run.State.PhaseName);
        Assert.False(run.Apply(new ResumeRequested(WithAll: false)).Duplicate);
        run.Apply(new CancelRequested());
        Assert.Equal(Refusal.RunOver, run.Apply(new PauseRequested(Pause.ByName)).Refused);
    }
}
