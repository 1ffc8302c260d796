using System.Collections.Immutable;
using System.Globalization;
using Federation.Formats.Evaluation;
using Federation.Protocol;

namespace Federation.Server.Runs;

/// <summary>What secure aggregation adds to the rules of a run: keys before a round, new ones when sites change or the old ones are used up, and the end of an epoch whose shares are lost. Pure.</summary>
internal static class SecureRules
{
    /// <summary>An epoch that failed so often in a row ends its run: what keeps it from being made will not pass by itself.</summary>
    public const int MostAttempts = 10;

    /// <summary>So many rounds in a row whose sum could not be opened end their run: somebody spoils them, and nobody can say who.</summary>
    public const int MostLostOpenings = 10;

    /// <summary>Whether the next round can use the keys there are.</summary>
    public static bool Fit(RunState state, Roster roster) => state.Keys is { } keys && (keys.Identities == roster.Identities || keys.Declined == roster.Identities) && Serve(state);

    /// <summary>Whether the keys serve another round of the sites they were made for.</summary>
    private static bool Serve(RunState state)
    {
        if (state.Keys is not { Retired: false } keys) return false;
        // A round that would be evaluated after the last opening that members allow has no evaluation; fresh keys are used in any case.
        int needed = state.Plan.IsEvaluated(state.CompletedRounds + 1) ? 2 : 1;
        return keys.Openings == 0 || keys.Openings + needed <= state.Plan.MaxOpenings;
    }

    public static EpochKeys? Used(EpochKeys? keys) => keys is null ? null : keys with { Openings = keys.Openings + 1 };

    public static Transition Begin(RunState state)
    {
        int epoch = state.Epoch + 1;
        var dropped = ImmutableSortedSet.Create<string>(StringComparer.Ordinal);
        EpochKeys? former = Serve(state) ? state.Keys : null;
        return new Transition(state with { Epoch = epoch, Keys = null, Phase = new MakingKeys(epoch, 0, dropped, Former: former) }, [new MakeKeys(epoch, 0, dropped, HasFormer: former is not null)]);
    }

    /// <summary>A paused run makes no keys: members that are away for maintenance would count as attempts that failed. When it goes on it begins another epoch.</summary>
    public static Transition Stop(RunState state, MakingKeys making) => new(state with { Keys = making.Former, Phase = new Waiting("") }, [new StopKeys()]);

    public static Transition Made(RunState state, EpochMade made, Roster roster, DateTimeOffset now)
    {
        if (state.Phase is not MakingKeys making || making.Epoch != made.Keys.Epoch || making.Attempt != made.Attempt) return new Transition(state, [], Duplicate: true);
        string message = string.Create(CultureInfo.InvariantCulture, $"Key epoch {made.Keys.Epoch}: {made.Members} members hold shares, any {made.Threshold} open a sum (certificate {made.Keys.CertificateSha256[..12]}).");
        Transition next = RunMachine.OpenOrWait(state with { Keys = made.Keys, Phase = new Waiting("") }, roster, now);
        return next with { Effects = [new Announce(RunLog.KeysMade, message, state.Round), .. next.Effects] };
    }

