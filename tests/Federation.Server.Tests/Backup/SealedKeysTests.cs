using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Federation.Formats;
using Federation.Server.Backup;
using Federation.Server.Identity;

namespace Federation.Server.Tests.Backup;

public sealed class SealedKeysTests : IDisposable
{
    private const string Passphrase = "a long enough one";
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory] // an organisation's CA that its owner put at ca/ca.pem, as its PKI keeps it
    [InlineData("EC PRIVATE KEY")]
    [InlineData("RSA PRIVATE KEY")]
    [InlineData("PRIVATE KEY")]
    public void Key_InAFormThatTheCoordinatorStartsWith_IsSealedAndComesBack(string label)
    {
        (string pem, string spki) = Authority(label);
        string path = Path.Combine(_folder.Path, "ca.pem");
        File.WriteAllText(path, pem);
        using (CertificateAuthority starts = CertificateAuthority.Load(path)) Assert.Equal(spki, starts.SpkiSha256);
        string closed = SealedKeys.Seal(pem, Passphrase);
        Assert.DoesNotContain($"BEGIN {label}", closed, StringComparison.Ordinal);
        Assert.Contains("BEGIN ENCRYPTED PRIVATE KEY", closed, StringComparison.Ordinal);
        File.WriteAllText(path, SealedKeys.Open(closed, Passphrase));
        using CertificateAuthority restored = CertificateAuthority.Load(path);
        Assert.Equal(spki, restored.SpkiSha256);
    }

    [Fact] // the coordinator does not start with one either
    public void Key_ThatIsEncrypted_IsRefused()
    {
        string sealedOnce = SealedKeys.Seal(Authority("PRIVATE KEY").Pem, Passphrase);
        Assert.Contains("no private key", Assert.Throws<InvalidInputException>(() => SealedKeys.Seal(sealedOnce, Passphrase)).Message, StringComparison.Ordinal);
    }

    /// <summary>As <c>openssl ecparam -genkey</c> and the like write them: parameters first, the key, its certificate.</summary>
    private static (string Pem, string SpkiSha256) Authority(string label)
    {
        const string parameters = "-----BEGIN EC PARAMETERS-----\nBgUrgQQAIg==\n-----END EC PARAMETERS-----\n";
        using ECDsa curve = ECDsa.Create(ECCurve.NamedCurves.nistP384);
        using RSA rsa = RSA.Create(2048);
        bool isRsa = label == "RSA PRIVATE KEY";
        var request = isRsa ? new CertificateRequest("CN=Own CA", rsa, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1) : new CertificateRequest("CN=Own CA", curve, HashAlgorithmName.SHA384);
        using X509Certificate2 certificate = request.CreateSelfSigned(DateTimeOffset.UnixEpoch, DateTimeOffset.UnixEpoch.AddYears(100));
        string key = label switch { "PRIVATE KEY" => curve.ExportPkcs8PrivateKeyPem(), "EC PRIVATE KEY" => parameters + curve.ExportECPrivateKeyPem(), _ => rsa.ExportRSAPrivateKeyPem() };
        return ($"{key}\n{certificate.ExportCertificatePem()}\n", Federation.Protocol.Identity.CertificateProfile.SpkiSha256(certificate));
    }
}
