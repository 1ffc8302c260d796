using System.Collections.Immutable;
using System.Text.Json.Serialization;
using Federation.Formats.Evaluation;
using Federation.Formats.Runs;

namespace Federation.Server.Runs;

/// <summary>What a run's spec means for its rounds.</summary>
/// <param name="Sites">The sites asked, or null for all trainers.</param>
/// <param name="EvaluateEvery">Federated evaluation after every this many changed models and after the last; null: none.</param>
/// <param name="Secure">Only sums are opened, by a committee.</param>
/// <param name="MaxOpenings">Of one key epoch.</param>
/// <param name="AbortOnLoss">The run fails where too few members can open a sum; otherwise it waits.</param>
/// <param name="Statistics">One sum of the sites' tables is opened; nothing is trained.</param>
/// <param name="Draw">A part of the sites is drawn for each round, by the seed; null: all are asked.</param>
/// <param name="Labels">Only sites that say this of themselves are asked; null: all are.</param>
/// <param name="Stop">When it ends before the last round; null: never.</param>
/// <param name="Buffer">It is asynchronous; null: the sites of a round start from one model.</param>
/// <param name="HasControls">SCAFFOLD: sites have control variates.</param>
public sealed record RunPlan(int Rounds, int MinContributors, TimeSpan Deadline, IReadOnlyList<string>? Sites, int? EvaluateEvery, bool Secure = false, int MaxOpenings = 0, bool AbortOnLoss = false, bool Statistics = false,
    DrawSpec? Draw = null, ulong Seed = 0, IReadOnlyDictionary<string, string>? Labels = null, StopSpec? Stop = null, BufferPlan? Buffer = null, bool HasControls = false)
{
    /// <summary>Whether the sites evaluate the model of this completed round.</summary>
    public bool IsEvaluated(int completed) => EvaluateEvery is { } every && (completed == Rounds || completed % every == 0);

    public static RunPlan Of(RunSpec spec) => new(
        spec.Rounds, spec.Cohort.MinContributors, spec.Cohort.Deadline, spec.Cohort.Sites, spec.Evaluate?.Every, spec.SecureAggregation is not null, spec.SecureAggregation?.MaxOpenings ?? 0, spec.SecureAggregation?.OnCommitteeLoss == CommitteeLoss.Abort, spec.Statistics is not null,
        spec.Cohort.Draw, spec.Seed, spec.Cohort.Labels, spec.Stop, BufferRules.PlanOf(spec.Strategy), spec.Strategy.Kind == StrategyKind.Scaffold);
}

/// <summary>A site's standing in a run.</summary>
public enum SiteStanding
{
    /// <summary>Asked to check its data; has not answered.</summary>
    Checking,
    Ready,

    /// <summary>Its policy asks for signatures, or an approval of its own, that are missing.</summary>
    Awaiting,

    /// <summary>Its data does not fit the run.</summary>
    Refused,

    /// <summary>It could not check or train.</summary>
    Failed,
}

/// <param name="Reasons">Why it was refused, or failed; what it waits for.</param>
/// <param name="Failures">Rounds failed in a row.</param>
public sealed record RunSite(SiteStanding Standing, ImmutableArray<string> Reasons, int Failures = 0)
{
    public static readonly RunSite Asked = new(SiteStanding.Checking, []);

    /// <summary>The same question again, to the same process.</summary>
    [JsonIgnore]
    public RunSite AskedAnew => this with { Standing = SiteStanding.Checking, Reasons = [] };
}

/// <summary>A complete, checked upload.</summary>
/// <param name="From">Asynchronous runs: the round whose model it starts from. 0: the round that it is counted in.</param>
public sealed record Contribution(string UpdateSha256, ulong Weight, int From = 0);

/// <summary>Asynchronous runs: a step is made of so many updates, from models of at most so many steps before.</summary>
public sealed record BufferPlan(int Size, int MaxStaleness);