    public static Transition Failed(RunState state, EpochFailed failed, Roster roster, DateTimeOffset now)
    {
        if (state.Phase is not MakingKeys making || making.Epoch != failed.Epoch || making.Attempt != failed.Attempt) return new Transition(state, [], Duplicate: true);
        string[] others = [.. failed.Dropped.Except(failed.RosterRefusedBy ?? [])]; // that failed, and not because of the roster
        bool isRefused = failed.RosterRefusedBy is { Count: > 0 }, counts = !failed.Restarted && (!isRefused || others.Length > 0 || failed.InTest);
        if (isRefused && making.Former is { } known)
        {
            string who = $"{string.Join(", ", failed.RosterRefusedBy!)} {(failed.RosterRefusedBy!.Count == 1 ? "has" : "have")} not accepted the new roster";
            return GoOn(state, known, who, "When all have accepted it (`fed roster accept`) and started again, new ones are made.", roster, now);
        }

        if (counts && making.Attempt + 1 - making.Uncounted >= MostAttempts)
        {
            string none = $"No keys after {MostAttempts} attempts. {failed.Reason}";
            return making.Former is { } former ? GoOn(state, former, none, "New ones are tried when the sites change or one starts again.", roster, now) : RunMachine.End(state, RunEnd.Failed, none);
        }

        // Sites that have not accepted the roster have not failed: administrators compare it first.
        MakingKeys next = making with
        {
            Attempt = making.Attempt + 1,
            Dropped = making.Dropped.Union(others),
            FailedTests = making.FailedTests + (failed.InTest ? 1 : 0),
            Uncounted = making.Uncounted + (counts ? 0 : 1),
        };
        return new Transition(state with { Phase = next }, [new Announce(RunLog.KeysFailed, failed.Reason, state.Round), new MakeKeys(next.Epoch, next.Attempt, next.Dropped, next.FailedTests, next.Former is not null)]);
    }

    /// <summary>With the former keys and the sites they were made for, until the sites change again, the keys are used up or the operator asks for new ones.</summary>
    private static Transition GoOn(RunState state, EpochKeys former, string because, string until, Roster roster, DateTimeOffset now)
    {
        string message = $"{because.TrimEnd('.')}: the run goes on with the keys of epoch {former.Epoch} and the sites they were made for. {until}";
        Transition next = RunMachine.OpenOrWait(state with { Keys = former with { Declined = roster.Identities }, Phase = new Waiting("") }, roster, now);
        return next with { Effects = [new Announce(RunLog.KeysFailed, message, state.Round), .. next.Effects] };
    }

    /// <summary>The next round gets keys whose shares all members have.</summary>
    public static Transition Lost(RunState state, ShareLost lost) => state.Keys is not { Retired: false } keys
        ? new Transition(state, [], Duplicate: true)
        : new Transition(state with { Keys = keys with { Retired = true } }, [new Announce(RunLog.Refused, $"{lost.Reason} New keys are made before the next round.", state.Round, lost.Site)]);

    /// <summary>Those that the keys in use were made for, and that accept their roster.</summary>
    public static ImmutableSortedSet<string> WithKeys(RunState state, ImmutableSortedSet<string> sites)
    {
        if (state.Keys?.Sites is { } known) sites = sites.Intersect(known);
        return state.Keys?.RefusedBy is { } others ? sites.Except(others) : sites;
    }

    /// <summary>A site pins another roster than that of the keys, as all do one after the other when they accept a new one: it takes part again with the next keys.</summary>
    public static EpochKeys? Without(EpochKeys? keys, string site) => keys is null || keys.RefusedBy?.Contains(site) == true ? keys : keys with { RefusedBy = [.. keys.RefusedBy ?? [], site] };

    /// <summary>A node has started, which is when it may have accepted another roster: it is asked again, and so are all for keys of the newest one.</summary>
    public static RunState Joined(RunState state, string site)
    {
        if (state.Keys is { } keys && (keys.Declined.Length > 0 || keys.RefusedBy?.Contains(site) == true)) return state with { Keys = Asked(keys) };
        return state.Phase is MakingKeys { Former: { RefusedBy: not null } former } making && former.RefusedBy.Contains(site) ? state with { Phase = making with { Former = Asked(former) } } : state;

        EpochKeys Asked(EpochKeys keys) => keys with { Declined = "", RefusedBy = keys.RefusedBy is null || keys.RefusedBy.All(other => other == site) ? null : [.. keys.RefusedBy.Where(other => other != site)] };
    }

