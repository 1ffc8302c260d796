using System.Collections.Immutable;
using System.Globalization;
using Federation.Formats.Evaluation;
using Federation.Protocol;

namespace Federation.Server.Runs;

/// <summary>The rules of a run: pure, no I/O, clock or randomness. A refused event leaves the state as it was.</summary>
public static class RunMachine
{
    /// <summary>A site that fails this many rounds in a row is left out.</summary>
    public const int MostFailures = 3;

    public static Transition Apply(RunState state, RunEvent happened, Roster roster, DateTimeOffset now)
    {
        roster = CohortRules.Among(state.Plan, roster);
        Transition first = happened switch
        {
            Tick => new Transition(state, []),
            _ when state.IsOver => Refuse(state, Refusal.RunOver, $"The run is {state.PhaseName}."),
            SiteAnswered answered => SiteRules.Answer(state, answered),
            SiteJoined joined => SiteRules.Rejoin(state, joined),
            SiteFailed failed => SiteRules.Fail(state, failed),
            SiteRevoked revoked => SiteRules.Revoke(state, revoked),
            UpdateArrived arrived => Arrive(state, arrived, now),
            Aggregated aggregated => FinishRound(state, aggregated, roster, now),
            AggregationFailed { IsOfUpdates: true } failed when state is { Phase: Aggregating closed, Buffer: null } && failed.Round == state.Round => AbandonRules.NoModel(state, closed, failed.Reason),
            AggregationFailed failed when state.Phase is Aggregating && failed.Round == state.Round => End(state, RunEnd.Failed, $"Round {failed.Round} could not be aggregated: {failed.Reason}"),
            AggregationFailed => new Transition(state, [], Duplicate: true),
            EvaluationArrived when state.Plan.Secure => Refuse(state, Refusal.Invalid, "Under secure aggregation evaluation sums travel encrypted."),
            EvaluationArrived report => Evaluate(state, report),
            EvaluationSealed report => SecureRules.Evaluate(state, report),
            EvaluationOpened opened => SecureRules.FinishEvaluation(state, opened),
            StatisticsOpened opened => SecureRules.FinishStatistics(state, opened, now),
            ApprovalSigned signed => SiteRules.Approve(state, signed),
            CancelRequested => End(state, RunEnd.Cancelled, "Cancelled by the operator."),
            PauseRequested asked => PauseRules.Pause(state, asked),
            ResumeRequested asked => PauseRules.Resume(state, asked),
            ClockMoved moved => ClockRules.Move(state, moved),
            EpochMade made => SecureRules.Made(state, made, roster, now),
            EpochFailed failed => SecureRules.Failed(state, failed, roster, now),
            ShareLost lost => SecureRules.Lost(state, lost),
            RotateRequested => SecureRules.Rotate(state),
            OpeningLost lost => SecureRules.Lost(state, lost),
            _ => throw new ArgumentOutOfRangeException(nameof(happened), happened, "No such event."),
        };
        if (first.Refused is not null || first.Duplicate) return first;
        (RunState next, List<RunEffect> effects) = (first.State, [.. first.Effects]);
        while (Advance(next, roster, now) is { } step)
        {
            next = step.State;
            effects.AddRange(step.Effects);
        }

        return new Transition(next, effects);
    }

