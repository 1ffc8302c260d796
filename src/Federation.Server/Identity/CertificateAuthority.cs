using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Federation.Formats;
using Federation.Protocol.Identity;

namespace Federation.Server.Identity;

/// <summary>The federation's CA, in <c>ca/ca.pem</c>: one of its own on P-256, or an organisation's (P-256, P-384 or RSA). It signs the coordinator, the admins and the sites, nobody else.</summary>
public sealed class CertificateAuthority : IDisposable
{
    private static readonly TimeSpan Backdate = TimeSpan.FromMinutes(10); // sites' clocks may be behind
    private static readonly TimeSpan AdminLifetime = TimeSpan.FromDays(730);
    private readonly AsymmetricAlgorithm _key;

    /// <param name="key">ECDSA or RSA, of the certificate.</param>
    internal CertificateAuthority(X509Certificate2 certificate, AsymmetricAlgorithm key) => (Certificate, _key) = (certificate, key);

    public X509Certificate2 Certificate { get; }

    public string SpkiSha256 => CertificateProfile.SpkiSha256(Certificate);

    /// <summary>A new CA, valid for ten years.</summary>
    public static CertificateAuthority Create(DateTimeOffset now)
    {
        ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=Federation CA", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, true, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.KeyCertSign, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        using X509Certificate2 withKey = request.CreateSelfSigned(now - Backdate, now.AddYears(10));
        return new CertificateAuthority(X509CertificateLoader.LoadCertificate(withKey.RawData), key);
    }

    /// <exception cref="InvalidInputException">The file is missing or no CA; says what key it must have, where its folder knows that.</exception>
    public static CertificateAuthority Load(string pemPath)
    {
        try
        {
            string pem = File.ReadAllText(pemPath);
            X509Certificate2 certificate = X509Certificate2.CreateFromPem(pem);
            return ReadKey(pem) is { } key && CertificateProfile.HasKey(certificate, key) ? new CertificateAuthority(certificate, key) : throw new CryptographicException("It holds no key of its certificate.");
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or CryptographicException or ArgumentException)
        {
            throw new InvalidInputException(new Problem($"The federation's CA cannot be read: {error.Message}", pemPath, Repair: LostAuthority.Repair(new CoordinatorFolder(Path.GetFullPath(Path.Combine(pemPath, "..", "..")))))); // ca/ca.pem of a state folder
        }
    }

    public void Save(string pemPath) => PrivateFile.Write(pemPath, $"{Certificate.ExportCertificatePem()}\n{_key.ExportPkcs8PrivateKeyPem()}\n");

    /// <summary>A certificate with a fresh key, for the coordinator or an admin.</summary>
    /// <param name="lifetime">Null: two years.</param>
    public Credential Issue(string name, CertificateRole role, DateTimeOffset now, TimeSpan? lifetime = null)
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest(CertificateProfile.Subject(name, role), key, Hash);
        using X509Certificate2 certificate = Sign(request, role, now, lifetime ?? AdminLifetime);
        return Credential.Of(certificate, key, X509CertificateLoader.LoadCertificate(Certificate.RawData));
    }

    /// <summary>A certificate for the key of a signing request, whose subject is not looked at.</summary>
    /// <exception cref="CryptographicException">The request is malformed, its signature is wrong, or its key is not P-256.</exception>
    public X509Certificate2 Issue(string name, CertificateRole role, byte[] signingRequest, DateTimeOffset now, TimeSpan lifetime)
    {
        CertificateRequest request = CertificateRequest.LoadSigningRequest(signingRequest, HashAlgorithmName.SHA256);
        using ECDsa key = request.PublicKey.GetECDsaPublicKey() ?? throw new CryptographicException("The key is no elliptic-curve key; P-256 is right.");
        if (CurveOf(key) != "nistP256") throw new CryptographicException("The key is not on P-256.");
        return Sign(new CertificateRequest(CertificateProfile.Subject(name, role), request.PublicKey, Hash), role, now, lifetime);
    }

    /// <summary>The first private key of a PEM file; null: it holds none that is ECDSA or RSA.</summary>
    internal static AsymmetricAlgorithm? ReadKey(string pem)
    {
        foreach (AsymmetricAlgorithm key in (AsymmetricAlgorithm[])[ECDsa.Create(), RSA.Create()])
        {
            try
            {
                key.ImportFromPem(pem);
                _ = key.ExportPkcs8PrivateKey(); // a public key can be imported, too
                return key;
            }
            catch (Exception error) when (error is CryptographicException or ArgumentException)
            {
                key.Dispose();
            }
        }

        return null;
    }

    /// <summary>nistP256, nistP384 or another name; null: the curve has none.</summary>
    internal static string? CurveOf(ECDsa key)
    {
        ECCurve curve = key.ExportParameters(false).Curve;
        if (!curve.IsNamed) return null;
        return curve.Oid.Value == ECCurve.NamedCurves.nistP256.Oid.Value ? "nistP256" : curve.Oid.Value == ECCurve.NamedCurves.nistP384.Oid.Value ? "nistP384" : curve.Oid.FriendlyName;
    }

    public void Dispose()
    {
        Certificate.Dispose();
        _key.Dispose();
    }

    private HashAlgorithmName Hash => _key is ECDsa { KeySize: 384 } ? HashAlgorithmName.SHA384 : HashAlgorithmName.SHA256;

    private X509SignatureGenerator Signer => _key is RSA rsa ? X509SignatureGenerator.CreateForRSA(rsa, RSASignaturePadding.Pkcs1) : X509SignatureGenerator.CreateForECDsa((ECDsa)_key);

    private X509Certificate2 Sign(CertificateRequest request, CertificateRole role, DateTimeOffset now, TimeSpan lifetime)
    {
        bool coordinator = role == CertificateRole.Coordinator;
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, true));
        request.CertificateExtensions.Add(new X509EnhancedKeyUsageExtension([new Oid(coordinator ? CertificateProfile.ServerAuthentication : CertificateProfile.ClientAuthentication)], false));
        if (coordinator) request.CertificateExtensions.Add(CertificateProfile.CaCopyOf(Certificate));
        DateTimeOffset until = now + lifetime < Certificate.NotAfter ? now + lifetime : Certificate.NotAfter;
        DateTimeOffset from = now - Backdate > Certificate.NotBefore ? now - Backdate : Certificate.NotBefore;
        return request.Create(Certificate.SubjectName, Signer, from, until, RandomNumberGenerator.GetBytes(16));
    }
}