    /// <summary>Why no round is begun with the keys there are: too few of those that accept their roster hold shares. Null: one may be.</summary>
    public static string? TooFewAccept(RunState state)
    {
        if (state.Keys is not { RefusedBy: not null, Members: { } members } keys) return null;
        int left = members.Count(member => !keys.RefusedBy.Contains(member));
        return left >= keys.Threshold ? null : string.Create(CultureInfo.InvariantCulture, $"{left} of {keys.Threshold} members that open a sum accept the roster of the run's keys.{OtherRoster(state)}");
    }

    /// <summary>Who is left out because of its roster, for a sentence about what is waited for; empty: nobody.</summary>
    public static string OtherRoster(RunState state) => state.Keys?.RefusedBy is not { } sites ? ""
        : $" {string.Join(", ", sites.Order(StringComparer.Ordinal))} {(sites.Count == 1 ? "pins" : "pin")} another roster than that of the run's keys; new keys are made when all sites have accepted today's (`fed roster accept`).";

    /// <summary>
    /// Who is asked to make keys: all sites but those that failed in an attempt before; all, where too few would be left.
    /// A failed self-test names nobody, so after each one other sites are left out, an eighth of them in turn: one lying member is without a part in the ninth attempt at the latest.
    /// </summary>
    public static string[] Committee(IEnumerable<string> sites, MakeKeys wanted, int threshold)
    {
        string[] all = [.. sites.Order(StringComparer.Ordinal)], members = [.. all.Except(wanted.Dropped)];
        if (members.Length < threshold) members = all;
        int without = Math.Min(members.Length - threshold, (members.Length + 7) / 8), count = members.Length;
        if (wanted.FailedTests == 0 || without <= 0) return members;
        int first = (wanted.FailedTests - 1) * without % count;
        return [.. members.Where((_, i) => (i + count - first) % count >= without)];
    }

    public static Transition Rotate(RunState state) => state.Plan.Secure
        ? new Transition(state.Keys is null ? state : state with { Keys = state.Keys with { Retired = true } }, [new Announce(RunLog.KeysMade, "New keys are made before the next round.", state.Round)])
        : RunMachine.Refuse(state, Refusal.Invalid, "The run has no secure aggregation, hence no keys.");

    public static Transition Lost(RunState state, OpeningLost lost)
    {
        if (state.Phase is not Aggregating closed || lost.Round != state.Round) return new Transition(state, [], Duplicate: true);
        // The same question may have been answered by some for this set of sites: another set is not opened.
        if (state.Plan.Statistics) return RunMachine.End(state, RunEnd.Failed, lost.IsAsked ? $"The sum cannot be opened: {lost.Reason} Members that had answered open no other sum for this query and version of the data." : $"The members were not asked: {lost.Reason}");
        if (state.Plan.AbortOnLoss) return RunMachine.End(state, RunEnd.Failed, $"Round {lost.Round} cannot be opened: {lost.Reason}");
        if (state.LostOpenings + 1 >= MostLostOpenings) return RunMachine.End(state, RunEnd.Failed, $"{MostLostOpenings} rounds in a row could not be opened. {lost.Reason}");
        return new Transition(
            state with { Phase = new Waiting(""), Keys = null, ModelSha256 = lost.ModelSha256, LostOpenings = state.LostOpenings + 1 },
            [
                new KeepModel(state.Round, lost.ModelSha256),
                new Summarize(state.Round, "abandoned", closed.Cohort, closed.Contributions, closed.OpenedAt),
                new DropUploads(state.Round),
                new Announce(RunLog.RoundAbandoned, $"Round {state.Round} abandoned: its sum cannot be opened. {lost.Reason} The weights stay, under the hash {lost.ModelSha256[..12]}; new keys are made.", state.Round, Model: lost.ModelSha256),
            ]);
    }

