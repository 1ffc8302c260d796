using System.Data;
using System.Data.Common;
using Federation.Formats;
using Federation.Storage;
using Microsoft.Extensions.Logging;

namespace Federation.Server.Storage;

/// <summary>
/// One connection to the coordinator's database, used by one call at a time; what differs between SQLite and PostgreSQL. A lost connection is made anew by the next call;
/// what had not been committed is done again on it, as the database has forgotten it. Whoever finds the database away is told so, and for a second everybody else too, at once.
/// </summary>
internal abstract class Database(ILogger logger, TimeProvider time) : IDisposable
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(1);
    private readonly Lock _lock = new();
    private DbConnection? _connection;
    private (string Reason, long Since, long Last)? _away;

    /// <summary>For messages; never with a password.</summary>
    public abstract string Place { get; }

    /// <summary>The first connection, with today's tables.</summary>
    /// <exception cref="InvalidInputException">It is no database of this program, of a newer one, or one that may not be used.</exception>
    protected void Start(DbConnection connection)
    {
        long version = Version(connection);
        int known = StoreSchema.Steps.Count;
        if (version > known) throw new InvalidInputException(new Problem($"The database has version {version}; this program knows versions up to {known}.", Place, Repair: "Use the program that wrote it, or a newer one."));
        if (version < known)
        {
            connection.InTransaction(() =>
            {
                foreach (string step in StoreSchema.Steps.Skip((int)version)) connection.Execute(Translate(step));
                return connection.Execute(VersionUpdate(known));
            });
        }

        _connection = connection;
    }

    /// <summary>A new connection in place of a lost one.</summary>
    protected abstract DbConnection Connect();

    protected abstract long Version(DbConnection connection);

    protected abstract string VersionUpdate(int version);

    /// <summary>A step of <see cref="StoreSchema"/> in this database's words.</summary>
    protected abstract string Translate(string step);

    /// <summary>Whether this passes without anybody changing what is asked: null: it does not.</summary>
    protected abstract string? Passing(Exception error);

    public T Read<T>(Func<DbConnection, T> read) => Call((connection, _) => read(connection));

    public T Write<T>(Func<DbConnection, T> write) => Call((connection, committing) => connection.InTransaction(() => write(connection), committing));

    /// <summary>As <see cref="Write{T}"/>, on disk with the next one at the latest: after a loss of power, not of the process, the database may stand before it. For what is told again, or is nothing without what is written after it.</summary>
    public T WriteSoon<T>(Func<DbConnection, T> write) => Call((connection, committing) => Soon(connection, () => write(connection), committing));

    /// <summary>A transaction whose commit does not wait for the disk, where what it leaves out is lost with the machine's power alone. Of a server that crashes while the coordinator lives that is not so: there it waits like any other.</summary>
    protected virtual T Soon<T>(DbConnection connection, Func<T> write, Action committing) => connection.InTransaction(write, committing);

    public void Dispose()
    {
        lock (_lock) _connection?.Dispose();
    }

    /// <exception cref="StoreUnavailableException">The database is away or locked.</exception>
    private T Call<T>(Func<DbConnection, Action, T> call)
    {
        lock (_lock)
        {
            if (_away is { } away && time.GetElapsedTime(away.Last) < Pause) throw new StoreUnavailableException(away.Reason, false, null);
            while (true)
            {
                bool fresh = IsLost, committing = false;
                try
                {
                    T result = call(fresh ? Reconnect() : _connection!, () => committing = true);
                    if (_away is { } before) logger.LogInformation("{Database} answers again after {Seconds:0} s", Place, time.GetElapsedTime(before.Since).TotalSeconds);
                    _away = null;
                    return result;
                }
                catch (Exception error) when (ReasonOf(error) is { } reason)
                {
                    bool lost = IsLost;
                    if (lost && !fresh && !committing) continue; // nothing of it is stored: once more on a new connection
                    if (_away is null) logger.LogError("{Database} does not answer, calls are refused until it does: {Reason}", Place, reason);
                    long now = time.GetTimestamp();
                    _away = (reason, _away?.Since ?? now, now);
                    throw new StoreUnavailableException(reason, committing, error);
                }
            }
        }
    }

    private bool IsLost => _connection is not { State: ConnectionState.Open };

    private string? ReasonOf(Exception error) => error switch
    {
        StoreUnavailableException away => away.Reason,
        InvalidOperationException when IsLost => error.Message, // a call on a connection that broke in this moment
        _ => Passing(error),
    };

    private DbConnection Reconnect()
    {
        _connection?.Dispose();
        _connection = null;
        return _connection = Connect();
    }
}
