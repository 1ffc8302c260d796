using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Federation.Protocol;
using Federation.Protocol.Identity;
using Federation.Server.Identity;
using Federation.V1;
using Google.Protobuf;
using Grpc.Core;
using Operator = Federation.V1.Operator;

namespace Federation.Server.Tests.Identity;

/// <summary>Viewers, operators, admins: by certificate and by token, over real connections.</summary>
public sealed class OperatorRoleTests : IAsyncLifetime
{
    private TestCoordinator _test = null!;

    public async ValueTask InitializeAsync() => _test = await TestCoordinator.StartAsync();

    public ValueTask DisposeAsync() => _test.DisposeAsync();

    [Fact]
    public void Least_EveryCallOfTheService_HasItsRoleAndNoOtherHas() =>
        Assert.Equal(Operator.Descriptor.Methods.Select(method => method.Name).Order(), OperatorAccess.Least.Keys.Order());

    [Theory]
    [InlineData("viewer", false)]
    [InlineData("viewer", true)]
    [InlineData("operator", false)]
    [InlineData("operator", true)]
    [InlineData("admin", false)]
    [InlineData("admin", true)]
    public async Task Call_WithARole_MayDoThatAndLess(string role, bool byToken)
    {
        Operator.OperatorClient client = await ClientAsync("ann", role, byToken);
        await client.ListSitesAsync(new ListSitesRequest());
        await client.ListRunsAsync(new ListRunsRequest());
        await ExpectAsync("operator", async () => await client.InviteSiteAsync(new InviteSiteRequest { Name = "a" }), "InviteSite");
        await ExpectAsync("operator", async () => await client.SubmitRunAsync(new SubmitRunRequest { SpecYaml = "none" }), "SubmitRun");
        await ExpectAsync("admin", async () => await client.IssueOperatorAsync(new IssueOperatorRequest { Name = "bob", Role = "viewer" }), "IssueOperator");
        await ExpectAsync("admin", async () => await client.RevokeSiteAsync(new RevokeSiteRequest { Name = "a" }), "RevokeSite");

        async Task ExpectAsync(string needed, Func<Task> call, string what)
        {
            if (OperatorRoles.Parse(role) < OperatorRoles.Parse(needed)) await Tiny.RefusedAsync(Refusal.WrongRole, StatusCode.PermissionDenied, call, $"{what} needs the role {needed}; ann has the role {role}");
            else Assert.NotEqual(Refusal.WrongRole, await Record.ExceptionAsync(call) is RpcException error ? RpcError.ReasonOf(error) : null);
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Revoke_AnOperator_EndsItsCallsAndRefusesLaterOnesAlsoAfterACrash(bool byToken)
    {
        await _test.EnrolAllAsync("a", "b", "c");
        string run = await _test.SubmitAsync();
        Func<Operator.OperatorClient> dial = await DialAsync("ann", "operator", byToken);
        using AsyncServerStreamingCall<RunEvent> watch = dial().WatchRun(new WatchRunRequest { RunId = run });
        Assert.True(await watch.ResponseStream.MoveNext(TestContext.Current.CancellationToken));

        OperatorEntry revoked = await _test.Operator.RevokeOperatorAsync(new RevokeOperatorRequest { Name = "ann" });
        Assert.NotEqual(0, revoked.RevokedUnixMs);
        await RefusedAsync(async () =>
        {
            while (await watch.ResponseStream.MoveNext(TestContext.Current.CancellationToken).WaitAsync(TimeSpan.FromSeconds(20)))
            {
                // what was on its way
            }
        });
        await RefusedAsync(async () => await dial().ListSitesAsync(new ListSitesRequest()));
        await _test.CrashAsync();
        await RefusedAsync(async () => await dial().ListSitesAsync(new ListSitesRequest()));
        Assert.Equal(revoked, await _test.Operator.RevokeOperatorAsync(new RevokeOperatorRequest { Name = "ann" })); // again: nothing changes

        Func<Operator.OperatorClient> anew = await DialAsync("ann", "viewer", byToken); // the name is free again
        await anew().ListSitesAsync(new ListSitesRequest());
        await Tiny.RefusedAsync(Refusal.UnknownIdentity, StatusCode.Unauthenticated, async () => await dial().ListSitesAsync(new ListSitesRequest()), "'ann'");

        static Task RefusedAsync(Func<Task> call) => Tiny.RefusedAsync(Refusal.Revoked, StatusCode.Unauthenticated, call, "'ann' was revoked");
    }

    [Fact]
    public async Task Revoke_OneselfOrNobody_IsRefused()
    {
        await Tiny.RefusedAsync(Refusal.Invalid, StatusCode.FailedPrecondition, async () => await _test.Operator.RevokeOperatorAsync(new RevokeOperatorRequest { Name = "admin" }), "Another admin");
        await Tiny.RefusedAsync(Refusal.Invalid, StatusCode.NotFound, async () => await _test.Operator.RevokeOperatorAsync(new RevokeOperatorRequest { Name = "ann" }), "'ann'");
        Operator.OperatorClient other = await ClientAsync("ann", "admin", byToken: false);
        await other.RevokeOperatorAsync(new RevokeOperatorRequest { Name = "admin" });
        await Tiny.RefusedAsync(Refusal.Revoked, StatusCode.Unauthenticated, async () => await _test.Operator.ListSitesAsync(new ListSitesRequest()));
    }

    [Fact]
    public async Task Issue_NameTakenOrNotAllowed_IsRefused()
    {
        await ClientAsync("ann", "viewer", byToken: true);
        await Tiny.RefusedAsync(Refusal.Invalid, StatusCode.AlreadyExists, () => ClientAsync("ann", "admin", byToken: true), "fed operator revoke ann");
        await Tiny.RefusedAsync(Refusal.Invalid, StatusCode.InvalidArgument, () => ClientAsync("../x", "viewer", byToken: true), "lower-case");
        await Tiny.RefusedAsync(Refusal.Invalid, StatusCode.InvalidArgument, () => ClientAsync("bob", "root", byToken: true), "viewer, operator or admin");
        await Tiny.RefusedAsync(Refusal.Invalid, StatusCode.InvalidArgument, async () => await _test.Operator.IssueOperatorAsync(new IssueOperatorRequest { Name = "bob", Role = "viewer", ValidDays = 731 }), "730");
        await Tiny.RefusedAsync(Refusal.BadSigningRequest, StatusCode.InvalidArgument, async () => await _test.Operator.IssueOperatorAsync(new IssueOperatorRequest { Name = "bob", Role = "viewer", CertificateSigningRequest = ByteString.CopyFrom(1, 2) }));
        Assert.Equal([("admin", "admin", "certificate"), ("ann", "viewer", "token")], (await _test.Operator.ListOperatorsAsync(new ListOperatorsRequest())).Operators.Select(one => (one.Name, one.Role, one.Kind)));
    }

    [Fact]
    public async Task Issue_AToken_StoresItsHashOnlyAndEndsInTime()
    {
        IssueOperatorReply issued = await _test.Operator.IssueOperatorAsync(new IssueOperatorRequest { Name = "ann", Role = "viewer", ValidDays = 1 });
        Operator.OperatorClient client = WithToken(issued.Token);
        await client.ListSitesAsync(new ListSitesRequest());
        _test.Sleep(TimeSpan.FromDays(1));
        await Tiny.RefusedAsync(Refusal.ExpiredCertificate, StatusCode.Unauthenticated, async () => await client.ListSitesAsync(new ListSitesRequest()), "ended at");
        await _test.StopAsync(); // so that the whole database is in its file
        string secret = issued.Token.Split('.')[2];
        foreach (string file in Directory.EnumerateFiles(_test.State, "*", SearchOption.AllDirectories))
        {
            Assert.DoesNotContain(secret, Encoding.Latin1.GetString(await File.ReadAllBytesAsync(file, TestContext.Current.CancellationToken)), StringComparison.Ordinal);
        }

        await _test.ListenAsync();
    }

    [Fact]
    public async Task Call_TokenMadeUpOrNone_IsRefused()
    {
        IssueOperatorReply issued = await _test.Operator.IssueOperatorAsync(new IssueOperatorRequest { Name = "ann", Role = "admin" });
        string ca = OperatorToken.TryParse(issued.Token)!.CaSpkiSha256;
        await Tiny.RefusedAsync(Refusal.UnknownIdentity, StatusCode.Unauthenticated, async () => await WithToken(OperatorToken.Create("ann", ca).Reveal()).ListSitesAsync(new ListSitesRequest()), "'ann'");
        await Tiny.RefusedAsync(Refusal.UnknownIdentity, StatusCode.Unauthenticated, async () => await WithToken(OperatorToken.Create("admin", ca).Reveal()).ListSitesAsync(new ListSitesRequest()), "'admin'");
        foreach (string header in new[] { "Bearer x", "Basic YTpi", "Bearer " + issued.Token + "x", issued.Token })
        {
            await Tiny.RefusedAsync(Refusal.TokenMalformed, StatusCode.Unauthenticated, async () => await _test.Operator.ListSitesAsync(new ListSitesRequest(), new Metadata { { "authorization", header } }));
        }
    }

    [Fact]
    public async Task Call_CertificateOfTheCaThatWasNeverIssuedHere_IsRefused()
    {
        using CertificateAuthority ca = CertificateAuthority.Load(_test.Folder.Ca);
        await _test.Operator.ListSitesAsync(new ListSitesRequest()); // the first admin is known now
        foreach (string name in new[] { "admin", "mallory" })
        {
            Credential credential = _test.Own(ca.Issue(name, CertificateRole.Admin, _test.Time.GetUtcNow()));
            await Tiny.RefusedAsync(Refusal.UnknownIdentity, StatusCode.Unauthenticated, async () => await With(credential).ListSitesAsync(new ListSitesRequest()), $"'{name}'");
        }
    }

    private async Task<Operator.OperatorClient> ClientAsync(string name, string role, bool byToken) => (await DialAsync(name, role, byToken))();

    /// <summary>A credential, dialled with wherever the coordinator is then.</summary>
    private async Task<Func<Operator.OperatorClient>> DialAsync(string name, string role, bool byToken)
    {
        var request = new IssueOperatorRequest { Name = name, Role = role };
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        if (!byToken) request.CertificateSigningRequest = ByteString.CopyFrom(new CertificateRequest("CN=whatever", key, HashAlgorithmName.SHA256).CreateSigningRequest());
        IssueOperatorReply reply = await _test.Operator.IssueOperatorAsync(request);
        if (byToken) return () => WithToken(reply.Token);
        using X509Certificate2 certificate = X509CertificateLoader.LoadCertificate(reply.Certificate.Span);
        Credential credential = _test.Own(Credential.Of(certificate, key, X509CertificateLoader.LoadCertificate(reply.CaCertificate.Span)));
        return () => With(credential);
    }

    private Operator.OperatorClient With(Credential credential) => new(_test.Channel(_test.Coordinator.OperatorsAddress, credential));

    private Operator.OperatorClient WithToken(string token)
    {
        (Grpc.Net.Client.GrpcChannel channel, CallInvoker calls) = CoordinatorChannel.OpenWithToken(_test.Coordinator.OperatorsAddress, OperatorToken.TryParse(token)!, _test.Time);
        _test.Own(channel);
        return new Operator.OperatorClient(calls);
    }
}
