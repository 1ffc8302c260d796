using System.Collections.Immutable;
using Federation.Server.Runs;

namespace Federation.Server.Backup;

/// <summary>
/// What becomes of a run that goes on from a backup. Contributions are not in it, so sites are asked for those of the open round again, for the same model: what they have stored they send again, byte for byte,
/// and what was opened meanwhile they and the members know, and do not give a second time.
/// </summary>
internal static class RestoredRuns
{
    public static RunState Of(RunState state, DateTimeOffset now)
    {
        var none = ImmutableSortedDictionary.Create<string, Contribution>(StringComparer.Ordinal);
        DateTimeOffset deadline = now + state.Plan.Deadline;
        return state with
        {
            Buffer = WithoutWaiting(state),
            Phase = state.Phase switch
            {
                RoundOpen open => open with { Deadline = deadline, Contributions = none, Rests = false },
                Aggregating closed => new RoundOpen(closed.OpenedAt, deadline, closed.Cohort, none, ImmutableSortedSet.Create<string>(StringComparer.Ordinal), state.Plan.Buffer?.Size),
                Evaluating { Encrypted: not null, Asked: { } asked } evaluating => evaluating with { Deadline = deadline, Pending = asked, Encrypted = none, Closed = false },
                RunPhase other => other,
            },
        };
    }

    /// <summary>Asynchronous runs: what waited for a step may come again, what was used may not.</summary>
    private static BufferState? WithoutWaiting(RunState state)
    {
        if (state.Buffer is not { } buffer) return null;
        ImmutableSortedDictionary<string, int> newest = buffer.Newest;
        IEnumerable<KeyValuePair<string, Contribution>> waiting = state.Phase switch { RoundOpen open => open.Contributions, Aggregating closed => closed.Contributions, _ => BufferState.Empty.Early };
        foreach ((string site, Contribution contribution) in buffer.Early.Concat(waiting)) newest = newest.SetItem(site, BufferRules.From(contribution, state.Round) - 1);
        return buffer with { Newest = newest, Early = BufferState.Empty.Early };
    }
}
