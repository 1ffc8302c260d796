using System.Globalization;
using Federation.Storage;
using Microsoft.Data.Sqlite;

namespace Federation.Privacy.Ledger;

/// <summary>The SQLite file: records and signed heads of one or more data sets' ledgers. Every write is on disk when it returns.</summary>
internal sealed class LedgerFile : IDisposable
{
    private const int ApplicationId = 0x4645444C, SchemaVersion = 1; // "FEDL"
    private const int IoError = 10, IoErrorWrite = 778, IoErrorSync = 1034, IoErrorTruncate = 1546, IoErrorSharedSize = 4874;
    private const int Busy = 5, SqliteLocked = 6, ReadOnly = 8, Corrupt = 11, Full = 13, CannotOpen = 14, NoDatabase = 26;

    private const string Schema = """
        CREATE TABLE record(data_set TEXT NOT NULL, number INTEGER NOT NULL, content TEXT NOT NULL, hash TEXT NOT NULL, signature BLOB NOT NULL, PRIMARY KEY(data_set, number)) STRICT;
        CREATE TABLE directory(place INTEGER PRIMARY KEY, ledgers TEXT NOT NULL, public_key BLOB NOT NULL, signature BLOB NOT NULL) STRICT;
        CREATE TABLE head(data_set TEXT PRIMARY KEY, ledger TEXT NOT NULL, count INTEGER NOT NULL, hash TEXT NOT NULL, divergences BLOB NOT NULL, distance REAL NOT NULL, public_key BLOB NOT NULL, signature BLOB NOT NULL) STRICT;
        """;

    private readonly SqliteConnection _connection;
    private readonly string _path;

    private LedgerFile(string path, SqliteConnection connection) => (_path, _connection) = (path, connection);

    /// <summary>For writing; made if there is none, readable by its owner only.</summary>
    /// <param name="patience">How long to wait for another process.</param>
    /// <exception cref="LedgerException">The file cannot be used.</exception>
    public static LedgerFile Open(string path, TimeSpan patience)
    {
        if (!File.Exists(path))
        {
            try
            {
                var options = new FileStreamOptions { Mode = FileMode.OpenOrCreate, Access = FileAccess.Write, Share = FileShare.ReadWrite };
                if (!OperatingSystem.IsWindows()) options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
                using var file = new FileStream(path, options);
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                throw new LedgerException(LedgerFault.Unusable, $"The ledger cannot be made: {error.Message}", error);
            }
        }

        LedgerFile ledger = new(path, Connect(path, SqliteOpenMode.ReadWrite, patience));
        ledger.Guarded(() =>
        {
            ledger._connection.Open();
            ledger._connection.Execute("PRAGMA journal_mode = WAL");
            ledger._connection.Execute("PRAGMA synchronous = FULL");
            ledger._connection.InTransaction(() =>
            {
                if (ledger._connection.Scalar("PRAGMA user_version") == 0 && ledger._connection.Scalar("SELECT count(*) FROM sqlite_schema") == 0)
                {
                    ledger._connection.Execute(Schema);
                    ledger._connection.Execute(FormattableString.Invariant($"PRAGMA application_id = {ApplicationId}"));
                    ledger._connection.Execute(FormattableString.Invariant($"PRAGMA user_version = {SchemaVersion}"));
                }

                return true;
            });
            ledger.RequireLedger();
            return true;
        });
        return ledger;
    }

    /// <summary>For reading, as it is at this moment whatever others write meanwhile.</summary>
    /// <exception cref="LedgerException">The file cannot be used.</exception>
    public static LedgerFile OpenForReading(string path)
    {
        if (!File.Exists(path)) throw new LedgerException(LedgerFault.Unusable, $"There is no ledger {path}.");
        path = Path.GetFullPath(path);
        try
        {
            return Snapshot(path, path);
        }
        catch (LedgerException error) when (error.InnerException is SqliteException { SqliteErrorCode: CannotOpen or ReadOnly or IoError } && !File.Exists(path + "-wal"))
        {
            // A read-only disk, where nobody can be writing: the file alone is the ledger.
            return Snapshot(path, $"file:{Uri.EscapeDataString(path).Replace("%2F", "/", StringComparison.Ordinal)}?immutable=1");
        }
    }

    private static LedgerFile Snapshot(string path, string source)
    {
        LedgerFile ledger = new(path, Connect(source, SqliteOpenMode.ReadOnly, TimeSpan.FromSeconds(5)));
        try
        {
            ledger.Guarded(() =>
            {
                ledger._connection.Open();
                ledger._connection.Execute("BEGIN"); // the first read fixes what all later ones see
                ledger.RequireLedger();
                return true;
            });
            return ledger;
        }
        catch
        {
            ledger.Dispose();
            throw;
        }
    }

    /// <summary>All data sets with a ledger here.</summary>
    public IReadOnlyList<string> DataSets() => Guarded(() => _connection.Query("SELECT data_set FROM record UNION SELECT data_set FROM head ORDER BY 1", row => row.GetString(0)));

    /// <summary>In order, from a number on, one by one.</summary>
    public IEnumerable<StoredRecord> Records(string dataSet, long from = long.MinValue)
    {
        const int Page = 1000;
        while (true)
        {
            List<StoredRecord> page = Guarded(() => _connection.Query(
                "SELECT number, content, hash, signature FROM record WHERE data_set = $1 AND number >= $2 ORDER BY number LIMIT $3",
                row => new StoredRecord(row.GetInt64(0), row.GetString(1), row.GetString(2), row.GetFieldValue<byte[]>(3)),
                dataSet,
                from,
                Page));
            foreach (StoredRecord record in page) yield return record;
            if (page.Count < Page || page[^1].Place == long.MaxValue) yield break;
            from = page[^1].Place + 1;
        }
    }

