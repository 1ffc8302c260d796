using Microsoft.Data.Sqlite;
using Npgsql;

namespace Federation.Server.Storage;

/// <summary>Tells a full disk from other errors.</summary>
public static class DiskFull
{
    private const int SqliteFull = 13, NoSpaceUnix = 28, NoSpaceWindows = unchecked((int)0x80070070);

    public static bool Is(Exception error) => error is SqliteException { SqliteErrorCode: SqliteFull } or PostgresException { SqlState: PostgresErrorCodes.DiskFull } or IOException { HResult: NoSpaceUnix or NoSpaceWindows };
}
