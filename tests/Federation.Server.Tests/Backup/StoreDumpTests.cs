using System.Data.Common;
using CsCheck;
using Federation.Formats.Configuration;
using Federation.Server.Backup;
using Federation.Server.Storage;
using Microsoft.Extensions.Logging.Abstractions;

namespace Federation.Server.Tests.Backup;

public sealed class StoreDumpTests(PostgresCluster cluster) : IClassFixture<PostgresCluster>, IDisposable
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 12, 0, 0, TimeSpan.Zero);
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact] // a new table is thought of
    public void Tables_OfTheDatabase_AreAllInADumpButTheUploads()
    {
        using var store = new SqliteStore(Path.Combine(_folder.Path, "state.db"));
        List<string> tables = [];
        store.Fill(connection =>
        {
            using DbCommand command = connection.CreateCommand();
            command.CommandText = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'";
            using DbDataReader reader = command.ExecuteReader();
            while (reader.Read()) tables.Add(reader.GetString(0));
        });
        Assert.Equal(StoreDump.Tables.Append("uploads").Order(StringComparer.Ordinal), tables.Order(StringComparer.Ordinal));
    }

    [Fact]
    public void Load_OfADump_HoldsTheSameInTheOtherDatabase()
    {
        byte[] dump = Filled(), again, back;
        ConnectionString database = cluster.NewDatabase();
        using (var postgres = new PostgresStore(database, "federation", NullLogger.Instance)) postgres.Fill(connection => StoreDump.Load(new MemoryStream(dump), connection));
        using (DbConnection connection = PostgresDatabase.OpenToRead(database)) again = Of(connection);
        Assert.Equal(dump, again);
        using var sqlite = new SqliteStore(Path.Combine(_folder.Path, "other.db"));
        sqlite.Fill(connection => StoreDump.Load(new MemoryStream(again), connection));
        using (DbConnection connection = SqliteDatabase.OpenToRead(Path.Combine(_folder.Path, "other.db"))) back = Of(connection);
        Assert.Equal(dump, back);
        Assert.Equal(["zz", "aa"], sqlite.Runs().Select(run => run.Id));
        // And numbers go on: nothing that was loaded takes them.
        using var reopened = new PostgresStore(database, "federation", NullLogger.Instance);
        reopened.AddTranscript(new TranscriptRecord("zz", TranscriptRecord.Opening, 9, 1, [9]));
        Assert.Equal([1, 9], reopened.Transcripts("zz").Select(one => one.Round));
    }

    [Fact]
    public void Read_AnyDamage_IsAFormatExceptionOrRows()
    {
        byte[] dump = Filled();
        Gen.Select(Gen.Int[0, dump.Length - 1], Gen.Byte, Gen.Int[0, dump.Length]).Sample((at, value, length) =>
        {
            byte[] damaged = dump[..length];
            if (at < length) damaged[at] = value;
            try
            {
                foreach ((string _, string[] columns, object[] values) in StoreDump.Read(new MemoryStream(damaged))) Assert.Equal(columns.Length, values.Length);
                Assert.Equal(dump.Length, length);
            }
            catch (FormatException)
            {
                // said so
            }
        });
    }

    private byte[] Filled()
    {
        string path = Path.Combine(_folder.Path, "state.db");
        using (var store = new SqliteStore(path))
        {
            foreach (string id in new[] { "zz", "aa" }) store.AddRun(new RunRecord(id, "näme", "spec", "", Now, "{}", false), new EventRecord(1, Now, "kind", 1, "", "message", "", null), new ModelRecord(id, 0, new string('c', 64), 44, Now));
            store.AddTranscript(new TranscriptRecord("zz", TranscriptRecord.Opening, 1, 1, [0, 1, 255]));
            store.AddInvitation("a", "secret", Now);
            store.AddRoster(1, [1, 2]);
            store.KeepAnswer("a", 1, []);
            store.SaveAuditHead(7, new string('a', 64));
            store.AddOperator(new OperatorRecord("ann", Protocol.Identity.OperatorRole.Admin, true, "proof", Now, Now.AddDays(1)), Now);
        }

        using DbConnection connection = SqliteDatabase.OpenToRead(path);
        return Of(connection);
    }

    private static byte[] Of(DbConnection connection)
    {
        var dump = new MemoryStream();
        StoreDump.Write(connection, dump);
        return dump.ToArray();
    }
}
