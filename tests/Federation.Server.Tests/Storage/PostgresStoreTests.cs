using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Server.Storage;
using Microsoft.Extensions.Logging.Abstractions;

namespace Federation.Server.Tests.Storage;

/// <summary>Against a real server.</summary>
public sealed class PostgresStoreTests : StoreTests, IClassFixture<PostgresCluster>, IDisposable
{
    private readonly PostgresCluster _cluster;
    private readonly ConnectionString _database;

    public PostgresStoreTests(PostgresCluster cluster)
    {
        (_cluster, _database) = (cluster, cluster.NewDatabase());
        Store = Open();
    }

    private string Name => _database.Reveal().Split("Database=")[1];

    public void Dispose() => Store?.Dispose();

    [Fact]
    public void Open_ByASecondCoordinator_IsRefusedUntilTheFirstIsGone()
    {
        var error = Assert.Throws<IOException>(() => Open());
        Assert.Contains("another coordinator", error.Message, StringComparison.Ordinal);
        Store.Dispose();
        Store = Open();
        AddRun("one");
    }

    [Fact]
    public void Open_OfAnotherFederation_IsRefusedAndChangesNothing()
    {
        AddRun("one");
        Store.Dispose();
        var error = Assert.Throws<InvalidInputException>(() => Open("other"));
        Assert.Contains("another federation", error.Message, StringComparison.Ordinal);
        Store = Open();
        Assert.Single(Store.Runs());
    }

    [Fact]
    public void Open_DatabaseOfANewerProgram_IsRefused()
    {
        Store.Dispose();
        _cluster.Query(Name, "UPDATE coordinator SET version = 99");
        Assert.Contains("version 99", Assert.Throws<InvalidInputException>(() => Open()).Message, StringComparison.Ordinal);
    }

    [Fact] // as a program that knew fewer tables left it
    public void Open_DatabaseOfVersion3_IsBroughtUpAndKeepsItsSites()
    {
        Store.AddInvitation("a", "secret", Now.AddDays(1));
        Store.Enroll("a", "secret", Key, Now);
        Store.Dispose();
        _cluster.Query(Name, "DROP TABLE audit_head; DROP TABLE operators; DROP TABLE revoked_keys; ALTER TABLE sites DROP COLUMN revoked; ALTER TABLE sites DROP COLUMN labels; UPDATE coordinator SET version = 3");
        Store = Open();
        Assert.Equal(new RevokedSite(Key, Now), Store.Revoke("a", Now));
        Assert.Empty(Store.Operators());
    }

    [Fact]
    public void Call_AfterTheServerCameBack_WorksWithoutHelp()
    {
        AddRun("one");
        _cluster.Stop();
        var error = Assert.Throws<StoreUnavailableException>(() => Store.Runs());
        Assert.DoesNotContain("\n", error.Message, StringComparison.Ordinal);
        Assert.Throws<StoreUnavailableException>(() => AddRun("two"));
        _cluster.Start();
        Eventually(() => AddRun("two"));
        Assert.Equal(["one", "two"], Store.Runs().Select(run => run.Id));
        Assert.Throws<IOException>(() => Open()); // its lock is held again
    }

    [Fact] // what it remembers may be out of date
    public void Call_AfterAnotherCoordinatorUsedTheDatabase_IsRefusedForGood()
    {
        AddRun("one");
        _cluster.Query("postgres", $"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{Name}'");
        using (PostgresStore other = Open()) Assert.Single(other.Runs());
        for (int time = 0; time < 2; time++)
        {
            Assert.Contains("another coordinator has used it", Assert.Throws<StoreUnavailableException>(() => AddRun("two")).Message, StringComparison.Ordinal);
        }
    }

    [Theory]
    [InlineData(CommitCutter.Cut.Before, false)]
    [InlineData(CommitCutter.Cut.After, true)]
    public void Commit_WhoseAnswerIsLost_IsToldAsUncertain(CommitCutter.Cut cut, bool isStored)
    {
        Store.Dispose();
        using var cutter = new CommitCutter(_cluster);
        Store = new PostgresStore(new ConnectionString($"Host=127.0.0.1;Port={cutter.Port};Username=fed;Database={Name};SSL Mode=Disable"), "federation", NullLogger.Instance);
        cutter.CutNext(cut);
        Assert.True(Assert.Throws<StoreUnavailableException>(() => AddRun("one")).IsUncertain);
        IReadOnlyList<RunRecord> runs = [];
        Eventually(() => runs = Store.Runs());
        Assert.Equal(isStored ? 1 : 0, runs.Count);
    }

    [Theory]
    [InlineData("Host=/nowhere;Database=fed;Username=fed;Password=s3cret")]
    [InlineData("Host=127.0.0.1;Port=1;Database=fed;Username=fed;Password=s3cret")]
    [InlineData("Host=h;Password=s3;cret=1")]
    [InlineData("Password=s3cret")]
    [InlineData("Host=h;Port=s3cret")]
    public void Open_ConnectionStringThatLeadsNowhere_ShowsNoPassword(string text)
    {
        Exception error = Assert.ThrowsAny<Exception>(() => new PostgresStore(new ConnectionString(text), "federation", NullLogger.Instance));
        Assert.True(error is IOException or InvalidInputException, error.ToString());
        Assert.DoesNotContain("s3", error.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("cret", error.Message, StringComparison.Ordinal);
    }

    private protected override void Kill()
    {
        _cluster.Stop();
        _cluster.Start();
        Store.Dispose();
        Store = Open();
    }

    private PostgresStore Open(string federation = "federation") => new(_database, federation, NullLogger.Instance);
}