/// <summary>What an asynchronous run knows besides its phase.</summary>
/// <param name="Models">That updates may start from, by round.</param>
/// <param name="Newest">Of each site the newest round whose model one of its counted updates started from: each of its updates counts once.</param>
/// <param name="Updates">The hash of that update; null: an older program wrote the state.</param>
/// <param name="Early">Came while no round was open; they are the first in the next.</param>
public sealed record BufferState(ImmutableSortedDictionary<int, string> Models, ImmutableSortedDictionary<string, int> Newest, ImmutableSortedDictionary<string, Contribution> Early, ImmutableSortedDictionary<string, string>? Updates = null)
{
    public static readonly BufferState Empty = new(ImmutableSortedDictionary<int, string>.Empty, ImmutableSortedDictionary.Create<string, int>(StringComparer.Ordinal), ImmutableSortedDictionary.Create<string, Contribution>(StringComparer.Ordinal));
}

/// <summary>Where a run stands.</summary>
[JsonDerivedType(typeof(Preparing), "preparing")]
[JsonDerivedType(typeof(Waiting), "waiting")]
[JsonDerivedType(typeof(MakingKeys), "keys")]
[JsonDerivedType(typeof(RoundOpen), "training")]
[JsonDerivedType(typeof(Aggregating), "aggregating")]
[JsonDerivedType(typeof(Evaluating), "evaluating")]
[JsonDerivedType(typeof(Ended), "ended")]
public abstract record RunPhase;

/// <summary>The sites check their data; training starts when all have answered, or at the deadline.</summary>
public sealed record Preparing(DateTimeOffset Deadline) : RunPhase;

/// <summary>Too few sites are ready and connected to open a round.</summary>
public sealed record Waiting(string Reason) : RunPhase;

/// <summary>The committee makes the keys of an epoch.</summary>
/// <param name="Dropped">Members that failed in an attempt before.</param>
/// <param name="FailedTests">Attempts whose keys were signed by all and failed the self-test.</param>
/// <param name="Uncounted">Attempts that ended because sites have not accepted the roster, which takes people time, or because the coordinator restarted.</param>
/// <param name="Former">Keys that would still serve the sites they were made for; null: none.</param>
public sealed record MakingKeys(int Epoch, int Attempt, ImmutableSortedSet<string> Dropped, int FailedTests = 0, int Uncounted = 0, EpochKeys? Former = null) : RunPhase;

/// <summary>The keys of an epoch, made and tested.</summary>
/// <param name="CertificateSha256">Blobs: certificate, roster, and the answers that opened the test.</param>
/// <param name="Identities">Of the sites it was made for: who they were and with which keys.</param>
/// <param name="Openings">Sums opened with it, or tried.</param>
/// <param name="Retired">The operator asked for new ones, or a share is lost: no further round begins with it.</param>
/// <param name="Sites">In its roster; null: those of the run.</param>
/// <param name="Declined">Identities of sites for which new keys were to be made, and were not: a site has not accepted them, or all attempts failed. These go on until a node starts anew.</param>
/// <param name="Members">That hold shares; null: not known.</param>
/// <param name="Threshold">So many of them open a sum.</param>
/// <param name="RefusedBy">Sites that pin another roster than the one that these were made for: they have no part in rounds with them. Null: none.</param>
public sealed record EpochKeys(
    int Epoch, string CertificateSha256, string RosterSha256, string TestSha256, string Identities, int Openings, bool Retired = false, IReadOnlyList<string>? Sites = null, string Declined = "",
    IReadOnlyList<string>? Members = null, int Threshold = 0, IReadOnlyList<string>? RefusedBy = null);

/// <summary>Sites of the cohort train and upload.</summary>
/// <param name="Wanted">With so many updates the round closes: more sites were asked. Null: all are waited for.</param>
/// <param name="Rests">Asynchronous runs that are paused: too few updates came by the deadline, and the round keeps them until the run goes on.</param>
public sealed record RoundOpen(
    DateTimeOffset OpenedAt, DateTimeOffset Deadline, ImmutableSortedSet<string> Cohort, ImmutableSortedDictionary<string, Contribution> Contributions, ImmutableSortedSet<string> Failed, int? Wanted = null, bool Rests = false) : RunPhase;

/// <summary>The round is closed; its uploads are being summed.</summary>
public sealed record Aggregating(DateTimeOffset OpenedAt, ImmutableSortedSet<string> Cohort, ImmutableSortedDictionary<string, Contribution> Contributions) : RunPhase;

