using System.Collections.Concurrent;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Formats.Evaluation;
using Federation.Privacy.Canonical;
using Federation.Privacy.Ledger;
using Federation.Protocol.Identity;
using Federation.Storage;
using Microsoft.Data.Sqlite;

namespace Federation.Server.Storage;

/// <summary>The embedded store: one SQLite file in WAL mode, one connection, synchronous to disk.</summary>
public sealed partial class SqliteStore : ICoordinatorStore
{
    private const int SchemaVersion = 5;

    private const string Schema = """
        CREATE TABLE invitations(secret TEXT PRIMARY KEY, site TEXT NOT NULL, expires INTEGER NOT NULL, used INTEGER);
        CREATE TABLE sites(name TEXT PRIMARY KEY, key TEXT, role TEXT, data TEXT NOT NULL DEFAULT '[]', seen INTEGER);
        CREATE TABLE runs(id TEXT PRIMARY KEY, name TEXT NOT NULL, spec TEXT NOT NULL, schema TEXT NOT NULL, submitted INTEGER NOT NULL, state TEXT NOT NULL, over INTEGER NOT NULL);
        CREATE TABLE events(run TEXT NOT NULL REFERENCES runs(id), sequence INTEGER NOT NULL, at INTEGER NOT NULL, kind TEXT NOT NULL, round INTEGER NOT NULL, site TEXT NOT NULL, message TEXT NOT NULL,
            model TEXT NOT NULL, metrics TEXT, PRIMARY KEY(run, sequence)) WITHOUT ROWID;
        CREATE TABLE rounds(run TEXT NOT NULL REFERENCES runs(id), round INTEGER NOT NULL, record TEXT NOT NULL, PRIMARY KEY(run, round)) WITHOUT ROWID;
        CREATE TABLE uploads(run TEXT NOT NULL REFERENCES runs(id), round INTEGER NOT NULL, site TEXT NOT NULL, record TEXT NOT NULL, PRIMARY KEY(run, round, site)) WITHOUT ROWID;
        CREATE TABLE models(run TEXT NOT NULL REFERENCES runs(id), round INTEGER NOT NULL, sha256 TEXT NOT NULL, size INTEGER NOT NULL, created INTEGER NOT NULL, PRIMARY KEY(run, round)) WITHOUT ROWID;
        CREATE TABLE evaluations(run TEXT NOT NULL REFERENCES runs(id), round INTEGER NOT NULL, source TEXT NOT NULL, sums TEXT NOT NULL, PRIMARY KEY(run, round, source)) WITHOUT ROWID;
        CREATE TABLE told(run TEXT NOT NULL REFERENCES runs(id), site TEXT NOT NULL, PRIMARY KEY(run, site)) WITHOUT ROWID;
        """;

    // Version 2 keeps the heads of sites' privacy ledgers.
    private const string LedgerHeadsTable = "CREATE TABLE ledger_heads(site TEXT NOT NULL, data_set TEXT NOT NULL, head TEXT NOT NULL, PRIMARY KEY(site, data_set)) WITHOUT ROWID;";

    // Version 3 keeps what secure aggregation needs.
    private const string SecureTables = """
        CREATE TABLE rosters(version INTEGER PRIMARY KEY, roster BLOB NOT NULL);
        CREATE TABLE opening_answers(site TEXT PRIMARY KEY, count INTEGER NOT NULL, answer BLOB NOT NULL) WITHOUT ROWID;
        CREATE TABLE transcripts(number INTEGER PRIMARY KEY, run TEXT NOT NULL REFERENCES runs(id), kind TEXT NOT NULL, round INTEGER NOT NULL, epoch INTEGER NOT NULL, content BLOB NOT NULL);
        """;

    // Version 4 keeps the keys that were taken from sites.
    private const string Revocations = """
        ALTER TABLE sites ADD COLUMN revoked INTEGER;
        CREATE TABLE revoked_keys(key TEXT PRIMARY KEY, site TEXT NOT NULL, at INTEGER NOT NULL) WITHOUT ROWID;
        """;

    // Version 5 keeps the operators.
    private const string OperatorsTable = "CREATE TABLE operators(name TEXT PRIMARY KEY, role TEXT NOT NULL, token INTEGER NOT NULL, proof TEXT NOT NULL, issued INTEGER NOT NULL, expires INTEGER NOT NULL, revoked INTEGER) WITHOUT ROWID;";

