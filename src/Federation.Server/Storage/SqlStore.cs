using System.Collections.Concurrent;
using System.Data.Common;
using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using System.Text.RegularExpressions;
using Federation.Formats.Configuration;
using Federation.Formats.Evaluation;
using Federation.Privacy.Canonical;
using Federation.Privacy.Ledger;
using Federation.Protocol.Identity;
using Federation.Storage;

namespace Federation.Server.Storage;

/// <summary>The store over a database: the queries, which are the same for all. Each call is one transaction on one connection.</summary>
public abstract partial class SqlStore : ICoordinatorStore
{
    private const string AllOperators = "SELECT name, role, token, proof, issued, expires, revoked FROM operators",
        AllSites = "SELECT name, key, role, data, seen, revoked, labels FROM sites",
        AllRuns = "SELECT id, name, spec, schema, submitted, state, over FROM runs";

    private readonly ConcurrentDictionary<long, string> _transcriptHashes = new();
    private readonly Database _database;
    private DbConnection? _connection; // of the call under way
    private List<SiteRecord>? _sites; // asked for with every event; forgotten by whatever changes one, and by a new process

    private protected SqlStore(Database database) => _database = database;

    public void AddInvitation(string site, string secretSha256, DateTimeOffset expires) => InTransaction(() =>
    {
        Execute("INSERT INTO invitations(secret, site, expires) VALUES($1, $2, $3)", secretSha256, site, Ms(expires));
        _sites = null;
        Execute("INSERT INTO sites(name) VALUES($1) ON CONFLICT(name) DO UPDATE SET revoked = NULL", site);
    });

    public bool IsInvited(string secretSha256) => Locked(() => Query("SELECT 1 FROM invitations WHERE secret = $1", _ => true, secretSha256).Count > 0);

    public InvitationUse Enroll(string site, string secretSha256, string keySha256, DateTimeOffset now) => InTransaction(() =>
    {
        List<(string Site, long Expires, bool Used)> found = Query("SELECT site, expires, used IS NOT NULL FROM invitations WHERE secret = $1", row => (row.GetString(0), row.GetInt64(1), row.GetBoolean(2)), secretSha256);
        if (found.Count == 0 || found[0].Site != site) return InvitationUse.Unknown;
        // The same key again: the site has not heard that it was enrolled.
        if (found[0].Used) return SiteOf(site)?.KeySha256 == keySha256 ? InvitationUse.Taken : InvitationUse.AlreadyUsed;
        if (Ms(now) >= found[0].Expires) return InvitationUse.Expired;
        if (FindRevoked(keySha256)) return InvitationUse.KeyRevoked;
        Execute("UPDATE invitations SET used = $2 WHERE site = $1 AND used IS NULL", site, Ms(now)); // the others, too: one made for a new site must not replace this key later
        _sites = null;
        Execute("UPDATE sites SET key = $2 WHERE name = $1", site, keySha256);
        return InvitationUse.Taken;
    });

    public RevokedSite? Revoke(string site, DateTimeOffset now) => InTransaction(() =>
    {
        SiteRecord? known = SiteOf(site);
        if (known is null) return null;
        if (known.Revoked is { } before) return new RevokedSite(Query("SELECT key FROM revoked_keys WHERE site = $1 AND at = $2", row => row.GetString(0), site, Ms(before)).FirstOrDefault(), before);
        if (known.KeySha256 is { } key) Execute("INSERT INTO revoked_keys(key, site, at) VALUES($1, $2, $3) ON CONFLICT DO NOTHING", key, site, Ms(now));
        Execute("UPDATE invitations SET used = $2 WHERE site = $1 AND used IS NULL", site, Ms(now));
        _sites = null;
        Execute("UPDATE sites SET key = NULL, revoked = $2 WHERE name = $1", site, Ms(now));
        return new RevokedSite(known.KeySha256, At(Ms(now)));
    });

    public bool IsRevoked(string keySha256) => Locked(() => FindRevoked(keySha256));

