using System.Text;
using Federation.Formats;
using Federation.Privacy.Ledger;
using Federation.Protocol;
using Federation.Protocol.Identity;
using Federation.Server.Identity;
using Federation.V1;
using Grpc.Core;

namespace Federation.Server.Tests.Identity;

/// <summary>What administrators do is written down, with who did it, in a chain that holds.</summary>
public sealed class AdministrativeLogTests : IAsyncLifetime
{
    private TestCoordinator _test = null!;

    public async ValueTask InitializeAsync() => _test = await TestCoordinator.StartAsync();

    public ValueTask DisposeAsync() => _test.DisposeAsync();

    [Fact]
    public async Task Acts_OfEveryKind_AreInOneChainWithWhoDidThem()
    {
        TestNode[] nodes = await _test.EnrolAllAsync("a", "b", "c");
        string run = await _test.SubmitAsync();
        await _test.Operator.CancelRunAsync(new CancelRunRequest { RunId = run });
        string token = (await _test.Operator.IssueOperatorAsync(new IssueOperatorRequest { Name = "ann", Role = "operator" })).Token;
        (Grpc.Net.Client.GrpcChannel channel, CallInvoker calls) = CoordinatorChannel.OpenWithToken(_test.Coordinator.OperatorsAddress, OperatorToken.TryParse(token)!, _test.Time);
        _test.Own(channel);
        string invitation = (await new Operator.OperatorClient(calls).InviteSiteAsync(new InviteSiteRequest { Name = "d" })).Token;
        using (AsyncServerStreamingCall<Chunk> roster = _test.Operator.ShowRoster(new ShowRosterRequest())) Assert.True(await roster.ResponseStream.MoveNext(TestContext.Current.CancellationToken));
        await _test.Operator.RevokeOperatorAsync(new RevokeOperatorRequest { Name = "ann" });
        await _test.Operator.RevokeSiteAsync(new RevokeSiteRequest { Name = "c" });

        AuditVerification log = AuditVerification.Of(_test.Folder.Audit);
        Assert.Empty(log.Problems);
        Assert.Equal(
            [
                "federation-made",
                "site-invited", "site-enrolled", "site-invited", "site-enrolled", "site-invited", "site-enrolled",
                "run-submitted", "run-cancelled", "operator-issued", "site-invited", "roster-changed", "operator-revoked", "site-revoked",
            ],
            log.Entries.Select(entry => entry.Kind));
        Assert.StartsWith("admin (admin, by certificate) invited the site 'a'", log.Entries[1].What, StringComparison.Ordinal);
        Assert.Contains(CertificateProfile.SpkiSha256(nodes[0].Credential.Certificate), log.Entries[2].What, StringComparison.Ordinal);
        Assert.Equal((run, true), (log.Entries[7].Run, log.Entries[7].What.Contains("submitted the run 'tiny'", StringComparison.Ordinal)));
        Assert.StartsWith("ann (operator, by token) invited the site 'd'", log.Entries[10].What, StringComparison.Ordinal);
        string text = File.ReadAllText(_test.Folder.Audit);
        foreach (string secret in new[] { token, invitation }) Assert.DoesNotContain(secret.Split('.')[2], text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Acts_ThatWereRefused_AreNone()
    {
        await Assert.ThrowsAsync<RpcException>(async () => await _test.Operator.SubmitRunAsync(new SubmitRunRequest { SpecYaml = "name: x" }));
        await Assert.ThrowsAsync<RpcException>(async () => await _test.Operator.InviteSiteAsync(new InviteSiteRequest { Name = "../a" }));
        await Assert.ThrowsAsync<RpcException>(async () => await _test.Operator.RevokeSiteAsync(new RevokeSiteRequest { Name = "nobody" }));
        Assert.Equal("federation-made", Assert.Single(AuditVerification.Of(_test.Folder.Audit).Entries).Kind);
    }

    [Fact]
    public async Task Acts_AfterACrash_GoOnInTheSameChain()
    {
        await _test.EnrolAsync("a");
        await _test.CrashAsync();
        await _test.EnrolAsync("b");
        AuditVerification log = AuditVerification.Of(_test.Folder.Audit);
        Assert.Empty(log.Problems);
        Assert.Equal(5, log.Entries.Count);
    }

    [Fact]
    public async Task Log_LineThatWasEdited_IsFoundAndTheCoordinatorSaysSo()
    {
        await _test.EnrolAsync("a");
        await _test.CrashAsync(folder => File.WriteAllText(folder.Audit, File.ReadAllText(folder.Audit).Replace("site 'a'", "site 'z'", StringComparison.Ordinal)));
        AuditVerification log = AuditVerification.Of(_test.Folder.Audit);
        Assert.Contains("Line 2 was edited", Assert.Single(log.Problems), StringComparison.Ordinal);
        Assert.Equal("log-broken", log.Entries[^1].Kind);
    }

    [Theory] // while it runs: by hand, or by a tool that rotates logs
    [InlineData("removed", "log-replaced,site-invited")]
    [InlineData("moved", "log-replaced,site-invited")]
    [InlineData("cut", "federation-made,log-replaced,site-invited")]
    public async Task Log_ThatIsTakenAwayWhileTheCoordinatorRuns_NamesTheHeadOfTheOldOne(string how, string kinds)
    {
        await _test.EnrolAsync("a");
        (long count, string hash) = (AuditVerification.Of(_test.Folder.Audit).Count, AuditVerification.Of(_test.Folder.Audit).Hash);
        switch (how)
        {
            case "removed": File.Delete(_test.Folder.Audit); break;
            case "moved": File.Move(_test.Folder.Audit, _test.Folder.Audit + ".1"); break;
            case "cut": File.WriteAllText(_test.Folder.Audit, File.ReadAllLines(_test.Folder.Audit)[0] + "\n"); break;
        }

        await _test.Operator.InviteSiteAsync(new InviteSiteRequest { Name = "b" });

        AuditVerification log = AuditVerification.Of(_test.Folder.Audit);
        Assert.Empty(log.Problems);
        Assert.Equal(kinds, string.Join(',', log.Entries.Select(entry => entry.Kind)));
        Assert.Contains($"{count}:{hash}", log.Entries[^2].What, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Acts_DoneWithoutRoom_HaveTheirLinesWhenThereIsRoom()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "/dev/full is Linux's.");
        string kept = _test.Folder.Audit + ".kept";
        File.Move(_test.Folder.Audit, kept);
        File.CreateSymbolicLink(_test.Folder.Audit, "/dev/full");
        foreach (string site in new[] { "a", "b" }) await Tiny.RefusedAsync(Refusal.StorageFull, StatusCode.Internal, async () => await _test.Operator.InviteSiteAsync(new InviteSiteRequest { Name = site }), "It was done");
        File.Delete(_test.Folder.Audit);
        File.Move(kept, _test.Folder.Audit);
        _test.Wait();

        AuditVerification log = AuditVerification.Of(_test.Folder.Audit);
        Assert.Empty(log.Problems);
        Assert.Equal(["federation-made", "site-invited", "site-invited"], log.Entries.Select(entry => entry.Kind));
        Assert.Contains("written late) invited the site 'a'", log.Entries[1].What, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Start_OnALogThatWasCutOrRemoved_SaysSoInIt(bool removed)
    {
        await _test.EnrolAsync("a");
        (long count, string hash) = (AuditVerification.Of(_test.Folder.Audit).Count, AuditVerification.Of(_test.Folder.Audit).Hash);
        await _test.StopAsync();
        File.WriteAllText(_test.Folder.Audit, removed ? "" : File.ReadAllLines(_test.Folder.Audit)[0] + "\n");
        Assert.Equal((count, hash), Federation.Server.Storage.KeptHead.In(_test.Folder));

        await _test.ListenAsync();

        AuditEntry last = AuditVerification.Of(_test.Folder.Audit).Entries[^1];
        Assert.Equal(("log-cut", true), (last.Kind, last.What.Contains($"{count}:{hash}", StringComparison.Ordinal)));
        Assert.Equal((last.Number, last.Hash), Federation.Server.Storage.KeptHead.In(_test.Folder));
    }

    [Fact] // a backup is another process's, as a rule
    public async Task Log_ThatTwoWriteInTurn_IsOneChain()
    {
        using (AuditLog other = AuditLog.Open(_test.Folder.Audit, _test.Time))
        {
            for (int i = 0; i < 5; i++)
            {
                await _test.Operator.InviteSiteAsync(new InviteSiteRequest { Name = $"s{i}" });
                other.Record("backup-made", $"number {i}");
            }
        }

        AuditVerification log = AuditVerification.Of(_test.Folder.Audit);
        Assert.Empty(log.Problems);
        Assert.Equal(11, log.Count);
    }

    [Fact]
    public async Task Start_LogThatCannotBeUsed_IsOneClearError()
    {
        await _test.StopAsync();
        File.Delete(_test.Folder.Audit);
        Directory.CreateDirectory(_test.Folder.Audit);
        var error = await Assert.ThrowsAsync<InvalidInputException>(_test.ListenAsync);
        Assert.Contains(_test.Folder.Audit, error.Message, StringComparison.Ordinal);
        Directory.Delete(_test.Folder.Audit);
        await _test.ListenAsync();
    }
}