    public LedgerHead? Head(string dataSet) => Guarded(() => _connection.Query(
        "SELECT ledger, count, hash, divergences, distance, public_key, signature FROM head WHERE data_set = $1",
        row => new LedgerHead(row.GetString(0), dataSet, row.GetInt64(1), row.GetString(2), LedgerHead.Doubles(row.GetFieldValue<byte[]>(3)), row.GetDouble(4), row.GetFieldValue<byte[]>(5), row.GetFieldValue<byte[]>(6)),
        dataSet).FirstOrDefault());

    /// <summary>Reads and writes as one, alone: no other process writes meanwhile; all of it is on disk, or nothing.</summary>
    public T Exclusively<T>(Func<T> work) => Guarded(() => _connection.InTransaction(work));

    /// <summary>The signed list of all ledgers that were ever opened here, each as data set and id; null in a new file.</summary>
    public LedgerDirectory? Directory() => Guarded(() => _connection.Query(
        "SELECT ledgers, public_key, signature FROM directory WHERE place = 0",
        row => new LedgerDirectory(row.GetString(0), row.GetFieldValue<byte[]>(1), row.GetFieldValue<byte[]>(2))).FirstOrDefault());

    /// <summary>Only within <see cref="Exclusively"/>.</summary>
    public void Save(LedgerDirectory directory) =>
        Write("INSERT OR REPLACE INTO directory(place, ledgers, public_key, signature) VALUES(0, $1, $2, $3)", directory.Ledgers, directory.PublicKey, directory.Signature);

    /// <summary>Only within <see cref="Exclusively"/>.</summary>
    public void Append(string dataSet, StoredRecord record, LedgerHead head)
    {
        Write("INSERT INTO record(data_set, number, content, hash, signature) VALUES($1, $2, $3, $4, $5)", dataSet, record.Place, record.Content, record.Hash, record.Signature);
        Save(head);
    }

    /// <summary>Only within <see cref="Exclusively"/>.</summary>
    public void Save(LedgerHead head) => Write(
        "INSERT OR REPLACE INTO head(data_set, ledger, count, hash, divergences, distance, public_key, signature) VALUES($1, $2, $3, $4, $5, $6, $7, $8)",
        head.DataSet, head.LedgerId, head.Count, head.Hash, LedgerHead.Bytes(head.Divergences), head.StatisticalDistance, head.PublicKey, head.Signature);

    /// <summary>So many pages of 4 KiB at most, for tests of a full disk.</summary>
    internal void Limit(int pages) => _connection.Execute(string.Create(CultureInfo.InvariantCulture, $"PRAGMA max_page_count = {pages}"));

    public void Dispose() => _connection.Dispose();

    private static SqliteConnection Connect(string source, SqliteOpenMode mode, TimeSpan patience) => new(new SqliteConnectionStringBuilder
    {
        DataSource = source,
        Mode = mode,
        Pooling = false,
        DefaultTimeout = Math.Max(1, (int)patience.TotalSeconds),
    }.ToString());

    private void RequireLedger()
    {
        if (_connection.Scalar("PRAGMA application_id") != ApplicationId) throw new LedgerException(LedgerFault.Unusable, $"{_path} is no ledger, or it was cut short.");
        // A trigger or a view in a table's place could let a record vanish or another be read.
        if (_connection.Scalar("SELECT count(*) FROM sqlite_schema WHERE type IN ('trigger', 'view')") != 0 || _connection.Scalar("SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name IN ('record', 'head', 'directory')") != 3) throw new LedgerException(LedgerFault.Broken, $"{_path} holds other tables than a ledger's: somebody altered it.");
        if (_connection.Scalar("PRAGMA user_version") is var version && version != SchemaVersion) throw new LedgerException(LedgerFault.Unusable, $"{_path} is a ledger of version {version}; this program knows {SchemaVersion}. Update it.");
    }

    private T Guarded<T>(Func<T> work)
    {
        try
        {
            return work();
        }
        catch (SqliteException error)
        {
            throw error.SqliteErrorCode switch
            {
                Busy or SqliteLocked => new LedgerException(LedgerFault.Locked, $"Another process holds the ledger {_path}.", error),
                Full or IoError when error.SqliteErrorCode == Full || error.SqliteExtendedErrorCode is IoErrorWrite or IoErrorSync or IoErrorTruncate or IoErrorSharedSize => new LedgerException(LedgerFault.DiskFull, $"There is no room on the disk for another record in {_path}.", error),
                Corrupt or NoDatabase => new LedgerException(LedgerFault.Broken, $"{_path} is damaged or cut short: {Cause(error)}. Its records cannot be read.", error),
                ReadOnly => new LedgerException(LedgerFault.Unusable, $"{_path} cannot be written: {Cause(error)}.", error),
                CannotOpen => new LedgerException(LedgerFault.Unusable, $"{_path} cannot be opened: {Cause(error)}.", error),
                _ => new LedgerException(LedgerFault.Unusable, $"{_path}: {Cause(error)}.", error),
            };
        }
        catch (Exception error) when (error is InvalidCastException or FormatException)
        {
            throw new LedgerException(LedgerFault.Broken, $"{_path} holds values of other types than a ledger's.", error);
        }
    }

    private static string Cause(SqliteException error) => error.Message.Split('\'', 3) is [_, string text, _] ? text.TrimEnd('.') : error.Message;

    /// <summary>Exactly one row.</summary>
    private void Write(string sql, params object[] values)
    {
        if (_connection.Execute(sql, values) != 1) throw new LedgerException(LedgerFault.Broken, $"{_path} does not keep what is written to it: somebody altered it.");
    }
}
