using System.Data.Common;
using Federation.Formats.Configuration;
using Federation.Formats.Evaluation;
using Federation.Privacy.Canonical;
using Federation.Privacy.Ledger;
using Federation.Protocol.Identity;
using Federation.Server.Storage;

namespace Federation.Server.Tests.Storage;

/// <summary>What every store owes.</summary>
public abstract class StoreTests
{
    private protected static readonly DateTimeOffset Now = new(2026, 1, 1, 12, 0, 0, TimeSpan.Zero);
    private protected static readonly string Key = new('a', 64), OtherKey = new('b', 64), Hash = new('c', 64);

    private protected ICoordinatorStore Store { get; set; } = null!;

    /// <summary>Goes on with what is on disk at this instant: nothing that happens at shutdown can help.</summary>
    private protected abstract void Kill();

    [Fact] // also where a state is none that this program can read
    public void NamedContents_OfRecords_AreAllHashesInThem()
    {
        Assert.Empty(Store.NamedContents());
        AddRun("one");
        string[] hashes = [.. "0123456789".Select(digit => new string(digit, 64))];
        var round = new RoundRecord(1, "completed", ["a"], ["a"], 7, hashes[2], 1.5, 10, 20, 30);
        Store.Save(new RunChange("one", $"{{ \"Keys\": {{ \"RosterSha256\": \"{hashes[0]}\" }}, broken {hashes[1]}", false, [Said(2) with { Model = hashes[3] }], [round], [new ModelRecord("one", 1, hashes[4], 44, Now)], []));
        Store.SaveUpload("one", 2, new UploadRecord("a", hashes[5], hashes[6], 120, 1));
        Store.AddRoster(1, [1, 2, 3]);
        Assert.Superset((HashSet<string>)[.. hashes[..7], Sha256Hex.Of([1, 2, 3])], (HashSet<string>)[.. Store.NamedContents()]);
        Assert.DoesNotContain(hashes[7], Store.NamedContents());
    }

    [Fact]
    public void Everything_Stored_IsThereAfterAKill()
    {
        var sums = new EvaluationSums { Examples = 3, Correct = 2, LogLossSum = 0.1, BrierSum = 0.2, NegativeHistogram = [1, 2], PositiveHistogram = [3, 4] };
        var metrics = new Metrics(3, 2.0 / 3, null, 0.1, 0.2);
        var upload = new UploadRecord("a", Hash, Key, 120, ulong.MaxValue);
        var round = new RoundRecord(1, "completed", ["a", "b"], ["a"], 7, Hash, 1.5, 10, 20, 30);
        Store.AddInvitation("a", "secret", Now.AddDays(1));
        Store.Enroll("a", "secret", Key, Now);
        Store.SaveJoin("a", NodeRole.Evaluator, ["heart"], new Dictionary<string, string> { ["region"] = "eu" }, Now);
        AddRun("one");
        Store.SaveUpload("one", 2, upload); // on disk with what comes after it
        Store.SaveTold("one", "a");
        Store.Save(new RunChange("one", "{\"changed\":1}", true, [Said(2) with { Metrics = metrics }], [round], [new ModelRecord("one", 1, Hash, 44, Now)], [new EvaluationRecord("one", 1, "federated", sums)]));

        Kill();
        SiteRecord site = Assert.Single(Store.Sites());
        Assert.Equal(("a", Key, NodeRole.Evaluator, Now), (site.Name, site.KeySha256, site.Role, site.LastSeen));
        Assert.Equal(["heart"], site.DataIds);
        RunRecord run = Assert.Single(Store.Runs());
        Assert.Equal(("one", "{\"changed\":1}", true, Now), (run.Id, run.StateJson, run.Over, run.SubmittedAt));
        Assert.Equal([1, 2], Store.Events("one", 0).Select(one => one.Sequence));
        Assert.Equal(metrics, Assert.Single(Store.Events("one", 1)).Metrics);
        Assert.Equivalent(round, Assert.Single(Store.Rounds("one")), strict: true);
        Assert.Equal(upload, Store.FindUpload("one", 2, "a"));
        Assert.Equal([0, 1], Store.Models("one").Select(model => model.Round));
        Assert.Equivalent(sums, Assert.Single(Store.Evaluations(null)).Sums, strict: true);
        Assert.Equal((true, false), (Store.WasTold("one", "a"), Store.WasTold("one", "b")));
    }

