using System.Collections.Immutable;
using System.Globalization;
using Federation.Formats.Runs;
using Federation.Protocol;

namespace Federation.Server.Runs;

/// <summary>
/// Asynchronous runs: a site trains from the newest model whenever it is free and sends its update when it is ready, whatever round is open then. A round is one step of the model: it closes when the buffer is full. Pure.
/// One update of a site goes into a buffer, so that none fills it alone; none is counted twice, and none that was taken is lost, in whatever phase it comes.
/// </summary>
/// <remarks>Nguyen et al. 2022, Algorithm 1.</remarks>
internal static class BufferRules
{
    /// <summary>Null: the strategy is synchronous.</summary>
    public static BufferPlan? PlanOf(StrategySpec strategy) => strategy.Kind != StrategyKind.FedBuff ? null : new((int)strategy["buffer"], (int)strategy["maxStaleness"]);

    /// <summary>The round whose model a contribution starts from.</summary>
    /// <param name="round">That it is counted in.</param>
    public static int From(Contribution contribution, int round) => contribution.From == 0 ? round : contribution.From;

    /// <summary>Whose uploads no step can use any more; 0: none.</summary>
    public static int LastOver(RunState state, int closed) => state.Plan.Buffer is not { } plan || state.IsOver ? closed : Math.Max(0, closed - plan.MaxStaleness - 1); // what came early may be one step older when it is used

    /// <summary>The closed round's uploads, or what no later step can use.</summary>
    public static IEnumerable<RunEffect> Drop(RunState state)
    {
        int last = LastOver(state, state.Round);
        if (last > 0) yield return new DropUploads(last);
    }

    public static bool IsCounted(RunState state, string site, int round) => state.Buffer?.Newest.GetValueOrDefault(site) == round;

    /// <summary>Whether an update from the model of this round would be taken; null: yes, or it was.</summary>
    public static (Refusal Refusal, string Reason)? RefusalOf(RunState state, string site, int round, string model, string update)
    {
        if (!state.Sites.ContainsKey(site)) return (Refusal.NotInCohort, "The run does not ask this site.");
        BufferState buffer = state.Buffer!;
        Contribution? waiting = Waiting(state, site);
        int newest = buffer.Newest.GetValueOrDefault(site);
        string counted = buffer.Updates?.GetValueOrDefault(site) ?? (waiting?.From == round ? waiting.UpdateSha256 : update); // also where a step has used it
        if (round == newest) return counted != update ? (Refusal.AlreadyContributed, $"This site's update from the model of round {round} was counted already; another one is not taken.") : null;
        if (round < newest || waiting is not null) return (Refusal.AlreadyContributed, $"A newer update of this site waits already, or was used: that from the model of round {newest}.");
        if (!buffer.Models.TryGetValue(round, out string? known)) return (Refusal.Late, $"The model of round {round} is more than {state.Plan.Buffer!.MaxStaleness} steps old; the update came too late.");
        return known == model ? null : (Refusal.WrongModel, $"The update starts from model {model}; that of round {round} is {known}.");
    }

    public static Transition Arrive(RunState state, UpdateArrived arrived)
    {
        if (RefusalOf(state, arrived.Site, arrived.Round, arrived.ModelSha256, arrived.Contribution.UpdateSha256) is var (refusal, reason)) return RunMachine.Refuse(state, refusal, reason);
        if (IsCounted(state, arrived.Site, arrived.Round)) return new Transition(state, [], Duplicate: true);
        Contribution counted = arrived.Contribution with { From = arrived.Round };
        BufferState buffer = state.Buffer! with
        {
            Newest = state.Buffer.Newest.SetItem(arrived.Site, arrived.Round),
            Updates = (state.Buffer.Updates ?? ImmutableSortedDictionary.Create<string, string>(StringComparer.Ordinal)).SetItem(arrived.Site, arrived.Contribution.UpdateSha256),
        };
        RunState next = state with { Sites = state.Sites.SetItem(arrived.Site, state.Sites[arrived.Site] with { Failures = 0 }) };
        int before;
        if (state.Phase is RoundOpen open)
        {
            before = open.Contributions.Count;
            next = next with { Buffer = buffer, Phase = open with { Contributions = open.Contributions.Add(arrived.Site, counted), Cohort = open.Cohort.Add(arrived.Site), Failed = open.Failed.Remove(arrived.Site) } };
        }
        else
        {
            before = buffer.Early.Count;
            next = next with { Buffer = buffer with { Early = buffer.Early.Add(arrived.Site, counted) } };
        }

        string age = state.Round == arrived.Round ? "" : string.Create(CultureInfo.InvariantCulture, $" from the model of round {arrived.Round}");
        return new Transition(next, [new Announce(RunLog.Contributed, string.Create(CultureInfo.InvariantCulture, $"{arrived.Site} contributed{age} ({before + 1} of {state.Plan.Buffer!.Size})."), state.Round, arrived.Site)]);
    }

    /// <summary>A round that is being opened: its model can be started from, and what came early is in it.</summary>
    public static (RunState State, RoundOpen Open) Begin(RunState state, int round, RoundOpen open)
    {
        BufferState buffer = state.Buffer ?? BufferState.Empty;
        ImmutableSortedDictionary<int, string> models = buffer.Models.RemoveRange(buffer.Models.Keys.Where(known => known < round - state.Plan.Buffer!.MaxStaleness)).Add(round, state.ModelSha256);
        RoundOpen begun = open with { Cohort = open.Cohort.Union(buffer.Early.Keys), Contributions = buffer.Early, Wanted = state.Plan.Buffer!.Size };
        return (state with { Buffer = buffer with { Models = models, Early = BufferState.Empty.Early } }, begun);
    }

    /// <summary>What time and sites change in an open round but for its end; null: nothing.</summary>
    public static Transition? Advance(RunState state, RoundOpen open, ImmutableSortedSet<string> available, DateTimeOffset now)
    {
        ImmutableSortedSet<string> cohort = open.Cohort.Union(available);
        if (cohort.Count > open.Cohort.Count) return new Transition(state with { Phase = open with { Cohort = cohort } }, []);
        if (now < open.Deadline || open.Contributions.Count >= state.Plan.MinContributors) return null;
        if (RunMachine.Hopeless(state) is var (reason, told)) return RunMachine.End(state, RunEnd.Failed, reason, told);
        if (state.Paused is not null)
        {
            string rests = string.Create(CultureInfo.InvariantCulture, $"Paused by the operator: round {state.Round} has {open.Contributions.Count} of {state.Plan.MinContributors} needed updates at its deadline, and keeps them until the run goes on.");
            return new Transition(state with { Phase = open with { Rests = true } }, [new Announce(RunLog.Paused, rests, state.Round)]);
        }

        // What came was paid for: it waits for more, and who failed is asked again.
        string waits = string.Create(CultureInfo.InvariantCulture, $"Round {state.Round} has {open.Contributions.Count} of {state.Plan.MinContributors} needed updates at its deadline, and stays open.");
        return new Transition(state with { Phase = open with { Deadline = now + state.Plan.Deadline, Failed = open.Failed.Clear() } }, [new Announce(RunLog.Waiting, waits, state.Round)]);
    }

    /// <summary>That waits for a step.</summary>
    private static Contribution? Waiting(RunState state, string site) => state.Buffer!.Early.GetValueOrDefault(site) ?? RunMachine.Counted(state)?.GetValueOrDefault(site);
}
