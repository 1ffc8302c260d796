using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Federation.Protocol;
using Federation.Protocol.Identity;
using Federation.V1;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.Extensions.Logging;

namespace Federation.Client;

/// <summary>Exchanges the node's certificate for a new one of the same key when a third of its lifetime is left, and again, for as long as the node runs.</summary>
internal sealed class CertificateRenewal(CoordinatorLink link, NodeFolder folder, TimeProvider time, ILogger logger)
{
    // Looked at this often, because clocks may be put forward; a renewal that failed is tried again after a tenth of what is left, within these bounds.
    private static readonly TimeSpan LongestPause = TimeSpan.FromHours(1), ShortestPause = TimeSpan.FromSeconds(5);

    /// <summary>Ends when it is cancelled. What the coordinator refuses for good ends the node by its other calls.</summary>
    public async Task RunAsync(CancellationToken cancellationToken)
    {
        bool failed = false, first = true;
        while (!cancellationToken.IsCancellationRequested)
        {
            X509Certificate2 certificate = link.Credential.Certificate;
            DateTimeOffset now = time.GetUtcNow(), due = CertificateProfile.RenewalOf(certificate);
            TimeSpan pause = now < due ? due - now : failed ? (certificate.NotAfter.ToUniversalTime() - now) / 10 : TimeSpan.Zero;
            // Never at once again: by a clock that is ahead, or near the end of the CA, the new certificate is due, too.
            if (pause > TimeSpan.Zero || !first) await Task.Delay(Bounded(pause), time, cancellationToken);
            first = false;
            if (time.GetUtcNow() >= due) failed = !await TryRenewAsync(cancellationToken);
        }
    }

    private static TimeSpan Bounded(TimeSpan pause) => pause < ShortestPause ? ShortestPause : pause > LongestPause ? LongestPause : pause;

    private async Task<bool> TryRenewAsync(CancellationToken cancellationToken)
    {
        try
        {
            Credential renewed = await AskAsync(link.Credential, cancellationToken);
            // On disk before it is used: what the coordinator has issued is not lost.
            folder.SaveCertificate(renewed.Certificate, renewed.CaCertificate);
            link.Use(renewed);
            logger.LogInformation("The certificate was renewed; it is valid until {Until:u}", renewed.Certificate.NotAfter.ToUniversalTime());
            return true;
        }
        catch (RpcException) when (cancellationToken.IsCancellationRequested)
        {
            throw new OperationCanceledException(cancellationToken);
        }
        catch (Exception error) when (error is RpcException or InvalidDataException or IOException or UnauthorizedAccessException or CryptographicException)
        {
            if (error is RpcException { StatusCode: StatusCode.Unauthenticated }) return false; // the node's other calls say so, and end it
            logger.LogWarning("The certificate, valid until {Until:u}, could not be renewed: {Message} It is tried again", link.Credential.Certificate.NotAfter.ToUniversalTime(), error is RpcException rpc ? RpcError.Describe(rpc)[0].Message : error.Message);
            return false;
        }
    }

    private async Task<Credential> AskAsync(Credential present, CancellationToken cancellationToken)
    {
        using ECDsa key = present.Certificate.GetECDsaPrivateKey()!;
        var request = new CertificateRequest(CertificateProfile.Subject(present.Name, CertificateRole.Site), key, HashAlgorithmName.SHA256);
        RenewCertificateReply reply = await new Node.NodeClient(link).RenewCertificateAsync(new RenewCertificateRequest { CertificateSigningRequest = ByteString.CopyFrom(request.CreateSigningRequest()) }, cancellationToken: cancellationToken);
        using X509Certificate2 certificate = X509CertificateLoader.LoadCertificate(reply.Certificate.Span);
        bool right = CertificateProfile.IsOf(certificate, present.CaCertificate, present.Name, key, time.GetUtcNow()) && CertificateProfile.RoleOf(certificate) == CertificateRole.Site;
        return right ? Credential.Of(certificate, key, present.CaCertificate) : throw new InvalidDataException("The coordinator answered with a certificate that is not this site's.");
    }
}
