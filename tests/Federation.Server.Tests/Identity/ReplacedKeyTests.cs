using Federation.Privacy.Ledger;
using Federation.Protocol;
using Federation.Protocol.Identity;
using Federation.V1;
using Grpc.Core;

namespace Federation.Server.Tests.Identity;

/// <summary>An enrolled site's name goes to another key only by an admin's word, and the old key's calls end.</summary>
public sealed class ReplacedKeyTests : IAsyncLifetime
{
    private TestCoordinator _test = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _test = await TestCoordinator.StartAsync();

    public ValueTask DisposeAsync() => _test.DisposeAsync();

    [Fact]
    public async Task Invite_EnrolledSiteByAnOperator_IsRefused()
    {
        Operator.OperatorClient ann = await OperatorAsync();
        string early = (await ann.InviteSiteAsync(new InviteSiteRequest { Name = "d" })).Token;
        TestNode node = await _test.EnrolAsync("d");

        await Tiny.RefusedAsync(Refusal.WrongRole, StatusCode.PermissionDenied, async () => await ann.InviteSiteAsync(new InviteSiteRequest { Name = "d" }), "needs the role admin");
        // Nor by an invitation that was made before the site enrolled.
        await Tiny.RefusedAsync(Refusal.TokenUsed, StatusCode.PermissionDenied, () => _test.CertifyAsync(early, "d"));
        await node.JoinAsync();
        await ann.InviteSiteAsync(new InviteSiteRequest { Name = "e" });
    }

    [Fact]
    public async Task Enrol_AnewWithAnotherKey_EndsTheCallsOfTheOldOneAndNamesBoth()
    {
        TestNode old = await _test.EnrolAsync("d");
        Task<NodeTask> poll = old.Client.NextTaskAsync(new NextTaskRequest(), cancellationToken: Cancelled).ResponseAsync;
        await Condition.HoldsAsync(() => _test.Coordinator.Sessions.Polls("d") == 1);

        TestNode anew = await _test.EnrolAsync("d");

        await Tiny.RefusedAsync(Refusal.UnknownIdentity, StatusCode.Unauthenticated, () => poll.WaitAsync(TimeSpan.FromSeconds(20), Cancelled), "not the registered one");
        await anew.JoinAsync();
        AuditEntry line = AuditVerification.Of(_test.Folder.Audit).Entries.Last(entry => entry.Kind == "site-enrolled");
        foreach (TestNode node in new[] { old, anew }) Assert.Contains(CertificateProfile.SpkiSha256(node.Credential.Certificate), line.What, StringComparison.Ordinal);
    }

    private async Task<Operator.OperatorClient> OperatorAsync()
    {
        string token = (await _test.Operator.IssueOperatorAsync(new IssueOperatorRequest { Name = "ann", Role = "operator" })).Token;
        (Grpc.Net.Client.GrpcChannel channel, CallInvoker calls) = CoordinatorChannel.OpenWithToken(_test.Coordinator.OperatorsAddress, OperatorToken.TryParse(token)!, _test.Time);
        _test.Own(channel);
        return new Operator.OperatorClient(calls);
    }
}
