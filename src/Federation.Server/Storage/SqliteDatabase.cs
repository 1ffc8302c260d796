using System.Data.Common;
using Federation.Formats;
using Federation.Storage;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging;

namespace Federation.Server.Storage;

/// <summary>One SQLite file in WAL mode, synchronous to disk. Another process that holds it is waited for 5 s.</summary>
internal sealed class SqliteDatabase : Database
{
    private const int Busy = 5, Locked = 6, IoError = 10, CannotOpen = 14, Protocol = 15, PatienceSeconds = 5;
    private readonly string _path;

    /// <exception cref="InvalidInputException">The file is no database of this program, or of a newer one.</exception>
    public SqliteDatabase(string path, ILogger logger, TimeProvider time)
        : base(logger, time)
    {
        _path = path;
        DbConnection? connection = null;
        try
        {
            connection = Connect();
            Start(connection);
        }
        catch (SqliteException error)
        {
            connection?.Dispose();
            throw new InvalidInputException(new Problem($"The database cannot be opened: {error.Message}", path));
        }
        catch
        {
            connection?.Dispose();
            throw;
        }
    }

    /// <summary>In a transaction that sees the file as it is now; the coordinator may run.</summary>
    public static DbConnection OpenToRead(string path) => Open(path, SqliteOpenMode.ReadWrite, "BEGIN");

    public override string Place => _path;

    protected override DbConnection Connect() => Open(_path, SqliteOpenMode.ReadWriteCreate, $"PRAGMA busy_timeout={PatienceSeconds * 1000}; PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA foreign_keys=ON;");

    private static SqliteConnection Open(string path, SqliteOpenMode mode, string first)
    {
        var connection = new SqliteConnection(new SqliteConnectionStringBuilder { DataSource = path, Pooling = false, DefaultTimeout = PatienceSeconds, Mode = mode }.ToString());
        try
        {
            connection.Open();
            connection.Execute(first);
            return connection;
        }
        catch
        {
            connection.Dispose();
            throw;
        }
    }

    protected override T Soon<T>(DbConnection connection, Func<T> write, Action committing)
    {
        connection.Execute("PRAGMA synchronous=NORMAL"); // the next commit that waits for the disk takes this one along: all are in one log
        try
        {
            return connection.InTransaction(write, committing);
        }
        finally
        {
            connection.Execute("PRAGMA synchronous=FULL");
        }
    }

    protected override long Version(DbConnection connection) => connection.Scalar("PRAGMA user_version");

    protected override string VersionUpdate(int version) => $"PRAGMA user_version={version}";

    protected override string Translate(string step) => step;

    protected override string? Passing(Exception error) => error is SqliteException { SqliteErrorCode: Busy or Locked or IoError or CannotOpen or Protocol } ? error.Message : null;
}
