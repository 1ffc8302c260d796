using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Federation.Formats;
using Federation.Protocol;
using Federation.Protocol.Identity;
using Federation.V1;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;

namespace Federation.Client;

/// <summary>From an invitation to an identity: the key is made here and never leaves.</summary>
public static class NodeEnrolment
{
    /// <remarks>A folder whose certificate has ended is enrolled anew with the same key, so that the roster stays as it is.</remarks>
    /// <param name="token">As <c>fed site invite</c> printed it.</param>
    /// <param name="time">Decides whether certificates are in date; null: this machine's clock.</param>
    /// <returns>The site's name.</returns>
    /// <exception cref="InvalidInputException">The token is malformed or refused, the folder holds an identity already, or the coordinator is another federation's.</exception>
    /// <exception cref="RpcException">The coordinator cannot be reached.</exception>
    public static async Task<string> EnrollAsync(Uri coordinator, string token, string stateFolder, CancellationToken cancellationToken, TimeProvider? time = null)
    {
        InvitationToken invitation = InvitationToken.Parse(token);
        var folder = new NodeFolder(stateFolder);
        if (File.Exists(folder.Certificate) && File.Exists(folder.Key))
        {
            using Credential present = Credential.Load(folder.Certificate, folder.Key);
            bool hasEnded = (time ?? TimeProvider.System).GetUtcNow() > present.Certificate.NotAfter.ToUniversalTime();
            if (!hasEnded || present.Name != invitation.Site || CertificateProfile.SpkiSha256(present.CaCertificate) != invitation.CaSpkiSha256) throw new InvalidInputException(new Problem($"This folder holds the identity of site '{present.Name}' already.", folder.Path, Repair: "Name another --state, or remove identity.key and identity.pem to enrol anew."));
        }

        // Kept before it is asked for: where the answer is lost, the same invitation and key are good once more.
        using ECDsa key = KeyIn(folder);
        var request = new CertificateRequest(CertificateProfile.Subject(invitation.Site, CertificateRole.Site), key, HashAlgorithmName.SHA256);
        EnrollReply reply = await AskAsync(coordinator, token, request.CreateSigningRequest(), invitation.CaSpkiSha256, time, cancellationToken);
        using X509Certificate2 certificate = X509CertificateLoader.LoadCertificate(reply.Certificate.Span);
        using X509Certificate2 ca = X509CertificateLoader.LoadCertificate(reply.CaCertificate.Span);
        bool right = CertificateProfile.SpkiSha256(ca) == invitation.CaSpkiSha256
            && CertificateProfile.IsOf(certificate, ca, invitation.Site, key, (time ?? TimeProvider.System).GetUtcNow());
        if (!right) throw new InvalidInputException(new Problem("The coordinator answered with a certificate that is not this site's.", Repair: "Compare the clocks of both machines, and ask the operator."));

        // With the certificate the folder counts as enrolled.
        folder.SaveCertificate(certificate, ca);
        return invitation.Site;
    }

    private static ECDsa KeyIn(NodeFolder folder)
    {
        ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        try
        {
            if (File.Exists(folder.Key)) key.ImportFromPem(File.ReadAllText(folder.Key));
            else PrivateFile.Write(folder.Key, key.ExportPkcs8PrivateKeyPem() + "\n");
            return key;
        }
        catch (Exception error)
        {
            key.Dispose();
            throw error is ArgumentException or CryptographicException ? new InvalidInputException(new Problem("There is no key in this file.", folder.Key, Repair: "Remove it; enrolment makes a new one.")) : error;
        }
    }

    private static async Task<EnrollReply> AskAsync(Uri coordinator, string token, byte[] signingRequest, string caSpkiSha256, TimeProvider? time, CancellationToken cancellationToken)
    {
        using GrpcChannel channel = CoordinatorChannel.OpenForEnrolment(coordinator, caSpkiSha256, time);
        try
        {
            return await new Enrolment.EnrolmentClient(channel).EnrollAsync(
                new EnrollRequest { Token = token.Trim(), CertificateSigningRequest = ByteString.CopyFrom(signingRequest) }, cancellationToken: cancellationToken);
        }
        catch (RpcException error) when (RpcError.IsForeignCoordinator(error))
        {
            throw new InvalidInputException(new Problem($"The coordinator at {coordinator} is not of the federation that invited this site; the token was not sent.", Repair: "Check the address; and copy the token anew, if its end may have been damaged: that says which federation it is for."));
        }
        catch (RpcException error) when (RpcError.ReasonOf(error) is not null)
        {
            throw new InvalidInputException(RpcError.Describe(error));
        }
    }
}
