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
        bool changed = false;
        try
        {
            lock (_lock)
            {
                Settle();
                FollowClock();
                DateTimeOffset now = _context.Time.GetUtcNow();
                Roster roster = _context.Sessions.Roster();
                RunState state = State;
                List<RunEffect> effects = [];
                List<(Arrival Arrival, Transition Transition)> unstored = [];
                foreach (Arrival arrival in arrivals)
                {
                    if (Judge(state, arrival, roster, now) is not { } alone) continue;
                    unstored.Add((arrival, alone));
                    if (alone.Refused is null) state = alone.State;
                    effects.AddRange(alone.Effects);
                    if (alone.Effects.Any(effect => effect is not Announce)) StoreTogether();
                }

                StoreTogether();

                void StoreTogether()
                {
                    if (!ReferenceEquals(state, State))
                    {
                        Store(new Transition(state, effects), now, _moved);
                        changed = true;
                    }

                    foreach ((Arrival arrival, Transition transition) in unstored) arrival.Answer.SetResult(transition);
                    (state, effects) = (State, []);
                    unstored.Clear();
                }
            }
        }
#pragma warning disable CA1031 // each caller that has no answer yet gets it, as if it had come alone
        catch (Exception error)
#pragma warning restore CA1031
        {
            foreach (Arrival arrival in arrivals) arrival.Answer.TrySetException(error);
        }

        if (changed) _context.Signal.Raise();
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