    [Fact]
    public void Save_PartOfTheChangeCannotBeStored_StoresNothingOfIt()
    {
        AddRun("one");
        Assert.ThrowsAny<DbException>(() => Store.Save(new RunChange("one", "{\"changed\":1}", true, [Said(2), Said(2)], [], [], [])));
        Assert.Equal("{}", Assert.Single(Store.Runs()).StateJson);
        Assert.Single(Store.Events("one", 0));
        Store.Save(new RunChange("one", "{\"changed\":2}", false, [Said(2)], [], [], [])); // and works on
        Assert.Equal(2, Store.Events("one", 0).Count);
    }

    [Fact]
    public void Save_OfARunThatIsNone_IsRefused() =>
        Assert.ThrowsAny<DbException>(() => Store.SaveUpload("nobody", 1, new UploadRecord("a", Hash, Key, 1, 1)));

    [Fact]
    public void Enroll_Invitations_AreUsedOnceByTheirOwnSiteInTime()
    {
        Store.AddInvitation("a", "secret", Now.AddHours(24));
        Assert.Equal(InvitationUse.Unknown, Store.Enroll("a", "guess", Key, Now));
        Assert.Equal(InvitationUse.Unknown, Store.Enroll("b", "secret", Key, Now));
        Assert.Equal(InvitationUse.Expired, Store.Enroll("a", "secret", Key, Now.AddHours(24)));
        Assert.Null(Store.FindSite("a")!.KeySha256);
        Assert.Equal(InvitationUse.Taken, Store.Enroll("a", "secret", Key, Now));
        Assert.Equal(InvitationUse.AlreadyUsed, Store.Enroll("a", "secret", OtherKey, Now));
        Assert.Equal(Key, Store.FindSite("a")!.KeySha256);
    }

    [Fact]
    public void Enroll_AgainWithANewInvitation_ReplacesTheKey()
    {
        foreach ((string secret, string key) in new[] { ("one", Key), ("two", OtherKey) })
        {
            Store.AddInvitation("a", secret, Now.AddDays(1));
            Assert.Equal(InvitationUse.Taken, Store.Enroll("a", secret, key, Now));
            Assert.Equal(key, Store.FindSite("a")!.KeySha256);
        }
    }

    [Fact] // the site's own words
    public void Save_MessageWithBytesThatNoTextHolds_IsStored()
    {
        AddRun("one");
        Store.Save(new RunChange("one", "{}", false, [Said(2) with { Message = "zero \0 half \ud83d end" }], [], [], []));
        Assert.StartsWith("zero", Assert.Single(Store.Events("one", 1)).Message, StringComparison.Ordinal);
    }

    [Fact] // its answer was lost on the way: the site asks again with the same key
    public void Enroll_AgainWithTheSameKey_ChangesNothing()
    {
        Store.AddInvitation("a", "secret", Now.AddDays(1));
        Assert.Equal(InvitationUse.Taken, Store.Enroll("a", "secret", Key, Now));
        Assert.Equal(InvitationUse.Taken, Store.Enroll("a", "secret", Key, Now.AddDays(2)));
        Store.Revoke("a", Now);
        Assert.Equal(InvitationUse.AlreadyUsed, Store.Enroll("a", "secret", Key, Now));
    }

    [Fact]
    public void Add_RecordsOfEveryOtherKind_AreReadBackAndAgainChangeNothing()
    {
        AddRun("one");
        byte[] content = [0, 1, 255];
        for (int time = 0; time < 2; time++)
        {
            Store.AddTranscript(new TranscriptRecord("one", TranscriptRecord.Opening, 1, 2, content));
            Store.SaveTold("one", "a");
            Store.KeepAnswer("a", 1 + time, [7]);
            Assert.Null(Store.SaveLedgerHead("a", Head(3)));
        }

        Store.AddTranscript(new TranscriptRecord("one", TranscriptRecord.Opening, 2, 2, content));
        Store.AddRoster(1, [1]);
        Store.AddRoster(2, [2]);
        var ann = new OperatorRecord("ann", OperatorRole.Viewer, true, Key, Now, Now.AddDays(1));
        Assert.True(Store.AddOperator(ann, Now));
        Assert.False(Store.AddOperator(ann, Now));
        Assert.Equal(Now, Store.RevokeOperator("ann", Now)!.Revoked);
        Assert.True(Store.AddOperator(ann with { Proof = OtherKey }, Now));

        Kill();
        Assert.Equal([1, 2], Store.Transcripts("one").Select(one => one.Round));
        Assert.All(Store.Transcripts("one"), one => Assert.Equal(content, one.Content));
        Assert.Equal([Sha256Hex.Of(content), Sha256Hex.Of(content)], Store.TranscriptHashes("one"));
        Assert.Equal([7], Store.KeptAnswer("a"));
        Assert.Equal([2], Store.NewestRoster());
        Assert.Equal(ann with { Proof = OtherKey }, Assert.Single(Store.Operators()));
        Assert.Equal(3, Assert.Single(Store.LedgerHeads("a")).Count);
        Assert.Equal(3, Store.SaveLedgerHead("a", Head(2))!.Count);
        Assert.Equal(("one", "name"), (Store.FindRun("one")!.Id, Store.FindRun("one")!.Name));
        Assert.Null(Store.FindRun("two"));
    }