    public IReadOnlyList<SiteRecord> Sites() => Locked(() => _sites ??= Query($"{AllSites} ORDER BY name", ReadSite));

    public SiteRecord? FindSite(string name) => Locked(() => SiteOf(name));

    public bool AddOperator(OperatorRecord added, DateTimeOffset now) => InTransaction(() =>
    {
        if (OperatorOf(added.Name) is { Revoked: null } known && known.Expires > now) return false;
        Execute("INSERT INTO operators(name, role, token, proof, issued, expires) VALUES($1, $2, $3, $4, $5, $6) ON CONFLICT(name) DO UPDATE SET role = excluded.role, token = excluded.token, proof = excluded.proof, issued = excluded.issued, expires = excluded.expires, revoked = NULL", added.Name, added.Role.ToText(), added.IsToken ? 1 : 0, added.Proof, Ms(added.Issued), Ms(added.Expires));
        return true;
    });

    public IReadOnlyList<OperatorRecord> Operators() => Locked(() => Query($"{AllOperators} ORDER BY name", ReadOperator));

    public OperatorRecord? FindOperator(string name) => Locked(() => OperatorOf(name));

    public OperatorRecord? RevokeOperator(string name, DateTimeOffset now) => InTransaction(() =>
    {
        Execute("UPDATE operators SET revoked = $2 WHERE name = $1 AND revoked IS NULL", name, Ms(now));
        return OperatorOf(name);
    });

    public void SaveAuditHead(long line, string hash) => Soon(() => Execute("INSERT INTO audit_head(id, line, hash) VALUES(1, $1, $2) ON CONFLICT(id) DO UPDATE SET line = excluded.line, hash = excluded.hash", line, hash));

    public (long Line, string Hash)? AuditHead() => Locked(() => Query<(long, string)?>("SELECT line, hash FROM audit_head", row => (row.GetInt64(0), row.GetString(1))).FirstOrDefault());

    public void SaveJoin(string site, NodeRole role, IReadOnlyList<string> dataIds, IReadOnlyDictionary<string, string> labels, DateTimeOffset now) => Soon(() =>
    {
        _sites = null;
        Execute("UPDATE sites SET role = $2, data = $3, seen = $4, labels = $5 WHERE name = $1", site, role.ToString(), JsonSerializer.Serialize(dataIds), Ms(now), JsonSerializer.Serialize(labels));
    });

    public IReadOnlyList<LedgerHead> LedgerHeads(string site) => Locked(() => Query("SELECT head FROM ledger_heads WHERE site = $1 ORDER BY data_set", ReadHead, site));

    public LedgerHead? SaveLedgerHead(string site, LedgerHead head) => Soon(() =>
    {
        LedgerHead? known = Query("SELECT head FROM ledger_heads WHERE site = $1 AND data_set = $2", ReadHead, site, head.DataSet).FirstOrDefault();
        if (known is not null && (known.Count > head.Count || (known.Count == head.Count && known.Hash != head.Hash))) return known;
        Execute("INSERT INTO ledger_heads(site, data_set, head) VALUES($1, $2, $3) ON CONFLICT(site, data_set) DO UPDATE SET head = excluded.head", site, head.DataSet, JsonSerializer.Serialize(head, HeadOptions));
        return null;
    });

    public byte[]? NewestRoster() => Locked(() => Query("SELECT roster FROM rosters ORDER BY version DESC LIMIT 1", row => (byte[])row.GetValue(0)).FirstOrDefault());

    public void AddRoster(ulong version, byte[] roster) => InTransaction(() => Execute("INSERT INTO rosters(version, roster) VALUES($1, $2)", (long)version, roster));

    public void KeepAnswer(string site, int count, byte[] answer) => InTransaction(() =>
        Execute("INSERT INTO opening_answers(site, count, answer) VALUES($1, $2, $3) ON CONFLICT(site) DO UPDATE SET count = excluded.count, answer = excluded.answer", site, count, answer));

    public byte[]? KeptAnswer(string site) => Locked(() => Query("SELECT answer FROM opening_answers WHERE site = $1", row => (byte[])row.GetValue(0), site).FirstOrDefault());