    private const string AllOperators = "SELECT name, role, token, proof, issued, expires, revoked FROM operators";

    private readonly SqliteConnection _connection;
    private readonly Lock _lock = new();
    private readonly ConcurrentDictionary<long, string> _transcriptHashes = new();

    /// <exception cref="InvalidInputException">The file is no database of this program, or of a newer one.</exception>
    public SqliteStore(string path)
    {
        _connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = path, Pooling = false }.ToString());
        try
        {
            _connection.Open();
            _connection.Execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON; PRAGMA busy_timeout=5000;");
            long version = _connection.Scalar("PRAGMA user_version");
            if (version > SchemaVersion) throw new InvalidInputException(new Problem($"The database has version {version}; this program knows versions up to {SchemaVersion}.", path, Repair: "Use the program that wrote it, or a newer one."));
            if (version < SchemaVersion) InTransaction(() => _connection.Execute($"{(version == 0 ? Schema : "")} {(version < 2 ? LedgerHeadsTable : "")} {(version < 3 ? SecureTables : "")} {(version < 4 ? Revocations : "")} {OperatorsTable} PRAGMA user_version={SchemaVersion};"));
        }
        catch (SqliteException error)
        {
            _connection.Dispose();
            throw new InvalidInputException(new Problem($"The database cannot be opened: {error.Message}", path));
        }
    }

    public void AddInvitation(string site, string secretSha256, DateTimeOffset expires) => InTransaction(() =>
    {
        _connection.Execute("INSERT INTO invitations(secret, site, expires) VALUES($1, $2, $3)", secretSha256, site, Ms(expires));
        _connection.Execute("INSERT INTO sites(name) VALUES($1) ON CONFLICT(name) DO UPDATE SET revoked = NULL", site);
    });

    public InvitationUse Enroll(string site, string secretSha256, string keySha256, DateTimeOffset now) => InTransaction(() =>
    {
        List<(string Site, long Expires, bool Used)> found = _connection.Query("SELECT site, expires, used IS NOT NULL FROM invitations WHERE secret = $1", row => (row.GetString(0), row.GetInt64(1), row.GetBoolean(2)), secretSha256);
        if (found.Count == 0 || found[0].Site != site) return InvitationUse.Unknown;
        if (found[0].Used) return InvitationUse.AlreadyUsed;
        if (Ms(now) >= found[0].Expires) return InvitationUse.Expired;
        if (FindRevoked(keySha256)) return InvitationUse.KeyRevoked;
        _connection.Execute("UPDATE invitations SET used = $2 WHERE secret = $1", secretSha256, Ms(now));
        _connection.Execute("UPDATE sites SET key = $2 WHERE name = $1", site, keySha256);
        return InvitationUse.Taken;
    });

    public RevokedSite? Revoke(string site, DateTimeOffset now) => InTransaction(() =>
    {
        SiteRecord? known = _connection.Query("SELECT name, key, role, data, seen, revoked FROM sites WHERE name = $1", ReadSite, site).FirstOrDefault();
        if (known is null) return null;
        if (known.Revoked is { } before) return new RevokedSite(_connection.Query("SELECT key FROM revoked_keys WHERE site = $1 AND at = $2", row => row.GetString(0), site, Ms(before)).FirstOrDefault(), before);
        if (known.KeySha256 is { } key) _connection.Execute("INSERT OR IGNORE INTO revoked_keys(key, site, at) VALUES($1, $2, $3)", key, site, Ms(now));
        _connection.Execute("UPDATE invitations SET used = $2 WHERE site = $1 AND used IS NULL", site, Ms(now));
        _connection.Execute("UPDATE sites SET key = NULL, revoked = $2 WHERE name = $1", site, Ms(now));
        return new RevokedSite(known.KeySha256, At(Ms(now)));
    });

    public bool IsRevoked(string keySha256) => Locked(() => FindRevoked(keySha256));

    public IReadOnlyList<SiteRecord> Sites() => Locked(() => _connection.Query("SELECT name, key, role, data, seen, revoked FROM sites ORDER BY name", ReadSite));

    public SiteRecord? FindSite(string name) => Locked(() => _connection.Query("SELECT name, key, role, data, seen, revoked FROM sites WHERE name = $1", ReadSite, name).FirstOrDefault());

    public bool AddOperator(OperatorRecord added, DateTimeOffset now) => InTransaction(() =>
    {
        if (OperatorOf(added.Name) is { Revoked: null } known && known.Expires > now) return false;
        _connection.Execute("INSERT OR REPLACE INTO operators(name, role, token, proof, issued, expires) VALUES($1, $2, $3, $4, $5, $6)", added.Name, added.Role.ToText(), added.IsToken, added.Proof, Ms(added.Issued), Ms(added.Expires));
        return true;
    });

    public IReadOnlyList<OperatorRecord> Operators() => Locked(() => _connection.Query($"{AllOperators} ORDER BY name", ReadOperator));

    public OperatorRecord? FindOperator(string name) => Locked(() => OperatorOf(name));

    public OperatorRecord? RevokeOperator(string name, DateTimeOffset now) => InTransaction(() =>
    {
        _connection.Execute("UPDATE operators SET revoked = $2 WHERE name = $1 AND revoked IS NULL", name, Ms(now));
        return OperatorOf(name);
    });

    public void SaveJoin(string site, NodeRole role, IReadOnlyList<string> dataIds, DateTimeOffset now) => InTransaction(() =>
        _connection.Execute("UPDATE sites SET role = $2, data = $3, seen = $4 WHERE name = $1", site, role.ToString(), JsonSerializer.Serialize(dataIds), Ms(now)));

    public IReadOnlyList<LedgerHead> LedgerHeads(string site) => Locked(() => _connection.Query("SELECT head FROM ledger_heads WHERE site = $1 ORDER BY data_set", ReadHead, site));

    public LedgerHead? SaveLedgerHead(string site, LedgerHead head) => InTransaction(() =>
    {
        LedgerHead? known = _connection.Query("SELECT head FROM ledger_heads WHERE site = $1 AND data_set = $2", ReadHead, site, head.DataSet).FirstOrDefault();
        if (known is not null && (known.Count > head.Count || (known.Count == head.Count && known.Hash != head.Hash))) return known;
        _connection.Execute("INSERT OR REPLACE INTO ledger_heads(site, data_set, head) VALUES($1, $2, $3)", site, head.DataSet, JsonSerializer.Serialize(head, HeadOptions));
        return null;
    });

    public byte[]? NewestRoster() => Locked(() => _connection.Query("SELECT roster FROM rosters ORDER BY version DESC LIMIT 1", row => (byte[])row.GetValue(0)).FirstOrDefault());

    public void AddRoster(ulong version, byte[] roster) => InTransaction(() => _connection.Execute("INSERT INTO rosters(version, roster) VALUES($1, $2)", (long)version, roster));

    public void KeepAnswer(string site, int count, byte[] answer) => InTransaction(() =>
        _connection.Execute("INSERT INTO opening_answers(site, count, answer) VALUES($1, $2, $3) ON CONFLICT(site) DO UPDATE SET count = excluded.count, answer = excluded.answer", site, count, answer));

    public byte[]? KeptAnswer(string site) => Locked(() => _connection.Query("SELECT answer FROM opening_answers WHERE site = $1", row => (byte[])row.GetValue(0), site).FirstOrDefault());

    public void AddTranscript(TranscriptRecord transcript) => InTransaction(() =>
        _connection.Execute("INSERT INTO transcripts(run, kind, round, epoch, content) VALUES($1, $2, $3, $4, $5)", transcript.RunId, transcript.Kind, transcript.Round, transcript.Epoch, transcript.Content));

    public IEnumerable<TranscriptRecord> Transcripts(string runId)
    {
        for (long last = 0; Next(last) is var (number, transcript); last = number) yield return transcript;

        (long Number, TranscriptRecord Transcript)? Next(long after) => Locked(() => _connection.Query<(long, TranscriptRecord)?>(
            "SELECT number, kind, round, epoch, content FROM transcripts WHERE run = $1 AND number > $2 ORDER BY number LIMIT 1",
            row => (row.GetInt64(0), new TranscriptRecord(runId, row.GetString(1), row.GetInt32(2), row.GetInt32(3), (byte[])row.GetValue(4))), runId, after).FirstOrDefault());
    }

    public IReadOnlyList<string> TranscriptHashes(string runId) => [.. Locked(() => _connection.Query("SELECT number FROM transcripts WHERE run = $1 ORDER BY number", row => row.GetInt64(0), runId)).Select(HashOf)];

    /// <summary>What was signed stays; it is read for its hash once.</summary>
    private string HashOf(long number) => _transcriptHashes.GetOrAdd(number, _ => Locked(() => Sha256Hex.Of(_connection.Query("SELECT content FROM transcripts WHERE number = $1", row => (byte[])row.GetValue(0), number).Single())));

    public void AddRun(RunRecord run, EventRecord submitted, ModelRecord? initial) => InTransaction(() =>
    {
        _connection.Execute("INSERT INTO runs(id, name, spec, schema, submitted, state, over) VALUES($1, $2, $3, $4, $5, $6, 0)", run.Id, run.Name, run.SpecYaml, run.SchemaYaml, Ms(run.SubmittedAt), run.StateJson);
        Insert(run.Id, submitted);
        if (initial is not null) Insert(initial);
    });

    public IReadOnlyList<RunRecord> Runs() => Locked(() => _connection.Query(
        "SELECT id, name, spec, schema, submitted, state, over FROM runs ORDER BY rowid",
        row => new RunRecord(row.GetString(0), row.GetString(1), row.GetString(2), row.GetString(3), At(row.GetInt64(4)), row.GetString(5), row.GetBoolean(6))));

    public void Save(RunChange change) => InTransaction(() =>
    {
        _connection.Execute("UPDATE runs SET state = $2, over = $3 WHERE id = $1", change.RunId, change.StateJson, change.Over ? 1 : 0);
        foreach (EventRecord happened in change.Events) Insert(change.RunId, happened);
        foreach (RoundRecord round in change.Rounds) _connection.Execute("INSERT OR REPLACE INTO rounds(run, round, record) VALUES($1, $2, $3)", change.RunId, round.Round, JsonSerializer.Serialize(round));
        foreach (ModelRecord model in change.Models) Insert(model);
        foreach (EvaluationRecord evaluation in change.Evaluations) Insert(evaluation);
    });

    public IReadOnlyList<EventRecord> Events(string runId, long afterSequence) => Locked(() => _connection.Query(
        "SELECT sequence, at, kind, round, site, message, model, metrics FROM events WHERE run = $1 AND sequence > $2 ORDER BY sequence LIMIT 1000",
        row => new EventRecord(
            row.GetInt64(0), At(row.GetInt64(1)), row.GetString(2), row.GetInt32(3), row.GetString(4), row.GetString(5), row.GetString(6), row.IsDBNull(7) ? null : JsonSerializer.Deserialize<Metrics>(row.GetString(7))),
        runId,
        afterSequence));

    public IReadOnlyList<RoundRecord> Rounds(string runId) => Locked(() => _connection.Query("SELECT record FROM rounds WHERE run = $1 ORDER BY round", Json<RoundRecord>, runId));

    public UploadRecord? FindUpload(string runId, int round, string site) => Locked(() =>
        _connection.Query("SELECT record FROM uploads WHERE run = $1 AND round = $2 AND site = $3", Json<UploadRecord>, runId, round, site).FirstOrDefault());

    public void SaveUpload(string runId, int round, UploadRecord upload) => InTransaction(() =>
        _connection.Execute("INSERT OR REPLACE INTO uploads(run, round, site, record) VALUES($1, $2, $3, $4)", runId, round, upload.Site, JsonSerializer.Serialize(upload)));

    public void DropUploads(string runId, int round) => InTransaction(() => _connection.Execute("DELETE FROM uploads WHERE run = $1 AND round <= $2", runId, round));

    public IReadOnlyList<ModelRecord> Models(string? runId) => Locked(() => _connection.Query(
        "SELECT run, round, sha256, size, created FROM models WHERE $1 = '' OR run = $1 ORDER BY created, run, round",
        row => new ModelRecord(row.GetString(0), row.GetInt32(1), row.GetString(2), row.GetInt64(3), At(row.GetInt64(4))),
        runId ?? ""));

    public IReadOnlyList<EvaluationRecord> Evaluations(string? runId) => Locked(() => _connection.Query(
        "SELECT run, round, source, sums FROM evaluations WHERE $1 = '' OR run = $1 ORDER BY run, round, source",
        row => new EvaluationRecord(row.GetString(0), row.GetInt32(1), row.GetString(2), JsonSerializer.Deserialize<EvaluationSums>(row.GetString(3))!),
        runId ?? ""));

    public void SaveEvaluation(EvaluationRecord evaluation) => InTransaction(() => Insert(evaluation));

    public void SaveTold(string runId, string site) => InTransaction(() => _connection.Execute("INSERT OR IGNORE INTO told(run, site) VALUES($1, $2)", runId, site));

    public bool WasTold(string runId, string site) => Locked(() => _connection.Query("SELECT 1 FROM told WHERE run = $1 AND site = $2", _ => true, runId, site).Count > 0);

    public IReadOnlySet<string> NamedContents() => Locked(() =>
    {
        // States and rounds name blobs in fields of their own: any hash in the text counts, also in that of a run which this program cannot read.
        List<string> texts = _connection.Query("SELECT state FROM runs UNION SELECT record FROM rounds UNION SELECT record FROM uploads UNION SELECT model FROM events UNION SELECT sha256 FROM models", row => row.GetString(0));
        List<string> rosters = _connection.Query("SELECT roster FROM rosters", row => Sha256Hex.Of((byte[])row.GetValue(0)));
        return texts.SelectMany(text => AnyHash().Matches(text).Select(match => match.Value)).Concat(rosters).ToHashSet();
    });

    public void Dispose() => _connection.Dispose();

    [GeneratedRegex("[0-9a-f]{64}")]
    private static partial Regex AnyHash();

    private static readonly JsonSerializerOptions HeadOptions = new() { NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals }; // an infinite divergence

    private static LedgerHead ReadHead(SqliteDataReader row) => JsonSerializer.Deserialize<LedgerHead>(row.GetString(0), HeadOptions)!;

    private static long Ms(DateTimeOffset time) => time.ToUnixTimeMilliseconds();

    private static DateTimeOffset At(long ms) => DateTimeOffset.FromUnixTimeMilliseconds(ms);

    private static T Json<T>(SqliteDataReader row) => JsonSerializer.Deserialize<T>(row.GetString(0))!;

    private static SiteRecord ReadSite(SqliteDataReader row) => new(
        row.GetString(0),
        row.IsDBNull(1) ? null : row.GetString(1),
        row.IsDBNull(2) ? null : Enum.Parse<NodeRole>(row.GetString(2)),
        JsonSerializer.Deserialize<string[]>(row.GetString(3))!,
        row.IsDBNull(4) ? null : At(row.GetInt64(4)),
        row.IsDBNull(5) ? null : At(row.GetInt64(5)));

    private OperatorRecord? OperatorOf(string name) => _connection.Query($"{AllOperators} WHERE name = $1", ReadOperator, name).FirstOrDefault();

    private static OperatorRecord ReadOperator(SqliteDataReader row) =>
        new(row.GetString(0), OperatorRoles.Parse(row.GetString(1))!.Value, row.GetBoolean(2), row.GetString(3), At(row.GetInt64(4)), At(row.GetInt64(5)), row.IsDBNull(6) ? null : At(row.GetInt64(6)));

    private bool FindRevoked(string keySha256) => _connection.Query("SELECT 1 FROM revoked_keys WHERE key = $1", _ => true, keySha256).Count > 0;

    private void Insert(string runId, EventRecord happened) => _connection.Execute(
        "INSERT INTO events(run, sequence, at, kind, round, site, message, model, metrics) VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        runId,
        happened.Sequence,
        Ms(happened.At),
        happened.Kind,
        happened.Round,
        happened.Site,
        happened.Message,
        happened.Model,
        happened.Metrics is null ? DBNull.Value : JsonSerializer.Serialize(happened.Metrics));

    private void Insert(ModelRecord model) => _connection.Execute(
        "INSERT OR REPLACE INTO models(run, round, sha256, size, created) VALUES($1, $2, $3, $4, $5)", model.RunId, model.Round, model.Sha256, model.Size, Ms(model.CreatedAt));

    private void Insert(EvaluationRecord evaluation) => _connection.Execute(
        "INSERT OR REPLACE INTO evaluations(run, round, source, sums) VALUES($1, $2, $3, $4)", evaluation.RunId, evaluation.Round, evaluation.Source, JsonSerializer.Serialize(evaluation.Sums));

    private T Locked<T>(Func<T> read)
    {
        lock (_lock) return read();
    }

    private void InTransaction(Action write) => InTransaction(() =>
    {
        write();
        return true;
    });

    private T InTransaction<T>(Func<T> write)
    {
        lock (_lock) return _connection.InTransaction(write);
    }
}
