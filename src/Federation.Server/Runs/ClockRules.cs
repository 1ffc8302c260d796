using System.Globalization;

namespace Federation.Server.Runs;

/// <summary>The coordinator's clock was set: what has a deadline keeps the time that it had left, so that no round ends before its time and none waits for a date that is far away. Pure.</summary>
internal static class ClockRules
{
    /// <summary>Less is nothing that a deadline would notice.</summary>
    public static readonly TimeSpan Least = TimeSpan.FromSeconds(10);

    /// <summary>By how much the clock was put back while nobody looked: no deadline is further away than the plan says. Zero: it was not.</summary>
    public static TimeSpan PutBack(RunState state, DateTimeOffset now)
    {
        DateTimeOffset? deadline = state.Phase switch
        {
            Preparing preparing => preparing.Deadline,
            RoundOpen open => open.Deadline,
            Evaluating evaluating => evaluating.Deadline,
            _ => null,
        };
        return deadline - now - state.Plan.Deadline is { } by && by >= Least ? by : TimeSpan.Zero;
    }

    public static Transition Move(RunState state, ClockMoved moved)
    {
        RunPhase phase = state.Phase switch
        {
            Preparing preparing => new Preparing(preparing.Deadline + moved.By),
            RoundOpen open => open with { OpenedAt = open.OpenedAt + moved.By, Deadline = open.Deadline + moved.By },
            Aggregating closed => closed with { OpenedAt = closed.OpenedAt + moved.By },
            Evaluating evaluating => evaluating with { Deadline = evaluating.Deadline + moved.By },
            RunPhase other => other,
        };
        if (ReferenceEquals(phase, state.Phase)) return new Transition(state, []);
        return new Transition(state with { Phase = phase }, [new Announce(RunLog.Clock, $"The coordinator's clock {Describe(moved.By)}; what is under way keeps the time that it had left.", state.Round)]);
    }

    /// <summary>As the end of a sentence about the clock.</summary>
    public static string Describe(TimeSpan by) => $"was set {(by > TimeSpan.Zero ? "forward" : "back")} by {TimeSpan.FromSeconds(Math.Round(by.Duration().TotalSeconds)).ToString(@"d\.hh\:mm\:ss", CultureInfo.InvariantCulture)}";
}