    public void AddTranscript(TranscriptRecord transcript) => InTransaction(() =>
    {
        object[] values = [transcript.RunId, transcript.Kind, transcript.Round, transcript.Epoch, transcript.Content];
        if (Query("SELECT 1 FROM transcripts WHERE run = $1 AND kind = $2 AND round = $3 AND epoch = $4 AND content = $5", _ => true, values).Count == 0) Execute("INSERT INTO transcripts(run, kind, round, epoch, content) VALUES($1, $2, $3, $4, $5)", values);
    });

    public IEnumerable<TranscriptRecord> Transcripts(string runId)
    {
        for (long last = 0; Next(last) is var (number, transcript); last = number) yield return transcript;

        (long Number, TranscriptRecord Transcript)? Next(long after) => Locked(() => Query<(long, TranscriptRecord)?>(
            "SELECT number, kind, round, epoch, content FROM transcripts WHERE run = $1 AND number > $2 ORDER BY number LIMIT 1",
            row => (row.GetInt64(0), new TranscriptRecord(runId, row.GetString(1), row.GetInt32(2), row.GetInt32(3), (byte[])row.GetValue(4))), runId, after).FirstOrDefault());
    }

    public IReadOnlyList<string> TranscriptHashes(string runId) => [.. Locked(() => Query("SELECT number FROM transcripts WHERE run = $1 ORDER BY number", row => row.GetInt64(0), runId)).Select(HashOf)];

    /// <summary>What was signed stays; it is read for its hash once.</summary>
    private string HashOf(long number) => _transcriptHashes.GetOrAdd(number, _ => Locked(() => Sha256Hex.Of(Query("SELECT content FROM transcripts WHERE number = $1", row => (byte[])row.GetValue(0), number).Single())));

    public void AddRun(RunRecord run, EventRecord submitted, ModelRecord? initial) => InTransaction(() =>
    {
        Execute("INSERT INTO runs(id, name, spec, schema, submitted, state, over) VALUES($1, $2, $3, $4, $5, $6, 0)", run.Id, run.Name, run.SpecYaml, run.SchemaYaml, Ms(run.SubmittedAt), run.StateJson);
        Insert(run.Id, submitted);
        if (initial is not null) Insert(initial);
    });

    public IReadOnlyList<RunRecord> Runs() => Locked(() => Query($"{AllRuns} ORDER BY rowid", ReadRun));

    public RunRecord? FindRun(string id) => Locked(() => Query($"{AllRuns} WHERE id = $1", ReadRun, id).FirstOrDefault());

    public void Save(RunChange change) => InTransaction(() =>
    {
        Execute("UPDATE runs SET state = $2, over = $3 WHERE id = $1", change.RunId, change.StateJson, change.Over ? 1 : 0);
        foreach (EventRecord happened in change.Events) Insert(change.RunId, happened);
        foreach (RoundRecord round in change.Rounds) Execute("INSERT INTO rounds(run, round, record) VALUES($1, $2, $3) ON CONFLICT(run, round) DO UPDATE SET record = excluded.record", change.RunId, round.Round, JsonSerializer.Serialize(round));
        foreach (ModelRecord model in change.Models) Insert(model);
        foreach (EvaluationRecord evaluation in change.Evaluations) Insert(evaluation);
    });

    public IReadOnlyList<EventRecord> Events(string runId, long afterSequence) => Locked(() => Query(
        "SELECT sequence, at, kind, round, site, message, model, metrics FROM events WHERE run = $1 AND sequence > $2 ORDER BY sequence LIMIT 1000",
        row => new EventRecord(
            row.GetInt64(0), At(row.GetInt64(1)), row.GetString(2), row.GetInt32(3), row.GetString(4), row.GetString(5), row.GetString(6), row.IsDBNull(7) ? null : JsonSerializer.Deserialize<Metrics>(row.GetString(7))),
        runId,
        afterSequence));

