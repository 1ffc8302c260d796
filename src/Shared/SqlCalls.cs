using System.Data.Common;
using System.Globalization;
using Microsoft.Data.Sqlite;

namespace Federation.Storage;

/// <summary>Statements and transactions on one connection, for the coordinator's state and the privacy ledger. Compiled into both: neither room may reference the other's storage.</summary>
internal static class SqlCalls
{
    /// <summary>Values are $1, $2, ….</summary>
    /// <returns>Rows changed.</returns>
    public static int Execute(this DbConnection connection, string sql, params object[] values)
    {
        using DbCommand command = Command(connection, sql, values);
        return command.ExecuteNonQuery();
    }

    public static long Scalar(this DbConnection connection, string sql)
    {
        using DbCommand command = Command(connection, sql, []);
        return Convert.ToInt64(command.ExecuteScalar(), CultureInfo.InvariantCulture);
    }

    public static List<T> Query<T>(this DbConnection connection, string sql, Func<DbDataReader, T> read, params object[] values)
    {
        using DbCommand command = Command(connection, sql, values);
        using DbDataReader reader = command.ExecuteReader();
        List<T> rows = [];
        while (reader.Read()) rows.Add(read(reader));
        return rows;
    }

    /// <summary>All of the work or none of it; in SQLite no other connection writes meanwhile.</summary>
    /// <param name="committing">Called before the end is asked for: what fails from here on may have been stored.</param>
    public static T InTransaction<T>(this DbConnection connection, Func<T> work, Action? committing = null)
    {
        connection.Execute(connection is SqliteConnection ? "BEGIN IMMEDIATE" : "BEGIN");
        try
        {
            T result = work();
            committing?.Invoke();
            connection.Execute("COMMIT");
            return result;
        }
        catch
        {
            try
            {
                connection.Execute("ROLLBACK");
            }
            catch (Exception second) when (second is DbException or InvalidOperationException)
            {
                // rolled back already, as SQLite does on a full disk and every database whose connection is lost; the first error is the one to report
            }

            throw;
        }
    }

    private static DbCommand Command(DbConnection connection, string sql, object[] values)
    {
        DbCommand command = connection.CreateCommand();
#pragma warning disable CA2100 // every text is a literal of the callers; values are parameters
        command.CommandText = sql;
#pragma warning restore CA2100
        for (int i = 0; i < values.Length; i++)
        {
            DbParameter parameter = command.CreateParameter();
            if (connection is SqliteConnection) parameter.ParameterName = string.Create(CultureInfo.InvariantCulture, $"${i + 1}"); // elsewhere they have no names, and count by their order
            parameter.Value = values[i];
            command.Parameters.Add(parameter);
        }

        return command;
    }
}
