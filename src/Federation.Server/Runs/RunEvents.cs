using System.Collections.Immutable;
using Federation.Formats.Evaluation;
using Federation.Formats.Runs;
using Federation.Protocol;

namespace Federation.Server.Runs;

/// <summary>The sites as the coordinator sees them at one moment.</summary>
/// <param name="Trainers">Enrolled sites that train (or have not said yet what they do).</param>
/// <param name="Live">Those heard of lately.</param>
/// <param name="Identities">A hash of all trainers' names and keys: keys of an epoch are made for these.</param>
/// <param name="Labels">What each says of itself; null: nothing is known.</param>
public sealed record Roster(IReadOnlySet<string> Trainers, IReadOnlySet<string> Live, string Identities = "", IReadOnlyDictionary<string, IReadOnlyDictionary<string, string>>? Labels = null);

/// <summary>What happened.</summary>
public abstract record RunEvent;

/// <summary>Time went by, or sites came or went.</summary>
public sealed record Tick : RunEvent;

/// <param name="AwaitsApproval">Nothing is wrong but that somebody has not signed yet.</param>
/// <param name="Approvals">So many co-signatures it has judged.</param>
public sealed record SiteAnswered(string Site, IReadOnlyList<string> Mismatches, bool AwaitsApproval = false, int Approvals = 0) : RunEvent;

/// <summary>A co-signature that is right; whether it counts, each site's policy says.</summary>
public sealed record ApprovalSigned(RunSignature Approval) : RunEvent;

/// <summary>A node process started; what kept its site out may be mended, so it is asked again.</summary>
public sealed record SiteJoined(string Site) : RunEvent;

/// <summary>The operator has taken the site's key from it.</summary>
public sealed record SiteRevoked(string Site) : RunEvent;

/// <summary>The coordinator's clock was set.</summary>
/// <param name="By">Negative: back.</param>
public sealed record ClockMoved(TimeSpan By) : RunEvent;

/// <param name="Round">0: before the first round.</param>
/// <param name="RosterRefused">The site pins another roster than that of the run's keys.</param>
/// <param name="AwaitsApproval">Its policy asks for signatures that it has not seen, or it has lost its record of the run.</param>
public sealed record SiteFailed(string Site, int Round, string Reason, bool RosterRefused = false, bool AwaitsApproval = false) : RunEvent;

/// <summary>An upload is complete and its content was checked.</summary>
public sealed record UpdateArrived(string Site, int Round, string ModelSha256, Contribution Contribution) : RunEvent;

/// <param name="Opening">Null: the updates were not encrypted.</param>
/// <param name="SiteClip">Of the next rounds' updates; null: it stays.</param>
/// <param name="Note">A line for the run's log, told when the model is: what a noisy sum says may be told once, and of one noise.</param>
/// <param name="StrategyKept">The strategy wrote what it goes on with in the next round.</param>
public sealed record Aggregated(int Round, string ModelSha256, RoundOpening? Opening = null, double? SiteClip = null, string Note = "", bool StrategyKept = false) : RunEvent;

/// <summary>How a round's sum was opened.</summary>
/// <param name="Epoch">Whose keys.</param>
/// <param name="Members">Those whose answers opened it.</param>
/// <param name="Weight">Of the sum: examples, summed over the contributors; 0 in a differentially private run, where nobody knows.</param>
/// <param name="Bytes">Of all contributions.</param>
/// <param name="OpeningSeconds">From the round's closing until the last answer, as far as this process has seen it.</param>
/// <param name="DecodingSeconds">From there to the next model.</param>
/// <param name="TranscriptSha256">Of the signed messages that opened it, as <c>fed run verify-transcript</c> reads them.</param>
public sealed record RoundOpening(int Epoch, ImmutableArray<string> Members, ulong Weight, long Bytes, double OpeningSeconds, double DecodingSeconds, string TranscriptSha256);

/// <summary>The sum could not be made.</summary>
/// <param name="IsOfUpdates">What came makes no model, and other updates may; else it is the coordinator's own trouble.</param>
public sealed record AggregationFailed(int Round, string Reason, bool IsOfUpdates = false) : RunEvent;

public sealed record EvaluationArrived(string Site, int Round, EvaluationSums Sums) : RunEvent;

/// <summary>A site's evaluation sums, encrypted and checked.</summary>
public sealed record EvaluationSealed(string Site, int Round, Contribution Contribution) : RunEvent;

/// <param name="Sums">Null: they could not be opened.</param>
/// <param name="Reason">Why not.</param>
public sealed record EvaluationOpened(int Round, EvaluationSums? Sums, string Reason = "") : RunEvent;

/// <summary>The sum of the sites' tables was opened.</summary>
/// <param name="Sha256">The blob with the statistics.</param>
public sealed record StatisticsOpened(int Round, string Sha256, ulong Rows, RoundOpening Opening) : RunEvent;

public sealed record CancelRequested : RunEvent;

