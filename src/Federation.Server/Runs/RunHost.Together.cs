namespace Federation.Server.Runs;

/// <content>What comes while the store writes is stored together: one commit and one copy of the state for many sites' words.</content>
public sealed partial class RunHost
{
    private readonly Lock _arriving = new();
    private List<Arrival> _arrivals = [];
    private bool _storing;

    private sealed record Arrival(RunEvent Happened)
    {
        public TaskCompletionSource<Transition> Answer { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);
    }

    /// <summary>As <see cref="Apply"/>, for what many sites say at once. Who finds nobody storing stores for all, the others wait without a thread.</summary>
    public Task<Transition> ApplyAsync(RunEvent happened)
    {
        var arrival = new Arrival(happened);
        lock (_arriving)
        {
            _arrivals.Add(arrival);
            if (_storing) return arrival.Answer.Task;
            _storing = true;
        }

        while (Take() is { } arrivals) ApplyTogether(arrivals);
        return arrival.Answer.Task;
    }

    /// <returns>Null: nothing more has come, and the next one stores.</returns>
    private List<Arrival>? Take()
    {
        lock (_arriving)
        {
            if (_arrivals.Count == 0)
            {
                _storing = false;
                return null;
            }

            (List<Arrival> taken, _arrivals) = (_arrivals, []);
            return taken;
        }
    }

    /// <summary>One after the other, each as if it had come alone; stored after one that has an effect beyond the run's log, and at the end.</summary>
    private void ApplyTogether(List<Arrival> arrivals)
    {
        Queue<(Arrival Arrival, Transition Transition)> unstored = [], stored = [];
        Exception? failed = null;
        try
        {
            lock (_lock)
            {
                Settle();
                FollowClock();
                DateTimeOffset now = _context.Time.GetUtcNow();
                Roster roster = _context.Sessions.Roster();
                Transition together = new(State, []);
                foreach (Arrival arrival in arrivals)
                {
                    if (Judge(together.State, arrival, roster, now) is not { } alone) continue;
                    unstored.Enqueue((arrival, alone));
                    if (alone.Refused is null) together = new Transition(alone.State, [.. together.Effects, .. alone.Effects]);
                    if (alone.Effects.Any(effect => effect is not Announce)) together = StoreTogether(together);
                }

                StoreTogether(together);

                Transition StoreTogether(Transition changes)
                {
                    if (!ReferenceEquals(changes.State, State)) Store(changes, now, _moved);
                    while (unstored.TryDequeue(out (Arrival, Transition) one)) stored.Enqueue(one);
                    return new Transition(State, []);
                }
            }
        }
#pragma warning disable CA1031 // each caller gets it, as if it had come alone
        catch (Exception error)
#pragma warning restore CA1031
        {
            failed = error;
        }

        if (stored.Count > 0) _context.Signal.Raise();
        foreach ((Arrival arrival, Transition transition) in stored) arrival.Answer.SetResult(transition);
        if (failed is not null) foreach (Arrival arrival in arrivals) arrival.Answer.TrySetException(failed);
    }

    /// <returns>Null: it cannot even be judged, and hears so itself.</returns>
    private static Transition? Judge(RunState state, Arrival arrival, Roster roster, DateTimeOffset now)
    {
        try
        {
            return RunMachine.Apply(state, arrival.Happened, roster, now);
        }
#pragma warning disable CA1031 // what one site has brought about is not the others'
        catch (Exception error)
#pragma warning restore CA1031
        {
            arrival.Answer.SetException(error);
            return null;
        }
    }
}
