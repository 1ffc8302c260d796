using System.Security.Cryptography;
using Federation.Storage;
using Microsoft.Data.Sqlite;

namespace Federation.Privacy.SecureAggregation;

/// <summary>
/// What a site keeps: a run's share of the newest epoch (encrypted), the record of its answers, and what it has contributed to, in one SQLite file that is not to be backed up. Every call is on disk when it returns.
/// A share that is replaced is overwritten in the file (secure_delete).
/// </summary>
public sealed class CommitteeStore : IDisposable
{
    private const string Schema = """
        CREATE TABLE shares(run TEXT PRIMARY KEY, certificate BLOB NOT NULL, roster BLOB NOT NULL, share BLOB NOT NULL) WITHOUT ROWID;
        CREATE TABLE answers(number INTEGER PRIMARY KEY, run TEXT NOT NULL, entry BLOB NOT NULL, answer BLOB);
        """;

    private readonly SqliteConnection _connection;
    private readonly byte[] _key;
    private readonly Lock _lock = new();

    /// <param name="key">32 bytes that encrypt shares at rest; not copied, not wiped.</param>
    /// <exception cref="SqliteException">The file cannot be opened.</exception>
    public CommitteeStore(string path, byte[] key)
    {
        _key = key;
        _connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = path, Pooling = false }.ToString());
        try
        {
            _connection.Open();
            _connection.Execute("PRAGMA secure_delete=ON; PRAGMA journal_mode=DELETE; PRAGMA synchronous=FULL; PRAGMA busy_timeout=5000;");
            if (_connection.Scalar("PRAGMA user_version") == 0) InTransaction(() => _connection.Execute($"{Schema} PRAGMA user_version=1;"));
            _connection.Execute("CREATE TABLE IF NOT EXISTS contributions(number INTEGER PRIMARY KEY, run TEXT NOT NULL, round INTEGER NOT NULL, purpose TEXT NOT NULL, model TEXT NOT NULL, rounding TEXT NOT NULL, UNIQUE(run, round, purpose, model, rounding)); CREATE TABLE IF NOT EXISTS epochs(run TEXT PRIMARY KEY, epoch INTEGER NOT NULL, certificate TEXT NOT NULL) WITHOUT ROWID; CREATE TABLE IF NOT EXISTS statistics(sites TEXT PRIMARY KEY) WITHOUT ROWID; CREATE TABLE IF NOT EXISTS sets(run TEXT NOT NULL, purpose TEXT NOT NULL, sites TEXT NOT NULL, PRIMARY KEY(run, purpose, sites)) WITHOUT ROWID;");
        }
        catch
        {
            _connection.Dispose();
            throw;
        }
    }

    /// <summary>The run's share, with the certificate and roster of its epoch; the caller's to dispose. Null: none.</summary>
    /// <exception cref="CryptographicException">The key is another than the one that encrypted it.</exception>
    /// <exception cref="FormatException">The stored bytes are damaged.</exception>
    public (EpochCertificate Certificate, Roster Roster, CommitteeShare Share)? Find(string run)
    {
        lock (_lock)
        {
            List<(byte[] Certificate, byte[] Roster, byte[] Share)> rows = _connection.Query("SELECT certificate, roster, share FROM shares WHERE run = $1", row => ((byte[])row.GetValue(0), (byte[])row.GetValue(1), (byte[])row.GetValue(2)), run);
            return rows.Count == 0 ? null : (EpochCertificate.Decode(rows[0].Certificate), Roster.Decode(rows[0].Roster), CommitteeShare.Unprotect(_key, rows[0].Share));
        }
    }

    /// <summary>The rosters that the shares in a store belong to, by run; read beside a node that uses it.</summary>
    /// <exception cref="SqliteException">The file is no such store.</exception>
    /// <exception cref="FormatException">The stored bytes are damaged.</exception>
    public static IReadOnlyList<(string Run, Roster Roster)> Rosters(string path)
    {
        using SqliteConnection connection = new(new SqliteConnectionStringBuilder { DataSource = path, Pooling = false, Mode = SqliteOpenMode.ReadOnly }.ToString());
        connection.Open();
        connection.Execute("PRAGMA busy_timeout=5000;");
        return connection.Query("SELECT run, roster FROM shares ORDER BY run", row => (row.GetString(0), Roster.Decode((byte[])row.GetValue(1))));
    }

    /// <summary>Keeps a new epoch's share; the former one and the answers given with it are erased.</summary>
    public void Save(string run, EpochCertificate certificate, Roster roster, CommitteeShare share) => InTransaction(() =>
    {
        _connection.Execute("UPDATE answers SET answer = NULL WHERE run = $1", run);
        return _connection.Execute("INSERT OR REPLACE INTO shares(run, certificate, roster, share) VALUES($1, $2, $3, $4)", run, certificate.Encode(), roster.Encode(), share.Protect(_key));
    });

    /// <summary>Erases a run's share, when it is over.</summary>
    public void Erase(string run) => InTransaction(() =>
    {
        _connection.Execute("UPDATE answers SET answer = NULL WHERE run = $1", run);
        return _connection.Execute("DELETE FROM shares WHERE run = $1", run);
    });

    /// <summary>Everything that was answered, over all runs and epochs.</summary>
    /// <exception cref="FormatException">The stored bytes are damaged.</exception>
    public OpeningRecord Record()
    {
        lock (_lock) return OpeningRecord.Load(_connection.Query("SELECT entry, answer FROM answers ORDER BY number", row => ((byte[])row.GetValue(0), row.IsDBNull(1) ? null : (byte[])row.GetValue(1))));
    }

    /// <summary>Erases every share, because this answer of the site's own is ahead of its record; the loss is accepted once, so that later epochs' shares are kept.</summary>
    /// <param name="answerSha256">Of the answer that others had kept.</param>
    public void AcceptLoss(string answerSha256) => InTransaction(() =>
    {
        _connection.Execute("CREATE TABLE IF NOT EXISTS accepted(answer TEXT PRIMARY KEY) WITHOUT ROWID; UPDATE answers SET answer = NULL; DELETE FROM shares;");
        return _connection.Execute("INSERT OR IGNORE INTO accepted(answer) VALUES($1)", answerSha256);
    });

    /// <summary>Whether the loss that this answer shows was accepted before.</summary>
    public bool IsAccepted(string answerSha256)
    {
        lock (_lock) return _connection.Scalar("SELECT COUNT(*) FROM sqlite_master WHERE name = 'accepted'") > 0 && _connection.Query("SELECT 1 FROM accepted WHERE answer = $1", _ => true, answerSha256).Count > 0;
    }

    /// <summary>Makes an answer durable, before it is given.</summary>
    /// <exception cref="SqliteException">It could not be stored, or its number is taken: somebody else has answered with this record.</exception>
    public void Append(string run, OpeningEntry entry) => InTransaction(() =>
    {
        if (entry.Contributors is { } contributors)
        {
            string sites = string.Join('\n', contributors.Order(StringComparer.Ordinal));
            if (entry.Purpose.StartsWith(Opening.StatisticsPrefix, StringComparison.Ordinal)) _connection.Execute("INSERT OR IGNORE INTO statistics(sites) VALUES($1)", sites);
            else _connection.Execute("INSERT OR IGNORE INTO sets(run, purpose, sites) VALUES($1, $2, $3)", run, entry.Purpose, sites);
        }

        return _connection.Execute("INSERT INTO answers(number, run, entry, answer) VALUES($1, $2, $3, $4)", entry.Number, run, entry.Bytes, entry.Answer);
    });

    /// <summary>The sets of sites whose statistics were answered for, in whatever run.</summary>
    public IReadOnlyList<IReadOnlyList<string>> Statistics()
    {
        lock (_lock) return _connection.Query("SELECT sites FROM statistics ORDER BY sites", row => (IReadOnlyList<string>)row.GetString(0).Split('\n'));
    }

    /// <summary>The sets of contributors that were answered for in a run, by purpose.</summary>
    public IReadOnlyList<(string Purpose, IReadOnlyList<string> Sites)> Sets(string run)
    {
        lock (_lock) return _connection.Query("SELECT purpose, sites FROM sets WHERE run = $1 ORDER BY purpose, sites", row => (row.GetString(0), (IReadOnlyList<string>)row.GetString(1).Split('\n')), run);
    }

    /// <summary>What this site has contributed to a run, in order; outlives the run.</summary>
    public IReadOnlyList<PastContribution> Contributions(string run)
    {
        lock (_lock) return _connection.Query("SELECT round, purpose, model, rounding FROM contributions WHERE run = $1 ORDER BY number", row => new PastContribution(row.GetInt32(0), row.GetString(1), row.GetString(2), row.GetString(3)), run);
    }

    /// <summary>Whether a contribution to any run was rounded with this key.</summary>
    public bool HasRounded(string rounding)
    {
        lock (_lock) return _connection.Query("SELECT 1 FROM contributions WHERE rounding = $1 LIMIT 1", _ => true, rounding).Count > 0;
    }

    /// <summary>Makes a contribution known, before anything of it leaves; once, however often it is sent.</summary>
    public void Add(string run, PastContribution past) => InTransaction(() => _connection.Execute("INSERT OR IGNORE INTO contributions(run, round, purpose, model, rounding) VALUES($1, $2, $3, $4, $5)", run, past.Round, past.Purpose, past.Model, past.Rounding));

    /// <summary>Takes note of the epoch that a run is at, before anything is encrypted under its key; outlives the run.</summary>
    /// <exception cref="ProtocolException">A newer one was seen, or the same under another certificate.</exception>
    public void See(string run, ulong epoch, string certificate) => InTransaction(() =>
    {
        List<SeenEpoch> seen = _connection.Query("SELECT epoch, certificate FROM epochs WHERE run = $1", row => new SeenEpoch((ulong)row.GetInt64(0), row.GetString(1)), run);
        if (seen is [var newest])
        {
            newest.Check(run, epoch, certificate);
            if (newest.Epoch == epoch) return 0;
        }

        return _connection.Execute("INSERT OR REPLACE INTO epochs(run, epoch, certificate) VALUES($1, $2, $3)", run, (long)epoch, certificate);
    });

    public void Dispose() => _connection.Dispose();

    private void InTransaction(Func<int> write)
    {
        lock (_lock) _connection.InTransaction(write);
    }
}
