using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Federation.Protocol.Identity;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.Extensions.Time.Testing;

namespace Federation.Protocol.Tests;

/// <summary>Which coordinators a channel's TLS handshake accepts: a real handshake over loopback, no gRPC behind it.</summary>
public sealed class CoordinatorChannelTests
{
    [Fact]
    public async Task Open_CoordinatorOfSameCa_Accepts()
    {
        using var authority = new TestAuthority();
        using Credential coordinator = authority.Issue("coordinator", CertificateRole.Coordinator), site = authority.Issue("va", CertificateRole.Site);
        Assert.True(await HandshakeAsync(coordinator, address => CoordinatorChannel.Open(address, site)));
    }

    [Fact]
    public async Task Open_CoordinatorOfAnotherCa_Refuses()
    {
        using TestAuthority authority = new(), other = new();
        using Credential coordinator = other.Issue("coordinator", CertificateRole.Coordinator), site = authority.Issue("va", CertificateRole.Site);
        Assert.False(await HandshakeAsync(coordinator, address => CoordinatorChannel.Open(address, site)));
    }

    [Fact]
    public async Task Open_SiteThatPlaysCoordinator_Refuses()
    {
        using var authority = new TestAuthority();
        using Credential impostor = authority.Issue("hungarian", CertificateRole.Site, CertificateProfile.ServerAuthentication), site = authority.Issue("va", CertificateRole.Site);
        Assert.False(await HandshakeAsync(impostor, address => CoordinatorChannel.Open(address, site)));
    }

    [Fact]
    public async Task OpenForEnrolment_InvitedCa_Accepts()
    {
        using var authority = new TestAuthority();
        using Credential coordinator = authority.Issue("coordinator", CertificateRole.Coordinator);
        string hash = CertificateProfile.SpkiSha256(authority.Certificate);
        Assert.True(await HandshakeAsync(coordinator, address => CoordinatorChannel.OpenForEnrolment(address, hash)));
    }

    [Fact]
    public async Task OpenForEnrolment_AnotherCa_Refuses()
    {
        using TestAuthority authority = new(), other = new();
        using Credential coordinator = other.Issue("coordinator", CertificateRole.Coordinator);
        string hash = CertificateProfile.SpkiSha256(authority.Certificate);
        Assert.False(await HandshakeAsync(coordinator, address => CoordinatorChannel.OpenForEnrolment(address, hash)));
    }

    [Theory] // no stranger: what is wrong passes when a clock is set or a certificate renewed
    [InlineData(-400)]
    [InlineData(4000)]
    public async Task Open_CoordinatorsCertificateNotOfThisDay_SaysWhichClockSaysWhat(int days)
    {
        using var authority = new TestAuthority();
        using Credential coordinator = authority.Issue("coordinator", CertificateRole.Coordinator), site = authority.Issue("va", CertificateRole.Site);
        var time = new FakeTimeProvider(DateTimeOffset.UtcNow.AddDays(days));
        RpcException? error = null;
        Assert.False(await HandshakeAsync(coordinator, address => CoordinatorChannel.Open(address, site, time), refused => error = refused));
        Assert.NotNull(RpcError.OutOfDateCause(error!));
        Assert.Contains($"this machine's clock says {time.GetUtcNow():u}", RpcError.Describe(error!)[0].Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Link_AnswerThatNeverComes_IsNotWaitedForForEver()
    {
        CancellationToken cancellation = TestContext.Current.CancellationToken;
        using var authority = new TestAuthority();
        using Credential coordinator = authority.Issue("coordinator", CertificateRole.Coordinator), site = authority.Issue("va", CertificateRole.Site);
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var over = new TaskCompletionSource();
        Task silent = SilentAsync();
        using (var link = new CoordinatorLink(new Uri($"https://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}"), site, patience: TimeSpan.FromSeconds(2)))
        {
            var error = await Assert.ThrowsAsync<RpcException>(() => new V1.Node.NodeClient(link).HeartbeatAsync(new V1.HeartbeatRequest(), cancellationToken: cancellation).ResponseAsync);
            Assert.Equal(StatusCode.DeadlineExceeded, error.StatusCode);
        }

        over.SetResult();
        await silent;

        async Task SilentAsync()
        {
            using TcpClient peer = await listener.AcceptTcpClientAsync(cancellation);
            await using var tls = new SslStream(peer.GetStream());
            await tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions { ServerCertificateContext = SslStreamCertificateContext.Create(coordinator.Certificate, new X509Certificate2Collection(coordinator.CaCertificate), offline: true), ApplicationProtocols = [SslApplicationProtocol.Http2] }, cancellation);
            await over.Task;
        }
    }

    /// <summary>Whether the client goes on after the handshake: it then sends the HTTP/2 preface.</summary>
    private static async Task<bool> HandshakeAsync(Credential server, Func<Uri, GrpcChannel> open, Action<RpcException>? refused = null)
    {
        CancellationToken cancellation = TestContext.Current.CancellationToken;
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        Task<bool> accepted = AcceptAsync(listener, server, cancellation);
        using GrpcChannel channel = open(new Uri($"https://127.0.0.1:{((IPEndPoint)listener.LocalEndpoint).Port}"));
        var client = new V1.Operator.OperatorClient(channel);
        Task call = client.ListRunsAsync(new V1.ListRunsRequest(), cancellationToken: cancellation).ResponseAsync;
        bool result = await accepted;
        var error = await Assert.ThrowsAsync<RpcException>(() => call);
        if (refused is not null)
        {
            Assert.False(RpcError.IsForeignCoordinator(error));
            refused(error);
            return result;
        }

        Assert.Equal(!result, RpcError.IsForeignCoordinator(error));
        if (!result) Assert.Contains("not the coordinator of this federation", RpcError.Describe(error)[0].Message);
        return result;
    }

    private static async Task<bool> AcceptAsync(TcpListener listener, Credential server, CancellationToken cancellation)
    {
        using TcpClient peer = await listener.AcceptTcpClientAsync(cancellation);
        await using var tls = new SslStream(peer.GetStream());
        try
        {
            await tls.AuthenticateAsServerAsync(
                new SslServerAuthenticationOptions
                {
                    ServerCertificateContext = SslStreamCertificateContext.Create(server.Certificate, new X509Certificate2Collection(server.CaCertificate), offline: true),
                    ApplicationProtocols = [SslApplicationProtocol.Http2],
                },
                cancellation);
            byte[] preface = new byte[24];
            await tls.ReadExactlyAsync(preface, cancellation);
            return "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8.SequenceEqual(preface);
        }
        catch (Exception error) when (error is IOException or AuthenticationException)
        {
            return false;
        }
    }
}
