using System.Data.Common;
using Federation.Formats;
using Federation.Server.Identity;
using Federation.Storage;

namespace Federation.Server.Storage;

/// <summary>The audit log's newest head as a coordinator's database has it, for whoever checks the log; the coordinator may run.</summary>
public static class KeptHead
{
    private const int FirstVersion = 7;

    /// <returns>Null: no SQLite database is here, or it knows none yet.</returns>
    /// <exception cref="InvalidInputException">The database cannot be read.</exception>
    public static (long Count, string Hash)? In(CoordinatorFolder folder)
    {
        if (!File.Exists(folder.Database)) return null;
        try
        {
            using DbConnection connection = SqliteDatabase.OpenToRead(folder.Database);
            return connection.Scalar("PRAGMA user_version") < FirstVersion ? null : connection.Query<(long, string)?>("SELECT line, hash FROM audit_head", row => (row.GetInt64(0), row.GetString(1))).FirstOrDefault();
        }
        catch (DbException error)
        {
            throw new InvalidInputException(new Problem($"The database, which knows how long the audit log is, cannot be read: {error.Message}", folder.Database, Repair: "Name the log itself, without --state, to check its chain alone."));
        }
    }
}