    /// <summary>Whether an upload of this site would be taken now; null: yes.</summary>
    public static (Refusal Refusal, string Reason)? RefusalOf(RunState state, string site, int round, string modelSha256, string updateSha256, DateTimeOffset now)
    {
        if (state.IsOver) return (Refusal.RunOver, $"The run is {state.PhaseName}.");
        if (round > state.Round || round < 1) return (Refusal.WrongRound, $"Round {round} is not open; the run is in round {state.Round}.");
        if (state.Buffer is not null) return BufferRules.RefusalOf(state, site, round, modelSha256, updateSha256);
        ImmutableSortedDictionary<string, Contribution>? contributions = Counted(state);
        if (round == state.Round && contributions?.GetValueOrDefault(site) is { } earlier)
        {
            return earlier.UpdateSha256 == updateSha256 ? null : (Refusal.AlreadyContributed, $"This site's update of round {round} was counted already; another one is not taken.");
        }

        if (round == state.Round && state.Phase is Evaluating { Encrypted: not null, Closed: false } evaluating)
        {
            return !evaluating.Pending.Contains(site) ? (Refusal.NotInCohort, "This site's evaluation is not waited for.")
                : modelSha256 != state.ModelSha256 ? (Refusal.WrongModel, $"The evaluation is of model {modelSha256}; {state.ModelSha256} is asked for.") : null;
        }

        if (round < state.Round || state.Phase is not RoundOpen open || now > open.Deadline)
        {
            return (Refusal.Late, $"Round {round} is closed; the update came too late.{(state.Plan.Draw is { OverSelect: > 1 } ? " More sites are asked than updates are wanted." : "")}");
        }

        if (!open.Cohort.Contains(site) || !state.Sites.ContainsKey(site)) return (Refusal.NotInCohort, $"This site is not in the cohort of round {round}.");
        if (modelSha256 != state.ModelSha256) return (Refusal.WrongModel, $"The update starts from model {modelSha256}; round {round} starts from {state.ModelSha256}.");
        return null;
    }

    /// <summary>What was counted in the phase that the run is in.</summary>
    public static ImmutableSortedDictionary<string, Contribution>? Counted(RunState state) => state.Phase switch
    {
        RoundOpen open => open.Contributions,
        Aggregating closed => closed.Contributions,
        Evaluating evaluating => evaluating.Encrypted,
        _ => null,
    };

    /// <summary>Whether this site's update was counted that starts from the model of this round.</summary>
    public static bool IsCounted(RunState state, string site, int round) => state.Buffer is not null ? BufferRules.IsCounted(state, site, round) : round == state.Round && Counted(state)?.ContainsKey(site) == true;

    private static Transition Arrive(RunState state, UpdateArrived arrived, DateTimeOffset now)
    {
        if (RefusalOf(state, arrived.Site, arrived.Round, arrived.ModelSha256, arrived.Contribution.UpdateSha256, now) is var (refusal, reason)) return Refuse(state, refusal, reason);
        if (state.Buffer is not null) return BufferRules.Arrive(state, arrived);
        if (state.Phase is not RoundOpen open || open.Contributions.ContainsKey(arrived.Site)) return new Transition(state, [], Duplicate: true);
        RunState next = state with
        {
            Phase = open with { Contributions = open.Contributions.Add(arrived.Site, arrived.Contribution), Failed = open.Failed.Remove(arrived.Site) },
            Sites = state.Sites.SetItem(arrived.Site, state.Sites[arrived.Site] with { Failures = 0 }),
        };
        string progress = string.Create(CultureInfo.InvariantCulture, $"{arrived.Site} contributed ({open.Contributions.Count + 1} of {open.Cohort.Count}).");
        return new Transition(next, [new Announce(RunLog.Contributed, progress, arrived.Round, arrived.Site)]);
    }

    private static Transition FinishRound(RunState state, Aggregated aggregated, Roster roster, DateTimeOffset now)
    {
        if (state.Phase is not Aggregating closed || aggregated.Round != state.Round) return new Transition(state, [], Duplicate: true);
        int completed = state.CompletedRounds + 1;
        RunState next = state with { CompletedRounds = completed, ModelSha256 = aggregated.ModelSha256, Keys = SecureRules.Used(state.Keys), LostOpenings = 0, SiteClip = aggregated.SiteClip ?? state.SiteClip, StrategyRound = aggregated.StrategyKept ? state.Round : state.StrategyRound, Controls = ControlRules.Count(state.Controls, closed) };
        bool last = completed == state.Plan.Rounds;
        List<RunEffect> effects =
        [
            new KeepModel(state.Round, aggregated.ModelSha256),
            new Summarize(state.Round, "completed", closed.Cohort, closed.Contributions, closed.OpenedAt, aggregated.ModelSha256, aggregated.Opening),
            .. BufferRules.Drop(state),
            .. aggregated.StrategyKept ? (RunEffect[])[new KeepStrategy(state.Round)] : [],
            new Announce(RunLog.Model, $"Round {state.Round} made model {aggregated.ModelSha256[..12]} from {closed.Contributions.Count} updates{SecureRules.Describe(aggregated.Opening, now - closed.OpenedAt)}.", state.Round, Model: aggregated.ModelSha256),
            .. aggregated.Note.Length == 0 ? (RunEffect[])[] : [new Announce(RunLog.Opened, aggregated.Note, state.Round)],
        ];
        if (state.Plan.IsEvaluated(completed))
        {
            ImmutableSortedSet<string> asked = SecureRules.WithKeys(next, LiveReady(next, roster));
            var none = ImmutableSortedDictionary.Create<string, EvaluationSums>(StringComparer.Ordinal);
            if (state.Plan.Secure && asked.Count >= state.Plan.MinContributors) return new Transition(next with { Phase = SecureRules.Evaluation(asked, now + state.Plan.Deadline) }, effects);
            if (!state.Plan.Secure && !asked.IsEmpty) return new Transition(next with { Phase = new Evaluating(now + state.Plan.Deadline, asked, none) }, effects);
        }

        return Then(last ? End(next, RunEnd.Completed, "") : new Transition(next with { Phase = new Waiting("") }, []), effects);
    }

