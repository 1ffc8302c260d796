using System.Net.Security;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Federation.Protocol;
using Federation.Protocol.Identity;
using Federation.V1;
using Google.Protobuf;
using Grpc.Core;

namespace Federation.Server.Tests.Identity;

/// <summary>Certificates that end soon, and the new ones that take their place.</summary>
public sealed class RenewalTests : IAsyncLifetime
{
    private static readonly TimeSpan Lifetime = TimeSpan.FromHours(2);
    private TestCoordinator _test = null!;

    public async ValueTask InitializeAsync() => _test = await TestCoordinator.StartAsync(Lifetime);

    public ValueTask DisposeAsync() => _test.DisposeAsync();

    [Fact]
    public async Task Renew_WithTheRegisteredKey_GivesALaterCertificateOfTheSameIdentity()
    {
        TestNode node = await _test.EnrolAsync("a");
        X509Certificate2 first = node.Credential.Certificate;
        Assert.Equal(_test.Time.GetUtcNow() + Lifetime, first.NotAfter.ToUniversalTime(), TimeSpan.FromSeconds(1));
        _test.Sleep(TimeSpan.FromHours(1.5));
        using X509Certificate2 second = await RenewAsync(node, node.Credential.Certificate.GetECDsaPrivateKey()!);
        Assert.Equal(_test.Time.GetUtcNow() + Lifetime, second.NotAfter.ToUniversalTime(), TimeSpan.FromSeconds(1));
        Assert.Equal(("a", CertificateRole.Site), (CertificateProfile.NameOf(second), CertificateProfile.RoleOf(second)));
        Assert.Equal(CertificateProfile.SpkiSha256(first), CertificateProfile.SpkiSha256(second));
        Assert.Equal(CertificateProfile.SpkiSha256(first), Assert.Single((await _test.Operator.ListSitesAsync(new ListSitesRequest())).Sites).KeySha256);

        _test.Sleep(TimeSpan.FromHours(1)); // the first has ended
        using ECDsa key = first.GetECDsaPrivateKey()!;
        await new TestNode(_test, "a", _test.Own(Credential.Of(second, key, X509CertificateLoader.LoadCertificate(node.Credential.CaCertificate.RawData)))).JoinAsync();
        await Tiny.RefusedAsync(Refusal.ExpiredCertificate, StatusCode.Unauthenticated, () => node.JoinAsync(), "new invitation");
        await Tiny.RefusedAsync(Refusal.ExpiredCertificate, StatusCode.Unauthenticated, () => RenewAsync(node, first.GetECDsaPrivateKey()!), "new invitation");
    }

    [Fact]
    public async Task Renew_WithAnotherKey_IsRefused()
    {
        TestNode node = await _test.EnrolAsync("a");
        using ECDsa another = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        await Tiny.RefusedAsync(Refusal.AnotherKey, StatusCode.PermissionDenied, () => RenewAsync(node, another), "same key");
        await Tiny.RefusedAsync(Refusal.BadSigningRequest, StatusCode.InvalidArgument, async () => await node.Client.RenewCertificateAsync(new RenewCertificateRequest { CertificateSigningRequest = ByteString.CopyFrom(1, 2, 3) }));
        await node.Client.HeartbeatAsync(new HeartbeatRequest()); // nothing has changed
    }

    [Fact]
    public async Task Renew_RevokedSite_IsRefused()
    {
        TestNode node = await _test.EnrolAsync("a");
        await _test.Operator.RevokeSiteAsync(new RevokeSiteRequest { Name = "a" });
        await Tiny.RefusedAsync(Refusal.Revoked, StatusCode.Unauthenticated, () => RenewAsync(node, node.Credential.Certificate.GetECDsaPrivateKey()!));
    }

    [Fact]
    public async Task Coordinator_RunsForYears_ItsOwnCertificateNeverEnds()
    {
        X509Certificate2 first = await ShownAsync(), same = await ShownAsync();
        Assert.Equal(first.Thumbprint, same.Thumbprint);
        for (int month = 0; month < 36; month++)
        {
            _test.Sleep(TimeSpan.FromDays(30));
            X509Certificate2 shown = await ShownAsync();
            Assert.InRange(_test.Time.GetUtcNow(), shown.NotBefore.ToUniversalTime(), shown.NotAfter.ToUniversalTime() - TimeSpan.FromDays(9));
        }
    }

    [Fact] // the one that it has shown so far begins in a month
    public async Task Coordinator_ClockPutBack_ShowsACertificateThatIsInDate()
    {
        _test.Time.Offset = TimeSpan.FromDays(30);
        await ShownAsync();
        _test.Time.Offset = TimeSpan.Zero;
        X509Certificate2 shown = await ShownAsync();
        Assert.InRange(_test.Time.GetUtcNow(), shown.NotBefore.ToUniversalTime(), shown.NotAfter.ToUniversalTime());
    }

    [Fact] // it was issued while the coordinator's clock was wrong; a certificate that has not begun has not ended
    public async Task Site_CertifiedByAClockThatWasAhead_IsToldWhatTheClockShows()
    {
        _test.Time.Offset = TimeSpan.FromDays(1);
        TestNode node = await _test.EnrolAsync("a");
        _test.Time.Offset = TimeSpan.Zero;
        await Tiny.RefusedAsync(Refusal.ExpiredCertificate, StatusCode.Unauthenticated, () => node.JoinAsync(), $"the coordinator's clock shows {_test.Time.GetUtcNow():u}");
    }

    private static async Task<X509Certificate2> RenewAsync(TestNode node, ECDsa key)
    {
        var request = new CertificateRequest("CN=whatever", key, HashAlgorithmName.SHA256);
        RenewCertificateReply reply = await node.Client.RenewCertificateAsync(new RenewCertificateRequest { CertificateSigningRequest = ByteString.CopyFrom(request.CreateSigningRequest()) });
        return X509CertificateLoader.LoadCertificate(reply.Certificate.Span);
    }

    /// <summary>What the coordinator shows in a handshake.</summary>
    private async Task<X509Certificate2> ShownAsync()
    {
        using var client = new TcpClient();
        await client.ConnectAsync(_test.Coordinator.NodesAddress.Host, _test.Coordinator.NodesAddress.Port, TestContext.Current.CancellationToken);
        await using var tls = new SslStream(client.GetStream());
#pragma warning disable CA5359 // looked at, not trusted
        await tls.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = "coordinator", RemoteCertificateValidationCallback = (_, _, _, _) => true, ApplicationProtocols = [SslApplicationProtocol.Http2] }, TestContext.Current.CancellationToken);
#pragma warning restore CA5359
        return _test.Own(X509CertificateLoader.LoadCertificate(tls.RemoteCertificate!.GetRawCertData()));
    }
}
