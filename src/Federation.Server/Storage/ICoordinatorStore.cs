using Federation.Formats.Evaluation;
using Federation.Formats.Configuration;
using Federation.Privacy.Ledger;
using Federation.Protocol.Identity;
using Federation.Server.Runs;

namespace Federation.Server.Storage;

/// <param name="KeySha256">SPKI of the identity that counts; null: invited, not enrolled.</param>
/// <param name="Role">Null before the first join.</param>
/// <param name="Revoked">When its key was taken from it; null: it was not, or the site is invited again.</param>
/// <param name="Labels">What it says of itself; null: nothing.</param>
public sealed record SiteRecord(string Name, string? KeySha256, NodeRole? Role, IReadOnlyList<string> DataIds, DateTimeOffset? LastSeen, DateTimeOffset? Revoked = null, IReadOnlyDictionary<string, string>? Labels = null);

/// <param name="KeySha256">Null: it had none.</param>
public sealed record RevokedSite(string? KeySha256, DateTimeOffset At);

/// <param name="IsToken">By bearer token; else by certificate.</param>
/// <param name="Proof">SHA-256 of the token's secret, or of the certificate's SPKI.</param>
public sealed record OperatorRecord(string Name, OperatorRole Role, bool IsToken, string Proof, DateTimeOffset Issued, DateTimeOffset Expires, DateTimeOffset? Revoked = null);

public enum InvitationUse
{
    Taken,
    Unknown,
    AlreadyUsed,
    Expired,

    /// <summary>The invitation is good; the key was revoked before.</summary>
    KeyRevoked,
}

public sealed record RunRecord(string Id, string Name, string SpecYaml, string SchemaYaml, DateTimeOffset SubmittedAt, string StateJson, bool Over);

public sealed record EventRecord(long Sequence, DateTimeOffset At, string Kind, int Round, string Site, string Message, string Model, Metrics? Metrics);

/// <param name="Opening">Null: the round's sum is not opened, or its updates are not encrypted.</param>
public sealed record RoundRecord(int Round, string State, IReadOnlyList<string> Cohort, IReadOnlyList<string> Contributors, ulong Weight, string Model, double Seconds, ulong BytesDown, ulong BytesUp, ulong BytesControl, RoundOpening? Opening = null);

public sealed record UploadRecord(string Site, string ModelSha256, string UpdateSha256, long Size, ulong Weight);

public sealed record ModelRecord(string RunId, int Round, string Sha256, long Size, DateTimeOffset CreatedAt);

public sealed record EvaluationRecord(string RunId, int Round, string Source, EvaluationSums Sums);

/// <summary>Signed messages of an epoch or of an opening, kept for whoever checks a run later.</summary>
/// <param name="Round">0 for an epoch.</param>
public sealed record TranscriptRecord(string RunId, string Kind, int Round, int Epoch, byte[] Content)
{
    public const string KeyEpoch = "epoch", Opening = "opening";
}

/// <summary>What one transition of a run adds to the store; all of it or nothing.</summary>
public sealed record RunChange(
    string RunId, string StateJson, bool Over, IReadOnlyList<EventRecord> Events, IReadOnlyList<RoundRecord> Rounds, IReadOnlyList<ModelRecord> Models, IReadOnlyList<EvaluationRecord> Evaluations);

/// <summary>The coordinator's durable state. Every call is one transaction, on disk when it returns, so that state is committed before it is announced; those that say so are on disk with the next other one at the latest.</summary>
/// <exception cref="StoreUnavailableException">Of every call: the database is away or locked. Calls may be made again: what was stored already changes nothing, but for <see cref="AddRun"/> and <see cref="Save"/>.</exception>
public interface ICoordinatorStore : IDisposable
{
    void AddInvitation(string site, string secretSha256, DateTimeOffset expires);

    /// <summary>Whether there is or was an invitation with this secret.</summary>
    bool IsInvited(string secretSha256);

    /// <summary>Uses an invitation up, and every other of this site that is open, and gives the site its identity, in one transaction; with the same key again: changes nothing.</summary>
    InvitationUse Enroll(string site, string secretSha256, string keySha256, DateTimeOffset now);