    private static Transition Evaluate(RunState state, EvaluationArrived report)
    {
        if (state.Phase is not Evaluating evaluating || report.Round != state.Round) return Refuse(state, Refusal.WrongRound, $"The model of round {report.Round} is not being evaluated.");
        if (!evaluating.Pending.Contains(report.Site)) return new Transition(state, [], Duplicate: true);
        return new Transition(state with { Phase = evaluating with { Pending = evaluating.Pending.Remove(report.Site), Reports = evaluating.Reports.SetItem(report.Site, report.Sums) } }, []);
    }

    /// <summary>One step that needs no event but time and sites; null: nothing to do.</summary>
    private static Transition? Advance(RunState state, Roster roster, DateTimeOffset now)
    {
        if (state.IsOver) return null;
        string[] fresh = state.Plan.Sites is null ? [.. roster.Trainers.Where(site => !state.Sites.ContainsKey(site))] : [];
        if (fresh.Length > 0) return new Transition(state with { Sites = state.Sites.AddRange(fresh.Select(site => KeyValuePair.Create(site, RunSite.Asked))) }, []);
        string[] gone = state.Plan.Sites is null ? [.. state.Sites.Where(site => site.Value.Standing == SiteStanding.Checking && !roster.Trainers.Contains(site.Key)).Select(site => site.Key)] : [];
        if (gone.Length > 0)
        {
            // A site that became an evaluator while its round was open: the round does not wait for it.
            RunPhase phase = state.Phase is RoundOpen round ? round with { Failed = round.Failed.Union(gone.Where(site => round.Cohort.Contains(site) && !round.Contributions.ContainsKey(site))) } : state.Phase;
            return new Transition(state with { Phase = phase, Sites = state.Sites.RemoveRange(gone) }, []);
        }

        return state.Phase switch
        {
            Preparing preparing => AdvancePreparing(state, preparing, roster, now),
            Waiting waiting => AdvanceWaiting(state, waiting, roster, now),
            MakingKeys making when state.Paused is not null => SecureRules.Stop(state, making),
            RoundOpen when state.IsAtRest => null,
            RoundOpen open => (state.Buffer is null ? null : BufferRules.Advance(state, open, LiveReady(state, roster), now)) ?? AdvanceRound(state, open, now),
            Evaluating { Closed: true } => null,
            Evaluating evaluating when evaluating.Pending.IsEmpty || now >= evaluating.Deadline => evaluating.Encrypted is null ? FinishEvaluation(state, evaluating) : SecureRules.CloseEvaluation(state, evaluating),
            _ => null,
        };
    }

    private static Transition? AdvancePreparing(RunState state, Preparing preparing, Roster roster, DateTimeOffset now)
    {
        if (Hopeless(state) is var (reason, told)) return End(state, RunEnd.Failed, reason, told);
        if (state.Paused is not null) return null;
        // A site that the spec names and that is not enrolled as a trainer cannot answer; one that waits for a signature may get it in time.
        bool answered = state.Sites.All(site => site.Value.Standing is not (SiteStanding.Checking or SiteStanding.Awaiting) || !roster.Trainers.Contains(site.Key)) && Ready(state).Count() >= state.Plan.MinContributors;
        return answered || now >= preparing.Deadline ? OpenOrWait(state, roster, now) : null;
    }

