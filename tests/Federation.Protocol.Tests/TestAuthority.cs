using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Federation.Protocol.Identity;

namespace Federation.Protocol.Tests;

/// <summary>A throw-away CA for these tests; the real one is the coordinator's.</summary>
internal sealed class TestAuthority : IDisposable
{
    private readonly ECDsa _key = ECDsa.Create(ECCurve.NamedCurves.nistP256);

    public TestAuthority()
    {
        var request = new CertificateRequest("CN=Test CA", _key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, true, 0, true));
        Certificate = request.CreateSelfSigned(DateTimeOffset.UtcNow.AddDays(-2), DateTimeOffset.UtcNow.AddDays(2));
    }

    public X509Certificate2 Certificate { get; }

    public Credential Issue(string name, CertificateRole role, string? usage = null, int days = 1)
    {
        usage ??= role == CertificateRole.Coordinator ? CertificateProfile.ServerAuthentication : CertificateProfile.ClientAuthentication;
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(CertificateProfile.Subject(name, role), key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(usage)], false));
        if (role == CertificateRole.Coordinator) request.CertificateExtensions.Add(CertificateProfile.CaCopyOf(Certificate));
        X509SignatureGenerator signer = X509SignatureGenerator.CreateForECDsa(_key);
        X509Certificate2 certificate = request.Create(Certificate.SubjectName, signer, DateTimeOffset.UtcNow.AddDays(-2), DateTimeOffset.UtcNow.AddDays(days), RandomNumberGenerator.GetBytes(8));
        return Credential.Of(certificate, key, X509CertificateLoader.LoadCertificate(Certificate.RawData));
    }

    public void Dispose()
    {
        Certificate.Dispose();
        _key.Dispose();
    }
}
