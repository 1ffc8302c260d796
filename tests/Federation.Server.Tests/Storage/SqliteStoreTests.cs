using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Formats.Evaluation;
using Federation.Privacy.Canonical;
using Federation.Server.Storage;
using Microsoft.Data.Sqlite;

namespace Federation.Server.Tests.Storage;

public sealed class SqliteStoreTests : IDisposable
{
    private static readonly DateTimeOffset Now = new(2026, 1, 1, 12, 0, 0, TimeSpan.Zero);
    private static readonly string Key = new('a', 64), OtherKey = new('b', 64), Hash = new('c', 64);
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("fed-store");
    private SqliteStore _store;

    public SqliteStoreTests() => _store = new SqliteStore(Database);

    private string Database => Path.Combine(_folder.FullName, "state.db");

    public void Dispose()
    {
        _store.Dispose();
        _folder.Delete(recursive: true);
    }

    [Fact] // also where a state is none that this program can read
    public void NamedContents_OfRecords_AreAllHashesInThem()
    {
        Assert.Empty(_store.NamedContents());
        AddRun("one");
        string[] hashes = [.. "0123456789".Select(digit => new string(digit, 64))];
        var round = new RoundRecord(1, "completed", ["a"], ["a"], 7, hashes[2], 1.5, 10, 20, 30);
        _store.Save(new RunChange("one", $"{{ \"Keys\": {{ \"RosterSha256\": \"{hashes[0]}\" }}, broken {hashes[1]}", false, [Said(2) with { Model = hashes[3] }], [round], [new ModelRecord("one", 1, hashes[4], 44, Now)], []));
        _store.SaveUpload("one", 2, new UploadRecord("a", hashes[5], hashes[6], 120, 1));
        _store.AddRoster(1, [1, 2, 3]);
        Assert.Superset((HashSet<string>)[.. hashes[..7], Sha256Hex.Of([1, 2, 3])], (HashSet<string>)[.. _store.NamedContents()]);
        Assert.DoesNotContain(hashes[7], _store.NamedContents());
    }

    [Fact]
    public void Everything_Stored_IsThereAfterAKill()
    {
        var sums = new EvaluationSums { Examples = 3, Correct = 2, LogLossSum = 0.1, BrierSum = 0.2, NegativeHistogram = [1, 2], PositiveHistogram = [3, 4] };
        var metrics = new Metrics(3, 2.0 / 3, null, 0.1, 0.2);
        var upload = new UploadRecord("a", Hash, Key, 120, ulong.MaxValue);
        var round = new RoundRecord(1, "completed", ["a", "b"], ["a"], 7, Hash, 1.5, 10, 20, 30);
        _store.AddInvitation("a", "secret", Now.AddDays(1));
        _store.Enroll("a", "secret", Key, Now);
        _store.SaveJoin("a", NodeRole.Evaluator, ["heart"], Now);
        AddRun("one");
        _store.Save(new RunChange("one", "{\"changed\":1}", true, [Said(2) with { Metrics = metrics }], [round], [new ModelRecord("one", 1, Hash, 44, Now)], [new EvaluationRecord("one", 1, "federated", sums)]));
        _store.SaveUpload("one", 2, upload);
        _store.SaveTold("one", "a");

        Kill();
        SiteRecord site = Assert.Single(_store.Sites());
        Assert.Equal(("a", Key, NodeRole.Evaluator, Now), (site.Name, site.KeySha256, site.Role, site.LastSeen));
        Assert.Equal(["heart"], site.DataIds);
        RunRecord run = Assert.Single(_store.Runs());
        Assert.Equal(("one", "{\"changed\":1}", true, Now), (run.Id, run.StateJson, run.Over, run.SubmittedAt));
        Assert.Equal([1, 2], _store.Events("one", 0).Select(one => one.Sequence));
        Assert.Equal(metrics, Assert.Single(_store.Events("one", 1)).Metrics);
        Assert.Equivalent(round, Assert.Single(_store.Rounds("one")), strict: true);
        Assert.Equal(upload, _store.FindUpload("one", 2, "a"));
        Assert.Equal([0, 1], _store.Models("one").Select(model => model.Round));
        Assert.Equivalent(sums, Assert.Single(_store.Evaluations(null)).Sums, strict: true);
        Assert.Equal((true, false), (_store.WasTold("one", "a"), _store.WasTold("one", "b")));
    }

    [Fact]
    public void Save_PartOfTheChangeCannotBeStored_StoresNothingOfIt()
    {
        AddRun("one");
        Assert.Throws<SqliteException>(() => _store.Save(new RunChange("one", "{\"changed\":1}", true, [Said(2), Said(2)], [], [], [])));
        Assert.Equal("{}", Assert.Single(_store.Runs()).StateJson);
        Assert.Single(_store.Events("one", 0));
        _store.Save(new RunChange("one", "{\"changed\":2}", false, [Said(2)], [], [], [])); // and works on
        Assert.Equal(2, _store.Events("one", 0).Count);
    }

    [Fact]
    public void Save_OfARunThatIsNone_IsRefused() =>
        Assert.Throws<SqliteException>(() => _store.SaveUpload("nobody", 1, new UploadRecord("a", Hash, Key, 1, 1)));