    private static Transition? AdvanceWaiting(RunState state, Waiting waiting, Roster roster, DateTimeOffset now)
    {
        if (Hopeless(state) is var (reason, told)) return End(state, RunEnd.Failed, reason, told);
        if (state.Paused is not null) return null;
        Transition next = OpenOrWait(state, roster, now);
        return next.State.Phase is Waiting { Reason: var reason2 } && reason2 == waiting.Reason ? null : next;
    }

    internal static Transition OpenOrWait(RunState state, Roster roster, DateTimeOffset now)
    {
        if (state.Paused is not null) return new Transition(state with { Phase = new Waiting("") }, []);
        bool hasKeys = !state.Plan.Secure || SecureRules.Fit(state, roster);
        ImmutableSortedSet<string> cohort = hasKeys ? SecureRules.WithKeys(state, LiveReady(state, roster)) : LiveReady(state, roster);
        string? tooFew = hasKeys ? SecureRules.TooFewAccept(state) : null;
        if (cohort.Count < state.Plan.MinContributors || tooFew is not null)
        {
            string reason = tooFew ?? string.Create(CultureInfo.InvariantCulture, $"{cohort.Count} of {state.Plan.MinContributors} needed sites{CohortRules.Kind(state.Plan)} are ready and connected.{SiteRules.Waiting(state)}{(hasKeys ? SecureRules.OtherRoster(state) : "")}");
            return new Transition(state with { Phase = new Waiting(reason) }, [new Announce(RunLog.Waiting, reason, state.Round)]);
        }

        if (!hasKeys) return SecureRules.Begin(state);
        int round = state.Round + 1;
        (ImmutableSortedSet<string> drawn, int? wanted) = CohortRules.Draw(state.Plan, round, cohort, Ready(state).Count(roster.Trainers.Contains));
        var open = new RoundOpen(now, now + state.Plan.Deadline, drawn, ImmutableSortedDictionary.Create<string, Contribution>(StringComparer.Ordinal), ImmutableSortedSet.Create<string>(StringComparer.Ordinal), wanted);
        if (state.Plan.Buffer is not null) (state, open) = BufferRules.Begin(state, round, open);
        return new Transition(
            state with { Round = round, Phase = open },
            [
                new Summarize(round, "open", open.Cohort, open.Contributions, now),
                new Announce(RunLog.RoundOpened, CohortRules.Opened(state.Plan, round, cohort.Count, open), round, Model: state.Plan.Statistics ? "" : state.ModelSha256),
            ]);
    }

    private static Transition? AdvanceRound(RunState state, RoundOpen open, DateTimeOffset now)
    {
        bool allDone = open.Contributions.Count + open.Failed.Count == open.Cohort.Count, isEnough = open.Contributions.Count >= open.Wanted;
        if (state.Buffer is not null) allDone &= open.Contributions.Count >= state.Plan.MinContributors; // else it waits for more
        if (!allDone && !isEnough && now < open.Deadline) return null;
        string missing = isEnough ? "" : string.Join(", ", open.Cohort.Where(site => !open.Contributions.ContainsKey(site)));
        string without = missing.Length == 0 ? "" : $", without {missing}";
        if (open.Contributions.Count >= state.Plan.MinContributors)
        {
            return new Transition(
                ControlRules.Close(state, open) with { Phase = new Aggregating(open.OpenedAt, open.Cohort, open.Contributions) },
                [
                    new Summarize(state.Round, "closed", open.Cohort, open.Contributions, open.OpenedAt),
                    new Announce(RunLog.RoundClosed, $"Round {state.Round} closed with {open.Contributions.Count} updates{(isEnough ? ", as many as it wanted" : without)}.", state.Round),
                    new Aggregate(state.Round, open.Contributions),
                ]);
        }

        return AbandonRules.TooFew(state, open, without);
    }

