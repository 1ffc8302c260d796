using Federation.Protocol;

namespace Federation.Server.Runs;

/// <summary>A run that the operator pauses opens no further round; the round that is open, its sum and its evaluation come to their end as always, so nothing that a site has paid for is lost. Pure.</summary>
internal static class PauseRules
{
    public static Transition Pause(RunState state, PauseRequested asked)
    {
        // Who is paused by name stays so when all go on.
        if (state.Paused is { } known) return known == Runs.Pause.ByName || known == asked.How ? new Transition(state, [], Duplicate: true) : new Transition(state with { Paused = asked.How }, []);
        RunState next = state with { Paused = asked.How };
        string message = next.IsAtRest ? "Paused by the operator." : $"Pausing: {UnderWay(state.Phase)} comes to its end, and no other round is opened.";
        return new Transition(next, [new Announce(RunLog.Paused, message, state.Round)]);
    }

    public static Transition Resume(RunState state, ResumeRequested asked)
    {
        if (state.Paused is null || (asked.WithAll && state.Paused == Runs.Pause.ByName)) return new Transition(state, [], Duplicate: true);
        RunPhase phase = state.Phase is RoundOpen open ? open with { Rests = false } : state.Phase;
        return new Transition(state with { Paused = null, Phase = phase }, [new Announce(RunLog.Resumed, "The operator lets the run go on.", state.Round)]);
    }

    /// <summary>What a pause waits for, as the beginning of a sentence's second half.</summary>
    public static string UnderWay(RunPhase phase) => phase switch
    {
        RoundOpen or Aggregating => "the open round",
        Evaluating => "the evaluation",
        _ => throw new InvalidOperationException($"Nothing is under way; the run is {phase.GetType().Name}."),
    };
}