    /// <summary>Takes a site's key and open invitations from it, for good; again: changes nothing.</summary>
    /// <returns>Null: there is no such site.</returns>
    RevokedSite? Revoke(string site, DateTimeOffset now);

    /// <summary>Whether this key was taken from a site.</summary>
    bool IsRevoked(string keySha256);

    IReadOnlyList<SiteRecord> Sites();

    SiteRecord? FindSite(string name);

    /// <summary>Keeps an operator under a name of its own; one that was revoked or has expired gives its name up.</summary>
    /// <returns>False: the name is taken.</returns>
    bool AddOperator(OperatorRecord added, DateTimeOffset now);

    IReadOnlyList<OperatorRecord> Operators();

    /// <summary>By name; null: none.</summary>
    OperatorRecord? FindOperator(string name);

    /// <summary>Ends what an operator may do; again: changes nothing.</summary>
    /// <returns>Null: there is none of this name.</returns>
    OperatorRecord? RevokeOperator(string name, DateTimeOffset now);

    /// <summary>Keeps the number and hash of the audit log's last line in place of the ones before. On disk with the next call.</summary>
    void SaveAuditHead(long line, string hash);

    /// <summary>Null: none yet.</summary>
    (long Line, string Hash)? AuditHead();

    /// <summary>On disk with the next call: a coordinator that starts anew is joined anew.</summary>
    void SaveJoin(string site, NodeRole role, IReadOnlyList<string> dataIds, IReadOnlyDictionary<string, string> labels, DateTimeOffset now);

    /// <summary>The latest heads of a site's privacy ledgers, one a data set.</summary>
    IReadOnlyList<LedgerHead> LedgerHeads(string site);

    /// <summary>Keeps a head, unless a later one is known. On disk with the next call: before what it came with is counted.</summary>
    /// <returns>The one that is known, where the new one is behind it or contradicts it; null: kept.</returns>
    LedgerHead? SaveLedgerHead(string site, LedgerHead head);

    /// <summary>The newest roster of sites and their keys, as bytes; null: none yet.</summary>
    byte[]? NewestRoster();

    void AddRoster(ulong version, byte[] roster);

    /// <summary>Keeps a site's signed opening answer in place of the one before.</summary>
    /// <param name="count">Of its record.</param>
    void KeepAnswer(string site, int count, byte[] answer);

    /// <summary>Null: none.</summary>
    byte[]? KeptAnswer(string site);

    /// <summary>Again: changes nothing.</summary>
    void AddTranscript(TranscriptRecord transcript);

    /// <summary>SHA-256 of each, in the order in which they were added.</summary>
    IReadOnlyList<string> TranscriptHashes(string runId);

    /// <summary>In the order in which they were added, one at a time: together they may be large.</summary>
    IEnumerable<TranscriptRecord> Transcripts(string runId);

    /// <param name="initial">Null: the run has no model.</param>
    void AddRun(RunRecord run, EventRecord submitted, ModelRecord? initial);

    IReadOnlyList<RunRecord> Runs();

    /// <summary>Null: none.</summary>
    RunRecord? FindRun(string id);

    void Save(RunChange change);

    IReadOnlyList<EventRecord> Events(string runId, long afterSequence);

    IReadOnlyList<RoundRecord> Rounds(string runId);

    UploadRecord? FindUpload(string runId, int round, string site);

    /// <summary>On disk with the next call: an update that was announced and is not known is announced anew.</summary>
    void SaveUpload(string runId, int round, UploadRecord upload);

    void DropUploads(string runId, int round);

    /// <param name="runId">Null: of all runs.</param>
    IReadOnlyList<ModelRecord> Models(string? runId);

    IReadOnlyList<EvaluationRecord> Evaluations(string? runId);

    void SaveEvaluation(EvaluationRecord evaluation);

    /// <summary>Remembers that a site knows how the run ended. On disk with the next call: otherwise it is told again.</summary>
    void SaveTold(string runId, string site);

    bool WasTold(string runId, string site);

    /// <summary>Every SHA-256 that a record of a run names, and of every roster: whatever may be a blob that is needed.</summary>
    /// <returns>Empty: nothing is recorded yet.</returns>
    IReadOnlySet<string> NamedContents();
}