    [Fact]
    public void Enroll_Invitations_AreUsedOnceByTheirOwnSiteInTime()
    {
        _store.AddInvitation("a", "secret", Now.AddHours(24));
        Assert.Equal(InvitationUse.Unknown, _store.Enroll("a", "guess", Key, Now));
        Assert.Equal(InvitationUse.Unknown, _store.Enroll("b", "secret", Key, Now));
        Assert.Equal(InvitationUse.Expired, _store.Enroll("a", "secret", Key, Now.AddHours(24)));
        Assert.Null(_store.FindSite("a")!.KeySha256);
        Assert.Equal(InvitationUse.Taken, _store.Enroll("a", "secret", Key, Now));
        Assert.Equal(InvitationUse.AlreadyUsed, _store.Enroll("a", "secret", OtherKey, Now));
        Assert.Equal(Key, _store.FindSite("a")!.KeySha256);
    }

    [Fact]
    public void Enroll_AgainWithANewInvitation_ReplacesTheKey()
    {
        foreach ((string secret, string key) in new[] { ("one", Key), ("two", OtherKey) })
        {
            _store.AddInvitation("a", secret, Now.AddDays(1));
            Assert.Equal(InvitationUse.Taken, _store.Enroll("a", secret, key, Now));
            Assert.Equal(key, _store.FindSite("a")!.KeySha256);
        }
    }

    [Fact]
    public void DropUploads_OfARound_DropsThatAndEarlierOnes()
    {
        AddRun("one");
        for (int round = 1; round <= 3; round++) _store.SaveUpload("one", round, new UploadRecord("a", Hash, Key, 1, 1));
        _store.DropUploads("one", 2);
        Assert.Equal([false, false, true], Enumerable.Range(1, 3).Select(round => _store.FindUpload("one", round, "a") is not null));
    }

    [Fact]
    public void Runs_SubmittedInTheSameInstant_KeepTheirOrder()
    {
        foreach (string id in new[] { "zz", "mm", "aa" }) AddRun(id);
        Kill();
        Assert.Equal(["zz", "mm", "aa"], _store.Runs().Select(run => run.Id));
    }

    [Fact]
    public void Open_DatabaseOfANewerProgram_IsRefusedAndLeftAlone()
    {
        _store.Dispose();
        Execute("PRAGMA user_version=99");

        var error = Assert.Throws<InvalidInputException>(() => new SqliteStore(Database));
        Assert.Contains("version 99", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Open_DatabaseOfVersion3_IsBroughtUpAndKeepsItsSites()
    {
        _store.AddInvitation("a", "secret", Now.AddDays(1));
        _store.Enroll("a", "secret", Key, Now);
        _store.AddInvitation("b", "other", Now.AddDays(1));
        _store.Dispose();
        Execute("DROP TABLE operators; DROP TABLE revoked_keys; ALTER TABLE sites DROP COLUMN revoked; PRAGMA user_version=3");

        _store = new SqliteStore(Database);
        Assert.Equal([("a", Key, null), ("b", null, null)], _store.Sites().Select(site => (site.Name, site.KeySha256, site.Revoked)));
        Assert.Equal(new RevokedSite(Key, Now), _store.Revoke("a", Now));
        Assert.Empty(_store.Operators());
        Kill();
        Assert.True(_store.IsRevoked(Key));
    }

    [Fact]
    public void Revoke_ASite_TakesKeyAndInvitationsForGoodAndAgainChangesNothing()
    {
        foreach (string secret in new[] { "one", "open" }) _store.AddInvitation("a", secret, Now.AddDays(1));
        _store.Enroll("a", "one", Key, Now);
        Assert.Null(_store.Revoke("b", Now));
        Assert.Equal(new RevokedSite(Key, Now), _store.Revoke("a", Now));
        Assert.Equal(new RevokedSite(Key, Now), _store.Revoke("a", Now.AddDays(1)));

        Kill();
        SiteRecord revoked = _store.FindSite("a")!;
        Assert.Equal((null, Now), (revoked.KeySha256, revoked.Revoked));
        Assert.Equal(InvitationUse.AlreadyUsed, _store.Enroll("a", "open", OtherKey, Now));
        _store.AddInvitation("a", "again", Now.AddDays(1));
        Assert.Equal(InvitationUse.KeyRevoked, _store.Enroll("a", "again", Key, Now));
        Assert.Equal(InvitationUse.Taken, _store.Enroll("a", "again", OtherKey, Now)); // what was refused did not use it up
        Assert.Equal((OtherKey, null), (_store.FindSite("a")!.KeySha256, _store.FindSite("a")!.Revoked));
        Assert.Equal((true, false), (_store.IsRevoked(Key), _store.IsRevoked(OtherKey)));
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

    /// <summary>Opens the files as they are on disk while the first store still holds them: no orderly close.</summary>
    private void Kill()
    {
        string survived = Path.Combine(_folder.FullName, $"{Guid.NewGuid():n}.db");
        File.Copy(Database, survived);
        if (File.Exists(Database + "-wal")) File.Copy(Database + "-wal", survived + "-wal");
        _store.Dispose();
        _store = new SqliteStore(survived);
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

    private static EventRecord Said(long sequence) => new(sequence, Now, "kind", 1, "a", "message", Hash, null);

    private void AddRun(string id) => _store.AddRun(new RunRecord(id, "name", "spec", "", Now, "{}", false), Said(1), new ModelRecord(id, 0, Hash, 44, Now));
}