    internal static Transition FinishEvaluation(RunState state, Evaluating evaluating)
    {
        EvaluationSums[] reports = [.. evaluating.Reports.Values.Where(sums => sums.Examples > 0)];
        List<RunEffect> effects = [];
        string? enough = null;
        if (reports.Length > 0)
        {
            // Without every site's histograms there is no AUC of all; the other figures stand.
            if (reports.Any(report => report.NegativeHistogram.Count == 0)) reports = [.. reports.Select(report => report with { NegativeHistogram = [], PositiveHistogram = [] })];
            EvaluationSums sums = reports.Aggregate((a, b) => a.Add(b));
            Metrics metrics = sums.ToMetrics();
            effects.Add(new KeepEvaluation(state.Round, sums));
            effects.Add(new Announce(RunLog.Evaluated, string.Create(CultureInfo.InvariantCulture, $"Accuracy {metrics.Accuracy:0.0000} over {(sums.HasLosses ? "" : "about ")}{metrics.Examples} test rows of {evaluating.Encrypted?.Count ?? reports.Length} sites{(sums.HasLosses ? "" : ", with noise in every count")}."), state.Round, Model: state.ModelSha256, Metrics: metrics));
            (StopProgress? progress, enough) = StopRules.After(state.Plan, state.Progress, metrics);
            state = state with { Progress = progress };
        }

        bool isLast = state.CompletedRounds == state.Plan.Rounds;
        return Then(isLast || enough is not null ? End(state, RunEnd.Completed, isLast ? "" : $"Stopped after {state.CompletedRounds} of {state.Plan.Rounds} rounds: {enough}") : new Transition(state with { Phase = new Waiting("") }, []), effects);
    }

    /// <summary>Why the run cannot go on: sites fell out, and those left, even if all became ready, are too few. Null: it can.</summary>
    /// <returns>The reason for everybody, and the same with the sites' own words for the operator: what one site says is not other sites' to hear.</returns>
    internal static (string Reason, string Told)? Hopeless(RunState state)
    {
        KeyValuePair<string, RunSite>[] left = [.. state.Sites.Where(site => site.Value.Standing is SiteStanding.Refused or SiteStanding.Failed)];
        int possible = state.Sites.Count - left.Length;
        if (left.Length == 0 || possible >= state.Plan.MinContributors) return null;
        string reason = string.Create(CultureInfo.InvariantCulture, $"{possible} of {state.Plan.MinContributors} needed sites can take part.");
        string reasons = string.Join(" ", left.Select(site => $"{site.Key}: {Shorten(string.Join(" ", site.Value.Reasons), 500)}"));
        return (reason, $"{reason} {Shorten(reasons, 4000)}");
    }

    /// <param name="told">For the run's log, in place of the reason.</param>
    internal static Transition End(RunState state, RunEnd how, string reason, string? told = null)
    {
        string kind = how switch { RunEnd.Completed => RunLog.Completed, RunEnd.Failed => RunLog.Failed, _ => RunLog.Cancelled };
        string message = how == RunEnd.Completed ? state.Plan.Statistics ? "Completed." : $"{(reason.Length == 0 ? $"Completed after {state.CompletedRounds} rounds" : reason.TrimEnd('.'))}; the model is {state.ModelSha256[..12]}." : told ?? reason;
        List<RunEffect> effects = [];
        if (state.Phase is RoundOpen open) effects.Add(new Summarize(state.Round, "abandoned", open.Cohort, open.Contributions, open.OpenedAt));
        if (state.Round > 0) effects.Add(new DropUploads(state.Round));
        if (state.StrategyRound > 0) effects.Add(new KeepStrategy(0));
        effects.Add(new Announce(kind, message, state.Round, Model: state.Plan.Statistics ? "" : state.ModelSha256));
        return new Transition(state with { Phase = new Ended(how, reason) }, effects);
    }

    // The full lists stand with the sites; a reason is a line in every list of runs.
    private static string Shorten(string text, int longest) => text.Length <= longest ? text : text[..longest] + "…";

    internal static Transition Refuse(RunState state, Refusal refusal, string reason) => new(state, [], refusal, reason);

    private static Transition Then(Transition transition, List<RunEffect> before) => transition with { Effects = [.. before, .. transition.Effects] };

    private static IEnumerable<string> Ready(RunState state) => state.Sites.Where(site => site.Value.Standing == SiteStanding.Ready).Select(site => site.Key);

    private static ImmutableSortedSet<string> LiveReady(RunState state, Roster roster) => Ready(state).Where(roster.Live.Contains).ToImmutableSortedSet(StringComparer.Ordinal);
}
