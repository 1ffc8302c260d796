using System.Net.Security;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;
using Grpc.Core;
using Grpc.Core.Interceptors;
using Grpc.Net.Client;

namespace Federation.Protocol.Identity;

/// <summary>
/// Channels to the coordinator over mutual TLS. Its certificate must be issued by the federation's CA and carry the coordinator's role and the server-authentication
/// usage; host names are not compared, because no other party's certificate carries that role.
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

    private static GrpcChannel Open(Uri address, Credential? credential, Func<X509Certificate2, bool> trusts)
    {
        var handler = new SocketsHttpHandler
        {
            // Long polls are silent for 20 s; pings keep middleboxes from dropping them and find dead peers.
            KeepAlivePingDelay = TimeSpan.FromSeconds(15),
            KeepAlivePingTimeout = TimeSpan.FromSeconds(15),
            PooledConnectionIdleTimeout = Timeout.InfiniteTimeSpan,
            UseProxy = false,
            SslOptions = new SslClientAuthenticationOptions
            {
                EnabledSslProtocols = SslProtocols.Tls12 | SslProtocols.Tls13,
                RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate is X509Certificate2 leaf && trusts(leaf),
            },
        };
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

    private static bool IsCoordinator(X509Certificate2 certificate, X509Certificate2 ca, TimeProvider? time) =>
        CertificateProfile.StatusOf(certificate, ca, (time ?? TimeProvider.System).GetUtcNow()) == CertificateStatus.Valid
        && CertificateProfile.RoleOf(certificate) == CertificateRole.Coordinator;
}