/// <summary>The operator lets no further round be opened.</summary>
public sealed record PauseRequested(Pause How) : RunEvent;

/// <param name="WithAll">Only a run that was paused together with all others goes on.</param>
public sealed record ResumeRequested(bool WithAll) : RunEvent;

/// <summary>An epoch's certificate is signed and its test opened.</summary>
public sealed record EpochMade(int Attempt, EpochKeys Keys, int Members, int Threshold) : RunEvent;

/// <summary>An attempt at an epoch ended without keys; the next one begins without these members.</summary>
/// <param name="InTest">The keys were made, and the answers to their self-test opened nothing: one member's share, key or answer is wrong, and nobody can say whose.</param>
/// <param name="RosterRefusedBy">Sites that pin another roster, of those that were asked.</param>
/// <param name="Restarted">Nobody failed: the coordinator was started anew.</param>
public sealed record EpochFailed(int Epoch, int Attempt, string Reason, IReadOnlyList<string> Dropped, bool InTest = false, IReadOnlyList<string>? RosterRefusedBy = null, bool Restarted = false) : RunEvent;

/// <summary>A member has no share any more, and says so.</summary>
public sealed record ShareLost(string Site, string Reason) : RunEvent;

/// <summary>The operator asks for new keys before the next round.</summary>
public sealed record RotateRequested : RunEvent;

/// <summary>A closed round's sum can never be opened: shares are gone. The epoch ends, and the round with it.</summary>
/// <param name="ModelSha256">What the next round starts from: the same weights under a new hash, since members answer one set of contributors a model.</param>
/// <param name="IsAsked">Members were asked, and may have noted an answer.</param>
public sealed record OpeningLost(int Round, string Reason, string ModelSha256, bool IsAsked = true) : RunEvent;

/// <summary>What the host has to do after the new state is stored.</summary>
public abstract record RunEffect;

/// <summary>A line of the run's log. <see cref="RunLog"/> lists the kinds.</summary>
public sealed record Announce(string Kind, string Message, int Round = 0, string Site = "", string Model = "", Metrics? Metrics = null) : RunEffect;

/// <summary>Sum the uploads of these sites into the next model.</summary>
public sealed record Aggregate(int Round, ImmutableSortedDictionary<string, Contribution> Contributions) : RunEffect;

/// <summary>Have the sum of these sites' evaluations opened.</summary>
public sealed record OpenEvaluation(int Round, ImmutableSortedDictionary<string, Contribution> Contributions) : RunEffect;

/// <summary>Begin an attempt at a key epoch; <see cref="SecureRules.Committee"/> says by whom.</summary>
/// <param name="HasFormer">The former keys would still serve: nothing is made for a roster that a site has not accepted.</param>
public sealed record MakeKeys(int Epoch, int Attempt, ImmutableSortedSet<string> Dropped, int FailedTests = 0, bool HasFormer = false) : RunEffect;

/// <summary>No keys are made any more; whatever attempt is under way ends.</summary>
public sealed record StopKeys : RunEffect;

/// <summary>The round's uploads are no longer needed.</summary>
public sealed record DropUploads(int Round) : RunEffect;

/// <summary>What the strategy kept from other rounds than this is no longer needed; 0: nothing is.</summary>
public sealed record KeepStrategy(int Round) : RunEffect;

/// <summary>The round has a new summary.</summary>
public sealed record Summarize(int Round, string State, ImmutableSortedSet<string> Cohort, ImmutableSortedDictionary<string, Contribution> Contributions, DateTimeOffset OpenedAt, string Model = "", RoundOpening? Opening = null) : RunEffect;

/// <summary>The round made this model.</summary>
public sealed record KeepModel(int Round, string Sha256) : RunEffect;

/// <summary>Federated evaluation of a round's model.</summary>
public sealed record KeepEvaluation(int Round, EvaluationSums Sums) : RunEffect;

/// <summary>Kinds of <see cref="Announce"/>.</summary>
public static class RunLog
{
    public const string Submitted = "submitted", SiteReady = "site-ready", SiteRefused = "site-refused", SiteWaits = "site-waits", SiteFailed = "site-failed", Approved = "approved", Waiting = "waiting", RoundOpened = "round-opened",
        Contributed = "contributed", RoundClosed = "round-closed", RoundAbandoned = "round-abandoned", Model = "model", Evaluated = "evaluated", Statistics = "statistics", KeysMade = "keys-made", KeysFailed = "keys-failed", Opening = "opening", Opened = "opened", OpeningFailed = "opening-failed", Refused = "refused", Completed = "completed", Failed = "failed", Cancelled = "cancelled", Paused = "paused", Resumed = "resumed", Restored = "restored", Clock = "clock";
}

/// <param name="Refused">Null, or why the event changed nothing.</param>
/// <param name="Duplicate">The event had happened before; nothing changed and nothing is wrong.</param>
public sealed record Transition(RunState State, IReadOnlyList<RunEffect> Effects, Refusal? Refused = null, string Reason = "", bool Duplicate = false);
