using Federation.Protocol;

namespace Federation.Server.Runs;

/// <content>What it does where the machine's clock was set.</content>
public sealed partial class RunHost
{
    private TimeSpan _moved; // the clock, as the deadlines have it

    /// <summary>Whether an upload of this site would be taken now; null: yes.</summary>
    public (Refusal Refusal, string Reason)? RefusalOf(string site, int round, string model, string update)
    {
        lock (_lock)
        {
            Settle();
            FollowClock();
            return RunMachine.RefusalOf(State, site, round, model, update, _context.Time.GetUtcNow());
        }
    }

    /// <summary>Deadlines go with the clock where it was set, before anything is judged by them.</summary>
    private void FollowClock()
    {
        DateTimeOffset now = _context.Time.GetUtcNow();
        TimeSpan moved = _context.Steady.Moved, by = moved - _moved;
        if (State.IsOver || (by.Duration() < ClockRules.Least && (by = -ClockRules.PutBack(State, now)) == TimeSpan.Zero)) return;
        Transition transition = RunMachine.Apply(State, new ClockMoved(by), _context.Sessions.Roster(), now);
        if (ReferenceEquals(transition.State, State))
        {
            _moved = moved;
            return;
        }

        Store(transition, now, moved);
        _context.Signal.Raise(); // what comes next may change nothing
    }
}
