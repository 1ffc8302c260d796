using Federation.Server.Runs;

namespace Federation.Server.Tests.Runs;

public sealed class ClockRulesTests
{
    [Theory]
    [InlineData(1)]
    [InlineData(-1)]
    public void Move_AnOpenRound_KeepsTheTimeThatItHadLeft(int days)
    {
        var run = new Scenario();
        run.Ready("a", "b", "c");
        run.Wait(TimeSpan.FromMinutes(4));
        var before = (RoundOpen)run.State.Phase;
        Transition moved = ClockRules.Move(run.State, new ClockMoved(TimeSpan.FromDays(days)));
        var after = (RoundOpen)moved.State.Phase;
        Assert.Equal((before.OpenedAt.AddDays(days), before.Deadline.AddDays(days)), (after.OpenedAt, after.Deadline));
        string said = Assert.IsType<Announce>(Assert.Single(moved.Effects)).Message;
        Assert.Equal($"The coordinator's clock was set {(days > 0 ? "forward" : "back")} by 1.00:00:00; what is under way keeps the time that it had left.", said);
    }

    [Fact]
    public void Move_ARunThatWaitsForNoDate_ChangesAndSaysNothing()
    {
        var run = new Scenario();
        run.Ready("a", "b", "c");
        run.Leave("a");
        run.Leave("b");
        run.Leave("c");
        run.Wait(TimeSpan.FromMinutes(10));
        Assert.IsType<Waiting>(run.State.Phase);
        int said = run.Effects.Count;
        RunState before = run.State;
        run.Apply(new ClockMoved(TimeSpan.FromHours(3)));
        Assert.Equal((before, said), (run.State, run.Effects.Count));
    }

    [Fact]
    public void PutBack_ADeadlineFurtherAwayThanThePlanSays_IsByHowMuch()
    {
        var run = new Scenario();
        run.Ready("a", "b", "c");
        Assert.Equal(TimeSpan.Zero, ClockRules.PutBack(run.State, run.Now));
        Assert.Equal(TimeSpan.Zero, ClockRules.PutBack(run.State, run.Now.AddDays(2)));
        Assert.Equal(TimeSpan.FromHours(2), ClockRules.PutBack(run.State, run.Now.AddHours(-2)));
    }
}
