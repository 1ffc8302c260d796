using Federation.Formats.Runs;

namespace Federation.Server.Runs;

/// <summary>Rounds that come to nothing: the model stays, and what was sent for them is dropped. Pure.</summary>
internal static class AbandonRules
{
    /// <summary>At the deadline there are fewer updates than are needed.</summary>
    /// <param name="without">Who is missing.</param>
    public static Transition TooFew(RunState state, RoundOpen open, string without) => new(
        state with { Phase = new Waiting("") },
        [
            new Summarize(state.Round, "abandoned", open.Cohort, open.Contributions, open.OpenedAt),
            new DropUploads(state.Round),
            new Announce(RunLog.RoundAbandoned, $"Round {state.Round} abandoned: {open.Contributions.Count} of {state.Plan.MinContributors} needed updates came{without}. The model stays.{GivenUp(state)}", state.Round),
        ]);

    /// <summary>What the updates make together is no model, whoever's fault it is: no site ends a run by one of them. A run that goes on like this ends at last.</summary>
    public static Transition NoModel(RunState state, Aggregating closed, string reason)
    {
        if (state.LostOpenings + 1 >= SecureRules.MostLostOpenings) return RunMachine.End(state, RunEnd.Failed, $"{SecureRules.MostLostOpenings} rounds in a row made no model. {reason}");
        return new Transition(
            state with { Phase = new Waiting(""), LostOpenings = state.LostOpenings + 1 },
            [
                new Summarize(state.Round, "abandoned", closed.Cohort, closed.Contributions, closed.OpenedAt),
                new DropUploads(state.Round),
                new Announce(RunLog.RoundAbandoned, $"Round {state.Round} abandoned: its updates make no model. {reason} The model stays.{GivenUp(state)}", state.Round),
            ]);
    }

    /// <summary>How near a site is to what it allows a run, from half of that on.</summary>
    private static string GivenUp(RunState state)
    {
        int given = state.Round - state.CompletedRounds, most = RunSpec.WithRepeats(state.Plan.Rounds) - state.Plan.Rounds;
        return given * 2 < most ? "" : $" {given} rounds were given up; sites that sent an update in each take no part after the {most}th.";
    }
}