/// <summary>Sites evaluate the newest model on their own test rows; only sums travel.</summary>
/// <param name="Asked">All that were asked; null in a run without secure aggregation.</param>
/// <param name="Encrypted">Sums that came encrypted.</param>
/// <param name="Closed">Their sum is being opened.</param>
public sealed record Evaluating(
    DateTimeOffset Deadline, ImmutableSortedSet<string> Pending, ImmutableSortedDictionary<string, EvaluationSums> Reports,
    ImmutableSortedSet<string>? Asked = null, ImmutableSortedDictionary<string, Contribution>? Encrypted = null, bool Closed = false) : RunPhase;

public enum RunEnd
{
    Completed,
    Failed,
    Cancelled,
}

public sealed record Ended(RunEnd How, string Reason) : RunPhase;

/// <summary>How the operator paused a run.</summary>
public enum Pause
{
    ByName,

    /// <summary>Together with all others, for maintenance: it goes on with them.</summary>
    WithAll,
}

/// <summary>Everything that decides what happens next in a run. Immutable; stored as JSON after every change.</summary>
/// <param name="Round">Number of the last round opened; 0: none yet.</param>
/// <param name="CompletedRounds">Rounds that changed the model.</param>
/// <param name="ModelSha256">The newest global model; of a run for statistics, the hash of query and data version.</param>
/// <param name="StatisticsSha256">The blob with what was opened; empty: nothing.</param>
/// <param name="Epoch">Number of the last key epoch begun; 0: none yet.</param>
/// <param name="Keys">Null: none that the next round can use.</param>
/// <param name="LostOpenings">Rounds in a row whose sum could not be opened.</param>
/// <param name="SiteClip">Site-level differential privacy: the norm that the next updates are clipped to, vote and weight included; null: that of the spec.</param>
/// <param name="StrategyRound">The round after which the strategy kept what it goes on with; 0: nothing.</param>
/// <param name="Submission">What is signed beside spec and schema, and by whom; null: an older program took the run.</param>
/// <param name="Buffer">Asynchronous runs, from the first round on; else null.</param>
/// <param name="Controls">Runs of SCAFFOLD, from the first closed round on; else null.</param>
/// <param name="Progress">What evaluations have shown so far, for the plan's stop; null: nothing.</param>
/// <param name="Paused">No round is opened; what is under way comes to its end. Null: the run goes on.</param>
public sealed record RunState(RunPlan Plan, RunPhase Phase, ImmutableSortedDictionary<string, RunSite> Sites, int Round, int CompletedRounds, string ModelSha256, int Epoch = 0, EpochKeys? Keys = null, string StatisticsSha256 = "", int LostOpenings = 0, double? SiteClip = null, int StrategyRound = 0, SignedSubmission? Submission = null, Pause? Paused = null, StopProgress? Progress = null, BufferState? Buffer = null, ControlBook? Controls = null)
{
    public static RunState Submitted(RunPlan plan, string initialModel, DateTimeOffset now, SignedSubmission? submission = null) => new(
        plan,
        new Preparing(now + plan.Deadline),
        (plan.Sites ?? []).ToImmutableSortedDictionary(site => site, _ => RunSite.Asked, StringComparer.Ordinal),
        0,
        0,
        initialModel,
        Submission: submission);

    /// <summary>Paused, and nothing that a site has paid for is under way any more.</summary>
    public bool IsAtRest => Paused is not null && Phase is Preparing or Waiting or MakingKeys or RoundOpen { Rests: true };

    public string PhaseName => Phase switch
    {
        Ended ended => ended.How.ToString().ToLowerInvariant(),
        _ when IsAtRest => "paused",
        _ when Paused is not null => "pausing",
        Preparing => "preparing",
        Waiting => "waiting",
        MakingKeys => "making-keys",
        RoundOpen => "training",
        Aggregating => "aggregating",
        Evaluating => "evaluating",
        _ => throw new InvalidOperationException($"No name for {Phase.GetType().Name}."),
    };

    public bool IsOver => Phase is Ended;
}