    public IReadOnlyList<RoundRecord> Rounds(string runId) => Locked(() => Query("SELECT record FROM rounds WHERE run = $1 ORDER BY round", Json<RoundRecord>, runId));

    public UploadRecord? FindUpload(string runId, int round, string site) => Locked(() =>
        Query("SELECT record FROM uploads WHERE run = $1 AND round = $2 AND site = $3", Json<UploadRecord>, runId, round, site).FirstOrDefault());

    public void SaveUpload(string runId, int round, UploadRecord upload) => Soon(() =>
        Execute("INSERT INTO uploads(run, round, site, record) VALUES($1, $2, $3, $4) ON CONFLICT(run, round, site) DO UPDATE SET record = excluded.record", runId, round, upload.Site, JsonSerializer.Serialize(upload)));

    public void DropUploads(string runId, int round) => InTransaction(() => Execute("DELETE FROM uploads WHERE run = $1 AND round <= $2", runId, round));

    public IReadOnlyList<ModelRecord> Models(string? runId) => Locked(() => Query(
        "SELECT run, round, sha256, size, created FROM models WHERE $1 = '' OR run = $1 ORDER BY created, run, round",
        row => new ModelRecord(row.GetString(0), row.GetInt32(1), row.GetString(2), row.GetInt64(3), At(row.GetInt64(4))),
        runId ?? ""));

    public IReadOnlyList<EvaluationRecord> Evaluations(string? runId) => Locked(() => Query(
        "SELECT run, round, source, sums FROM evaluations WHERE $1 = '' OR run = $1 ORDER BY run, round, source",
        row => new EvaluationRecord(row.GetString(0), row.GetInt32(1), row.GetString(2), JsonSerializer.Deserialize<EvaluationSums>(row.GetString(3))!),
        runId ?? ""));

    public void SaveEvaluation(EvaluationRecord evaluation) => InTransaction(() => Insert(evaluation));

    public void SaveTold(string runId, string site) => Soon(() => Execute("INSERT INTO told(run, site) VALUES($1, $2) ON CONFLICT DO NOTHING", runId, site));

    public bool WasTold(string runId, string site) => Locked(() => Query("SELECT 1 FROM told WHERE run = $1 AND site = $2", _ => true, runId, site).Count > 0);

    public IReadOnlySet<string> NamedContents() => Locked(() => NamesIn(_connection!));

    internal static HashSet<string> NamesIn(DbConnection connection)
    {
        // States and rounds name blobs in fields of their own: any hash in the text counts, also in that of a run which this program cannot read.
        List<string> texts = connection.Query("SELECT state FROM runs UNION SELECT record FROM rounds UNION SELECT record FROM uploads UNION SELECT model FROM events UNION SELECT sha256 FROM models", row => row.GetString(0));
        List<string> rosters = connection.Query("SELECT roster FROM rosters", row => Sha256Hex.Of((byte[])row.GetValue(0)));
        return texts.SelectMany(text => AnyHash().Matches(text).Select(match => match.Value)).Concat(rosters).ToHashSet();
    }

    /// <summary>One transaction of more than the store's own calls.</summary>
    internal void Fill(Action<DbConnection> fill) => _database.Write(connection =>
    {
        _sites = null;
        fill(connection);
        return true;
    });

    public void Dispose()
    {
        _database.Dispose();
        GC.SuppressFinalize(this);
    }

    [GeneratedRegex("[0-9a-f]{64}")]
    private static partial Regex AnyHash();

    private static readonly JsonSerializerOptions HeadOptions = new() { NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals }; // an infinite divergence

    private static LedgerHead ReadHead(DbDataReader row) => JsonSerializer.Deserialize<LedgerHead>(row.GetString(0), HeadOptions)!;

    private static long Ms(DateTimeOffset time) => time.ToUnixTimeMilliseconds();

    private static DateTimeOffset At(long ms) => DateTimeOffset.FromUnixTimeMilliseconds(ms);

    private static T Json<T>(DbDataReader row) => JsonSerializer.Deserialize<T>(row.GetString(0))!;

