using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Federation.Protocol;
using Federation.Protocol.Identity;
using Federation.Server.Identity;
using Federation.V1;
using Google.Protobuf;
using Grpc.Core;

namespace Federation.Server.Tests.Identity;

public sealed class EnrolmentTests : IAsyncLifetime
{
    private TestCoordinator _test = null!;

    public async ValueTask InitializeAsync() => _test = await TestCoordinator.StartAsync();

    public ValueTask DisposeAsync() => _test.DisposeAsync();

    [Fact]
    public async Task Enrol_WithAnInvitation_GivesAnIdentityThatJoins()
    {
        TestNode node = await _test.EnrolAsync("a");
        Site site = Assert.Single((await _test.Operator.ListSitesAsync(new ListSitesRequest())).Sites);
        Assert.Equal(("a", "enrolled", "trainer", true), (site.Name, site.State, site.Role, site.Connected));
        Assert.Equal(CertificateProfile.SpkiSha256(node.Credential.Certificate), site.KeySha256);
    }

    [Fact]
    public async Task Invite_StoresTheHashOfTheSecretOnly()
    {
        string token = await InviteAsync("a");
        await _test.StopAsync(); // so that the whole database is in its file
        string secret = token.Split('.')[2];
        foreach (string file in Directory.EnumerateFiles(_test.State, "*", SearchOption.AllDirectories))
        {
            Assert.DoesNotContain(secret, Encoding.Latin1.GetString(await File.ReadAllBytesAsync(file, TestContext.Current.CancellationToken)), StringComparison.Ordinal);
        }

        Assert.Contains(InvitationToken.Parse(token).SecretSha256, Encoding.Latin1.GetString(await File.ReadAllBytesAsync(_test.Folder.Database, TestContext.Current.CancellationToken)), StringComparison.Ordinal);
        await _test.ListenAsync();
    }

    [Fact]
    public async Task Enrol_TokenUsed_IsRefused()
    {
        string token = await InviteAsync("a");
        await _test.CertifyAsync(token, "a");
        await Tiny.RefusedAsync(Refusal.TokenUsed, StatusCode.PermissionDenied, () => _test.CertifyAsync(token, "a"), "used already");
    }

    [Fact]
    public async Task Enrol_TokenUsedByManyAtOnce_EnrolsOne()
    {
        string token = await InviteAsync("a");
        int enrolled = 0;
        await Parallel.ForAsync(0, 8, TestContext.Current.CancellationToken, async (_, cancelled) =>
        {
            using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            var request = new EnrollRequest { Token = token, CertificateSigningRequest = ByteString.CopyFrom(new CertificateRequest("CN=a", key, HashAlgorithmName.SHA256).CreateSigningRequest()) };
            try
            {
                using var channel = CoordinatorChannel.OpenForEnrolment(_test.Coordinator.NodesAddress, InvitationToken.Parse(token).CaSpkiSha256);
                await new Enrolment.EnrolmentClient(channel).EnrollAsync(request, cancellationToken: cancelled);
                Interlocked.Increment(ref enrolled);
            }
            catch (RpcException error) when (RpcError.ReasonOf(error) is Refusal.TokenUsed or Refusal.TooManyTries)
            {
                // the others, of which five are told why
            }
        });
        Assert.Equal(1, enrolled);
    }

    [Fact]
    public async Task Enrol_TokenOlderThanADay_IsRefused()
    {
        string token = await InviteAsync("a");
        _test.Sleep(TimeSpan.FromHours(24));
        await Tiny.RefusedAsync(Refusal.TokenExpired, StatusCode.PermissionDenied, () => _test.CertifyAsync(token, "a"), "expired");
    }

    [Fact]
    public async Task Enrol_TokenJustUnderADay_IsTaken()
    {
        string token = await InviteAsync("a");
        _test.Sleep(TimeSpan.FromHours(24) - TimeSpan.FromSeconds(1));
        await _test.CertifyAsync(token, "a");
    }

    [Fact]
    public async Task Enrol_TokenOfAnotherFederation_IsRefused()
    {
        await using TestCoordinator other = await TestCoordinator.StartAsync();
        string token = (await other.Operator.InviteSiteAsync(new InviteSiteRequest { Name = "a" })).Token;
        await Tiny.RefusedAsync(Refusal.TokenForeign, StatusCode.PermissionDenied, () => _test.CertifyAsync(token, "a"));
    }

    [Fact]
    public async Task Enrol_MadeUpSecretOrAnotherName_IsUnknown()
    {
        string[] parts = (await InviteAsync("a")).Split('.');
        using CertificateAuthority ca = CertificateAuthority.Load(_test.Folder.Ca);
        await Tiny.RefusedAsync(Refusal.TokenUnknown, StatusCode.PermissionDenied, () => _test.CertifyAsync(InvitationToken.Create("a", ca.SpkiSha256).Reveal(), "a"));
        await Tiny.RefusedAsync(Refusal.TokenUnknown, StatusCode.PermissionDenied, () => _test.CertifyAsync($"{parts[0]}.b.{parts[2]}.{parts[3]}", "b"));
        await _test.CertifyAsync(string.Join('.', parts), "a"); // and is still good for its own site
    }

    [Theory]
    [InlineData("")]
    [InlineData("fed1.a.b.c")]
    [InlineData("nonsense")]
    public async Task Enrol_NoToken_IsRefused(string token) =>
        await Tiny.RefusedAsync(Refusal.TokenMalformed, StatusCode.InvalidArgument, () => _test.CertifyAsync(token, "a"));

    [Fact]
    public async Task Enrol_BadSigningRequest_IsRefusedAndTheTokenStaysGood()
    {
        string token = await InviteAsync("a");
        foreach (int length in new[] { 0, 10, 10_000 })
        {
            await Tiny.RefusedAsync(Refusal.BadSigningRequest, StatusCode.InvalidArgument, async () =>
                await _test.Enrolment().EnrollAsync(new EnrollRequest { Token = token, CertificateSigningRequest = ByteString.CopyFrom(new byte[length]) }));
        }

        await _test.CertifyAsync(token, "a");
    }

    [Fact]
    public async Task Enrol_Again_ReplacesTheKeyAndTheOlderCertificateIsNoLongerAccepted()
    {
        TestNode old = await _test.EnrolAsync("a");
        TestNode anew = await _test.EnrolAsync("a");
        await anew.Client.HeartbeatAsync(new HeartbeatRequest());
        await Tiny.RefusedAsync(Refusal.UnknownIdentity, StatusCode.Unauthenticated, async () => await old.Client.HeartbeatAsync(new HeartbeatRequest()), "not the registered one");
    }

    [Fact]
    public async Task Invite_AnEnrolledSite_ItsCertificateHoldsUntilTheNewOneIsFetched()
    {
        TestNode node = await _test.EnrolAsync("a");
        await InviteAsync("a");
        await node.Client.HeartbeatAsync(new HeartbeatRequest());
    }

    [Theory]
    [InlineData("")]
    [InlineData("Upper")]
    [InlineData("../a")]
    [InlineData("a\nb")]
    public async Task Invite_NoSiteName_IsRefusedNamingTheRule(string name) =>
        await Tiny.RefusedAsync(Refusal.Invalid, StatusCode.InvalidArgument, () => InviteAsync(name), "lower-case letters");

    private async Task<string> InviteAsync(string site) => (await _test.Operator.InviteSiteAsync(new InviteSiteRequest { Name = site })).Token;
}