    [Fact] // capitals and digits, where languages order otherwise
    public void Sites_ByName_AreInTheOrderOfTheirBytes()
    {
        foreach (string site in new[] { "b", "a-1", "a1", "a", "a-b" }) Store.AddInvitation(site, site, Now);
        Assert.Equal(["a", "a-1", "a-b", "a1", "b"], Store.Sites().Select(site => site.Name));
    }

    [Fact]
    public void DropUploads_OfARound_DropsThatAndEarlierOnes()
    {
        AddRun("one");
        for (int round = 1; round <= 3; round++) Store.SaveUpload("one", round, new UploadRecord("a", Hash, Key, 1, 1));
        Store.DropUploads("one", 2);
        Assert.Equal([false, false, true], Enumerable.Range(1, 3).Select(round => Store.FindUpload("one", round, "a") is not null));
    }

    [Fact]
    public void Runs_SubmittedInTheSameInstant_KeepTheirOrder()
    {
        foreach (string id in new[] { "zz", "mm", "aa" }) AddRun(id);
        Kill();
        Assert.Equal(["zz", "mm", "aa"], Store.Runs().Select(run => run.Id));
    }

    [Fact]
    public void Revoke_ASite_TakesKeyAndInvitationsForGoodAndAgainChangesNothing()
    {
        foreach (string secret in new[] { "one", "open" }) Store.AddInvitation("a", secret, Now.AddDays(1));
        Store.Enroll("a", "one", Key, Now);
        Assert.Null(Store.Revoke("b", Now));
        Assert.Equal(new RevokedSite(Key, Now), Store.Revoke("a", Now));
        Assert.Equal(new RevokedSite(Key, Now), Store.Revoke("a", Now.AddDays(1)));

        Kill();
        SiteRecord revoked = Store.FindSite("a")!;
        Assert.Equal((null, Now), (revoked.KeySha256, revoked.Revoked));
        Assert.Equal(InvitationUse.AlreadyUsed, Store.Enroll("a", "open", OtherKey, Now));
        Store.AddInvitation("a", "again", Now.AddDays(1));
        Assert.Equal(InvitationUse.KeyRevoked, Store.Enroll("a", "again", Key, Now));
        Assert.Equal(InvitationUse.Taken, Store.Enroll("a", "again", OtherKey, Now)); // what was refused did not use it up
        Assert.Equal((OtherKey, null), (Store.FindSite("a")!.KeySha256, Store.FindSite("a")!.Revoked));
        Assert.Equal((true, false), (Store.IsRevoked(Key), Store.IsRevoked(OtherKey)));
    }

    private protected static EventRecord Said(long sequence) => new(sequence, Now, "kind", 1, "a", "message", Hash, null);

    private protected void AddRun(string id) => Store.AddRun(new RunRecord(id, "name", "spec", "", Now, "{}", false), Said(1), new ModelRecord(id, 0, Hash, 44, Now));

    private static LedgerHead Head(long count) => new("id", "heart", count, Hash, [1.5, double.PositiveInfinity], 0, [1], [2]);

    /// <summary>For a second after a failure every call fails.</summary>
    private protected static void Eventually(Action call)
    {
        while (true)
        {
            try
            {
                call();
                return;
            }
            catch (StoreUnavailableException)
            {
                TestContext.Current.CancellationToken.ThrowIfCancellationRequested();
                Thread.Yield();
            }
        }
    }
}