    private static SiteRecord ReadSite(DbDataReader row) => new(
        row.GetString(0),
        row.IsDBNull(1) ? null : row.GetString(1),
        row.IsDBNull(2) ? null : Enum.Parse<NodeRole>(row.GetString(2)),
        JsonSerializer.Deserialize<string[]>(row.GetString(3))!,
        row.IsDBNull(4) ? null : At(row.GetInt64(4)),
        row.IsDBNull(5) ? null : At(row.GetInt64(5)),
        JsonSerializer.Deserialize<Dictionary<string, string>>(row.GetString(6)));

    private SiteRecord? SiteOf(string name) => Query($"{AllSites} WHERE name = $1", ReadSite, name).FirstOrDefault();

    private static RunRecord ReadRun(DbDataReader row) => new(row.GetString(0), row.GetString(1), row.GetString(2), row.GetString(3), At(row.GetInt64(4)), row.GetString(5), row.GetInt64(6) != 0);

    private OperatorRecord? OperatorOf(string name) => Query($"{AllOperators} WHERE name = $1", ReadOperator, name).FirstOrDefault();

    private static OperatorRecord ReadOperator(DbDataReader row) =>
        new(row.GetString(0), OperatorRoles.Parse(row.GetString(1))!.Value, row.GetInt64(2) != 0, row.GetString(3), At(row.GetInt64(4)), At(row.GetInt64(5)), row.IsDBNull(6) ? null : At(row.GetInt64(6)));

    private bool FindRevoked(string keySha256) => Query("SELECT 1 FROM revoked_keys WHERE key = $1", _ => true, keySha256).Count > 0;

    private void Insert(string runId, EventRecord happened) => Execute(
        "INSERT INTO events(run, sequence, at, kind, round, site, message, model, metrics) VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        runId,
        happened.Sequence,
        Ms(happened.At),
        happened.Kind,
        happened.Round,
        happened.Site,
        Storable(happened.Message),
        happened.Model,
        happened.Metrics is null ? DBNull.Value : JsonSerializer.Serialize(happened.Metrics));

    private void Insert(ModelRecord model) => Execute(
        "INSERT INTO models(run, round, sha256, size, created) VALUES($1, $2, $3, $4, $5) ON CONFLICT(run, round) DO UPDATE SET sha256 = excluded.sha256, size = excluded.size, created = excluded.created", model.RunId, model.Round, model.Sha256, model.Size, Ms(model.CreatedAt));

    private void Insert(EvaluationRecord evaluation) => Execute(
        "INSERT INTO evaluations(run, round, source, sums) VALUES($1, $2, $3, $4) ON CONFLICT(run, round, source) DO UPDATE SET sums = excluded.sums", evaluation.RunId, evaluation.Round, evaluation.Source, JsonSerializer.Serialize(evaluation.Sums));

    /// <summary>PostgreSQL takes no zero byte in a text, nor half a pair of UTF-16: words that sites choose must not break a record.</summary>
    private static string Storable(string text) => Encoding.UTF8.GetString(Encoding.UTF8.GetBytes(text.Replace('\0', '\uFFFD')));

    private int Execute(string sql, params object[] values) => _connection!.Execute(sql, values);

    private List<T> Query<T>(string sql, Func<DbDataReader, T> read, params object[] values) => _connection!.Query(sql, read, values);

    private T Locked<T>(Func<T> read) => _database.Read(On(read));

    private void InTransaction(Action write) => InTransaction(Done(write));

    private T InTransaction<T>(Func<T> write) => _database.Write(On(write));

    private void Soon(Action write) => Soon(Done(write));

    /// <summary>Not for what is announced: see <see cref="Database.WriteSoon{T}"/>.</summary>
    private T Soon<T>(Func<T> write) => _database.WriteSoon(On(write));

    private Func<DbConnection, T> On<T>(Func<T> call) => connection =>
    {
        _connection = connection;
        return call();
    };

    private static Func<bool> Done(Action write) => () =>
    {
        write();
        return true;
    };
}
