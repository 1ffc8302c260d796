using Federation.Formats;
using Federation.Server.Storage;
using Microsoft.Data.Sqlite;

namespace Federation.Server.Tests.Storage;

public sealed class SqliteStoreTests : StoreTests, IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("fed-store");

    public SqliteStoreTests() => Store = new SqliteStore(Database);

    private string Database => Path.Combine(_folder.FullName, "state.db");

    public void Dispose()
    {
        Store.Dispose();
        _folder.Delete(recursive: true);
    }

    [Fact]
    public void Open_DatabaseOfANewerProgram_IsRefusedAndLeftAlone()
    {
        Store.Dispose();
        Execute("PRAGMA user_version=99");

        var error = Assert.Throws<InvalidInputException>(() => new SqliteStore(Database));
        Assert.Contains("version 99", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Open_DatabaseOfVersion3_IsBroughtUpAndKeepsItsSites()
    {
        Store.AddInvitation("a", "secret", Now.AddDays(1));
        Store.Enroll("a", "secret", Key, Now);
        Store.AddInvitation("b", "other", Now.AddDays(1));
        Store.Dispose();
        Execute("DROP TABLE audit_head; DROP TABLE operators; DROP TABLE revoked_keys; ALTER TABLE sites DROP COLUMN revoked; ALTER TABLE sites DROP COLUMN labels; PRAGMA user_version=3");

        Store = new SqliteStore(Database);
        Assert.Equal([("a", Key, null), ("b", null, null)], Store.Sites().Select(site => (site.Name, site.KeySha256, site.Revoked)));
        Assert.Equal(new RevokedSite(Key, Now), Store.Revoke("a", Now));
        Assert.Empty(Store.Operators());
        Kill();
        Assert.True(Store.IsRevoked(Key));
    }

    [Fact]
    public void Open_NoDatabase_IsOneClearError()
    {
        string path = Path.Combine(_folder.FullName, "text.db");
        File.WriteAllText(path, new string('x', 5000));
        Assert.Contains(path, Assert.Throws<InvalidInputException>(() => new SqliteStore(path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Open_LogTornInTheMiddle_KeepsWhatWasCommittedBefore()
    {
        AddRun("one");
        string survived = Path.Combine(_folder.FullName, "torn.db");
        File.Copy(Database, survived);
        File.Copy(Database + "-wal", survived + "-wal");
        AddRun("two");
        byte[] log = File.ReadAllBytes(Database + "-wal");
        File.WriteAllBytes(survived + "-wal", log[..^1000]); // the machine died while the second was written
        using var store = new SqliteStore(survived);
        Assert.Equal(["one"], store.Runs().Select(run => run.Id));
    }

    [Fact] // a backup program, or somebody's sqlite3
    public void Call_WhileAnotherProcessHoldsTheFile_IsRefusedAsPassingAndWorksAfterwards()
    {
        using (var other = new SqliteConnection($"Data Source={Database};Pooling=False"))
        {
            other.Open();
            using SqliteCommand command = other.CreateCommand();
            command.CommandText = "BEGIN IMMEDIATE";
            command.ExecuteNonQuery();
            var error = Assert.Throws<StoreUnavailableException>(() => AddRun("one"));
            Assert.Contains("locked", error.Message, StringComparison.Ordinal);
            Assert.False(error.IsUncertain);
            Assert.Throws<StoreUnavailableException>(() => AddRun("one")); // at once: nobody waits in line
        }

        Eventually(() => AddRun("one"));
        Assert.Single(Store.Runs());
    }

    /// <summary>Opens the files as they are on disk while the first store still holds them.</summary>
    private protected override void Kill()
    {
        string survived = Path.Combine(_folder.FullName, $"{Guid.NewGuid():n}.db");
        File.Copy(Database, survived);
        if (File.Exists(Database + "-wal")) File.Copy(Database + "-wal", survived + "-wal");
        Store.Dispose();
        Store = new SqliteStore(survived);
    }

    private void Execute(string sql)
    {
        using var connection = new SqliteConnection($"Data Source={Database};Pooling=False");
        connection.Open();
        using SqliteCommand command = connection.CreateCommand();
#pragma warning disable CA2100 // literals of the tests above
        command.CommandText = sql;
#pragma warning restore CA2100
        command.ExecuteNonQuery();
    }
}
