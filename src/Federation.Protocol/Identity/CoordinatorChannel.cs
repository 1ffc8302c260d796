using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Federation.Formats;
using Grpc.Core;
using Grpc.Core.Interceptors;
using Grpc.Net.Client;

namespace Federation.Protocol.Identity;

/// <summary>
/// Channels to the coordinator over mutual TLS. Its certificate must be issued by the federation's CA and carry the coordinator's role and the server-authentication
/// usage; host names are not compared, because no other party's certificate carries that role. Where the environment names an HTTPS proxy (<see cref="ProxyFor"/>), the connection is a tunnel through it, in which TLS is as without.
/// </summary>
public static class CoordinatorChannel
{
    /// <param name="time">Decides whether the coordinator's certificate is in date; null: this machine's clock.</param>
    public static GrpcChannel Open(Uri address, Credential credential, TimeProvider? time = null) =>
        Open(address, credential, certificate => IsCoordinator(certificate, credential.CaCertificate, time));

    /// <summary>Before there is a credential: the CA is known by its key's hash from the invitation.</summary>
    /// <param name="time">As of <see cref="Open(Uri, Credential, TimeProvider?)"/>.</param>
    public static GrpcChannel OpenForEnrolment(Uri address, string caSpkiSha256, TimeProvider? time = null) => Open(address, null, certificate =>
    {
        using X509Certificate2? ca = CertificateProfile.CaCopyIn(certificate);
        return ca is not null && CertificateProfile.SpkiSha256(ca) == caSpkiSha256 && IsCoordinator(certificate, ca, time);
    });

    /// <summary>With an operator's token, which travels as a header of every call; the CA is known by its key's hash from the token.</summary>
    /// <param name="time">As of <see cref="Open(Uri, Credential, TimeProvider?)"/>.</param>
    public static (GrpcChannel Channel, CallInvoker Calls) OpenWithToken(Uri address, OperatorToken token, TimeProvider? time = null)
    {
        GrpcChannel channel = OpenForEnrolment(address, token.CaSpkiSha256, time);
        return (channel, channel.Intercept(headers =>
        {
            headers.Add("authorization", $"Bearer {token.Reveal()}");
            return headers;
        }));
    }

    /// <summary>The proxy on the way to a coordinator, as HTTPS_PROXY (else ALL_PROXY) and NO_PROXY of the environment say, without the name and password that may stand in it; null: none. This machine itself is reached without.</summary>
    /// <exception cref="InvalidInputException">The proxy is not one that is reached in the clear: TLS to it would show this site's certificate, and be judged as the coordinator's.</exception>
    public static Uri? ProxyFor(Uri address)
    {
        if (address.IsLoopback || HttpClient.DefaultProxy.IsBypassed(address) || HttpClient.DefaultProxy.GetProxy(address) is not { } proxy) return null;
        string plain = proxy.GetComponents(UriComponents.SchemeAndServer, UriFormat.UriEscaped);
        return proxy.Scheme == Uri.UriSchemeHttps ? throw new InvalidInputException(new Problem($"The proxy '{plain}' is not reached by https.", Field: "HTTPS_PROXY", Repair: "http://host:port is right: the tunnel through it is TLS from end to end.")) : new Uri(plain);
    }

    private static GrpcChannel Open(Uri address, Credential? credential, Func<X509Certificate2, bool> trusts)
    {
        Uri? proxy = ProxyFor(address);
        var handler = new SocketsHttpHandler
        {
            // Long polls are silent for 20 s; pings keep middleboxes from dropping them and find dead peers.
            KeepAlivePingDelay = TimeSpan.FromSeconds(15),
            KeepAlivePingTimeout = TimeSpan.FromSeconds(15),
            PooledConnectionIdleTimeout = Timeout.InfiniteTimeSpan,
            UseProxy = proxy is not null,
            Proxy = proxy is null ? null : new WebProxy(proxy) { Credentials = HttpClient.DefaultProxy.Credentials },
            SslOptions = new SslClientAuthenticationOptions
            {
                EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
                CertificateChainPolicy = CertificateProfile.NoChain,
                RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate is X509Certificate2 leaf && trusts(leaf),
            },
        };
        if (proxy is not null) handler.ConnectCallback = ConnectAsync;
        if (credential is not null)
        {
            handler.SslOptions.ClientCertificateContext = SslStreamCertificateContext.Create(credential.Certificate, [credential.CaCertificate], offline: true);
        }

        return GrpcChannel.ForAddress(address, new GrpcChannelOptions
        {
            HttpHandler = handler,
            DisposeHttpClient = true,
            MaxReceiveMessageSize = Limits.MessageBytes,
            MaxSendMessageSize = Limits.MessageBytes,
            DisableResolverServiceConfig = true,
        });
    }

    /// <summary>To the proxy, as without a callback. Where gRPC finds one it leaves names and connections to the handler; otherwise it would look up the coordinator's own name, which a site behind a proxy often cannot.</summary>
    private static async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken cancellationToken)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        try
        {
            await socket.ConnectAsync(context.DnsEndPoint, cancellationToken);
            return new NetworkStream(socket, ownsSocket: true);
        }
        catch
        {
            socket.Dispose();
            throw;
        }
    }

    private static bool IsCoordinator(X509Certificate2 certificate, X509Certificate2 ca, TimeProvider? time)
    {
        DateTimeOffset now = (time ?? TimeProvider.System).GetUtcNow();
        CertificateStatus status = CertificateProfile.StatusOf(certificate, ca, now);
        if (CertificateProfile.RoleOf(certificate) != CertificateRole.Coordinator || status == CertificateStatus.Foreign) return false;
        return status == CertificateStatus.Valid ? true : throw new OutOfDateException(certificate, now);
    }
}
