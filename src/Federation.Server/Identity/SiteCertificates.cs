using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Federation.Protocol;
using Federation.Protocol.Identity;
using Google.Protobuf;
using Grpc.Core;

namespace Federation.Server.Identity;

/// <summary>Issues certificates for signing requests: the sites', valid for as long as the coordinator's configuration says, and the operators'.</summary>
public sealed class SiteCertificates(CertificateAuthority ca, TimeProvider time, TimeSpan lifetime)
{
    private const int LongestRequest = 8192;

    /// <exception cref="RpcException">The signing request is not acceptable.</exception>
    public X509Certificate2 Issue(string site, ByteString signingRequest) => Sign(site, CertificateRole.Site, signingRequest, lifetime);

    /// <exception cref="RpcException">The signing request is not acceptable.</exception>
    public X509Certificate2 IssueOperator(string name, OperatorRole role, ByteString signingRequest, TimeSpan valid) => Sign(name, role.ToCertificateRole(), signingRequest, valid);

    private X509Certificate2 Sign(string name, CertificateRole role, ByteString signingRequest, TimeSpan valid)
    {
        try
        {
            if (signingRequest.Length is 0 or > LongestRequest) throw new CryptographicException($"It has {signingRequest.Length} bytes; 1 to {LongestRequest} are right.");
            return ca.Issue(name, role, signingRequest.ToByteArray(), time.GetUtcNow(), valid);
        }
        catch (Exception error) when (error is CryptographicException or NotSupportedException or ArgumentException)
        {
            throw RpcError.Refuse(StatusCode.InvalidArgument, Refusal.BadSigningRequest, $"The certificate signing request is not acceptable: {error.Message}", "certificate_signing_request", "PKCS#10 with a P-256 key, signed by it, is right.");
        }
    }

    /// <summary>A certificate that takes the place of an earlier one.</summary>
    /// <param name="keySha256">The registered key.</param>
    /// <exception cref="RpcException">The signing request is not acceptable, or of another key.</exception>
    public X509Certificate2 Renew(string site, ByteString signingRequest, string? keySha256)
    {
        X509Certificate2 certificate = Issue(site, signingRequest);
        if (CertificateProfile.SpkiSha256(certificate) == keySha256) return certificate;
        certificate.Dispose();
        throw RpcError.Refuse(StatusCode.PermissionDenied, Refusal.AnotherKey, $"The signing request is not of the registered key of site '{site}'.", "certificate_signing_request", "A certificate is renewed for the same key; a new key needs a new invitation.");
    }
}