    public static Transition FinishStatistics(RunState state, StatisticsOpened opened, DateTimeOffset now)
    {
        if (state.Phase is not Aggregating closed || opened.Round != state.Round) return new Transition(state, [], Duplicate: true);
        Transition ended = RunMachine.End(state with { CompletedRounds = 1, StatisticsSha256 = opened.Sha256, Keys = Used(state.Keys) }, RunEnd.Completed, "");
        return ended with
        {
            Effects =
            [
                new Summarize(state.Round, "completed", closed.Cohort, closed.Contributions, closed.OpenedAt, Opening: opened.Opening),
                new Announce(RunLog.Statistics, $"Statistics of {opened.Rows} rows of {closed.Contributions.Count} sites{Describe(opened.Opening, now - closed.OpenedAt)}.", state.Round),
                .. ended.Effects,
            ],
        };
    }

    /// <summary>Examples, sizes and seconds by phase, for the run's log; nothing for a round in the clear.</summary>
    public static string Describe(RoundOpening? opening, TimeSpan round) => opening is null ? "" : string.Create(
        CultureInfo.InvariantCulture,
        $"{(opening.Weight == 0 ? "" : $" of {opening.Weight} examples")} in {opening.Bytes} bytes: {Math.Max(0, round.TotalSeconds - opening.OpeningSeconds - opening.DecodingSeconds):0.0} s training, {opening.OpeningSeconds:0.0} s opening, {opening.DecodingSeconds:0.0} s decoding");

    public static Evaluating Evaluation(ImmutableSortedSet<string> asked, DateTimeOffset deadline) => new(
        deadline, asked, ImmutableSortedDictionary.Create<string, EvaluationSums>(StringComparer.Ordinal), asked, ImmutableSortedDictionary.Create<string, Contribution>(StringComparer.Ordinal));

    public static Transition Evaluate(RunState state, EvaluationSealed report)
    {
        if (state.Phase is not Evaluating { Encrypted: { } encrypted, Closed: false } evaluating || report.Round != state.Round) return RunMachine.Refuse(state, Refusal.WrongRound, $"The model of round {report.Round} is not being evaluated.");
        if (!evaluating.Pending.Contains(report.Site)) return new Transition(state, [], Duplicate: true);
        return new Transition(state with { Phase = evaluating with { Pending = evaluating.Pending.Remove(report.Site), Encrypted = encrypted.Add(report.Site, report.Contribution) } }, []);
    }

    /// <summary>All have answered, or the time is over: the sum is opened if enough came.</summary>
    public static Transition CloseEvaluation(RunState state, Evaluating evaluating) => evaluating.Encrypted!.Count >= state.Plan.MinContributors
        ? new Transition(state with { Phase = evaluating with { Closed = true, Pending = [] } }, [new OpenEvaluation(state.Round, evaluating.Encrypted)])
        : FinishEvaluation(state with { Phase = evaluating with { Closed = true } }, new EvaluationOpened(state.Round, null, $"{evaluating.Encrypted.Count} of {state.Plan.MinContributors} needed sites evaluated the model."));

    public static Transition FinishEvaluation(RunState state, EvaluationOpened opened)
    {
        if (state.Phase is not Evaluating { Closed: true } evaluating || opened.Round != state.Round) return new Transition(state, [], Duplicate: true);
        var reports = ImmutableSortedDictionary.Create<string, EvaluationSums>(StringComparer.Ordinal);
        // Members count what they answered, whatever came of it.
        RunState next = evaluating.Encrypted!.Count < state.Plan.MinContributors ? state : state with { Keys = Used(state.Keys) };
        Transition finished = RunMachine.FinishEvaluation(next, evaluating with { Reports = opened.Sums is { } sums ? reports.Add("all", sums) : reports });
        List<RunEffect> effects = [.. finished.Effects, new DropUploads(state.Round)];
        if (opened.Sums is null) effects.Insert(0, new Announce(RunLog.OpeningFailed, $"The model of round {opened.Round} has no federated evaluation: {opened.Reason}", opened.Round));
        return finished with { Effects = effects };
    }
}
