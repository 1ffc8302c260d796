using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Federation.Formats;
using Federation.Protocol;
using Federation.Protocol.Identity;
using Federation.Server.Identity;
using Federation.V1;
using Grpc.Core;

namespace Federation.Server.Tests.Identity;

/// <summary>An organisation brings its CA: every kind that is allowed works to the end of a run, every mistake is named before anything is made.</summary>
public sealed class OwnAuthorityTests : IDisposable
{
    private static readonly DateTimeOffset Now = DateTimeOffset.UtcNow;
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("fed-own-ca");
    private readonly List<IDisposable> _owned = [];

    public void Dispose()
    {
        foreach (IDisposable one in _owned) one.Dispose();
        _folder.Delete(recursive: true);
    }

    [Theory]
    [InlineData("p256", true)]
    [InlineData("p256", false)]
    [InlineData("p384", false)]
    [InlineData("rsa2048", false)]
    [InlineData("rsa3072", true)]
    public async Task Initialize_WithAnOrganisationsCa_SitesEnrolAndARunEnds(string kind, bool isRoot)
    {
        AsymmetricAlgorithm key = Key(kind);
        await using TestCoordinator test = await TestCoordinator.StartAsync(ca: (Write("ca.crt", Certificate(key, isRoot).ExportCertificatePem()), Write("ca.key", key.ExportPkcs8PrivateKeyPem())));
        TestNode[] nodes = await test.EnrolAllAsync("a", "b");
        string run = await test.OpenRoundAsync(nodes, spec: Tiny.Spec(rounds: 1, least: 2));
        foreach (TestNode node in nodes) await node.ContributeAsync(run, Tiny.Update(1, 2, 3, 4));
        await test.SummedAsync(run);
        Assert.Equal("completed", (await test.ShowAsync(run)).Summary.State);
        await test.CrashAsync(); // the CA is read back
        await nodes[0].JoinAsync();
        test.Sleep(TimeSpan.FromDays(31));
        await Tiny.RefusedAsync(Refusal.ExpiredCertificate, StatusCode.Unauthenticated, () => nodes[0].JoinAsync());
    }

    [Theory] // An issuer's name on a certificate is not its signature: also where the chain does not end in a root
    [InlineData("p256")]
    [InlineData("rsa2048")]
    public void StatusOf_SubordinateCa_AcceptsItsOwnAndRefusesForgeries(string kind)
    {
        AsymmetricAlgorithm key = Key(kind);
        using var ca = new CertificateAuthority(Certificate(key, isRoot: false), key);
        using var forger = new CertificateAuthority(Certificate(Key(kind), isRoot: false), Key(kind)); // same names
        using Credential real = ca.Issue("a", CertificateRole.Site, Now), forged = forger.Issue("a", CertificateRole.Site, Now);
        Assert.Equal(CertificateStatus.Valid, CertificateProfile.StatusOf(real.Certificate, ca.Certificate, Now));
        Assert.Equal(CertificateStatus.OutOfDate, CertificateProfile.StatusOf(real.Certificate, ca.Certificate, Now.AddYears(2).AddDays(1)));
        Assert.Equal(CertificateStatus.Foreign, CertificateProfile.StatusOf(forged.Certificate, ca.Certificate, Now));
        Assert.Equal(CertificateStatus.Foreign, CertificateProfile.StatusOf(ca.Certificate, ca.Certificate, Now));
        using ECDsa leafKey = real.Certificate.GetECDsaPrivateKey()!, below = (ECDsa)Key("p256");
        var request = new CertificateRequest("CN=b, OU=admin", below, HashAlgorithmName.SHA256);
        using X509Certificate2 under = request.Create(real.Certificate.SubjectName, X509SignatureGenerator.CreateForECDsa(leafKey), Now.AddMinutes(-1), Now.AddDays(1), [1]);
        Assert.Equal(CertificateStatus.Foreign, CertificateProfile.StatusOf(under, ca.Certificate, Now));
    }

    [Theory]
    [InlineData("no-ca", "no CA's certificate")]
    [InlineData("no-sign", "keyCertSign")]
    [InlineData("ended", "ended at")]
    [InlineData("not-yet", "valid from")]
    [InlineData("other-key", "does not belong")]
    [InlineData("encrypted", "is encrypted")]
    [InlineData("p521", "another curve")]
    [InlineData("rsa1024", "1024 bits")]
    [InlineData("no-key", "no ECDSA or RSA key")]
    [InlineData("public-key", "no ECDSA or RSA key")]
    [InlineData("no-certificate", "no certificate in this file")]
    [InlineData("missing", "ca.crt")]
    public void Initialize_AMistake_IsNamedAndNothingIsMade(string mistake, string says)
    {
        AsymmetricAlgorithm key = Key(mistake is "p521" or "rsa1024" ? mistake : "p256");
        X509Certificate2 certificate = mistake switch
        {
            "no-ca" => Certificate(key, true, isCa: false),
            "no-sign" => Certificate(key, true, usage: X509KeyUsageFlags.DigitalSignature),
            "ended" => Certificate(key, true, from: -10, until: -1),
            "not-yet" => Certificate(key, true, from: 1),
            _ => Certificate(key, true),
        };
        string certificatePath = Path.Combine(_folder.FullName, "ca.crt");
        if (mistake != "missing") Write("ca.crt", mistake == "no-certificate" ? "nothing" : certificate.ExportCertificatePem());
        string keyPath = Write("ca.key", mistake switch
        {
            "other-key" => Key("p256").ExportPkcs8PrivateKeyPem(),
            "encrypted" => key.ExportEncryptedPkcs8PrivateKeyPem("secret", new PbeParameters(PbeEncryptionAlgorithm.Aes256Cbc, HashAlgorithmName.SHA256, 1)),
            "no-key" => certificate.ExportCertificatePem(),
            "public-key" => key.ExportSubjectPublicKeyInfoPem(),
            _ => key.ExportPkcs8PrivateKeyPem(),
        });
        string state = Path.Combine(_folder.FullName, "state");
        var error = Assert.Throws<InvalidInputException>(() => CoordinatorSetup.Initialize(state, own: (certificatePath, keyPath)));
        Assert.Contains(says, error.Message, StringComparison.Ordinal);
        Assert.All(error.Problems, problem => Assert.NotNull(problem.File));
        Assert.False(Directory.Exists(state));
    }

    [Fact]
    public void Load_SeveralMistakes_NamesAll()
    {
        AsymmetricAlgorithm key = Key("p256");
        X509Certificate2 certificate = Certificate(key, true, isCa: false, usage: X509KeyUsageFlags.DigitalSignature, from: -10, until: -1);
        var error = Assert.Throws<InvalidInputException>(() => OwnAuthority.Load(Write("ca.crt", certificate.ExportCertificatePem()), Write("ca.key", Key("rsa1024").ExportPkcs8PrivateKeyPem()), Now));
        Assert.Equal(4, error.Problems.Count);
    }

    private AsymmetricAlgorithm Key(string kind)
    {
        AsymmetricAlgorithm key = kind switch
        {
            "p256" => ECDsa.Create(ECCurve.NamedCurves.nistP256),
            "p384" => ECDsa.Create(ECCurve.NamedCurves.nistP384),
            "p521" => ECDsa.Create(ECCurve.NamedCurves.nistP521),
            "rsa1024" => RSA.Create(1024),
            "rsa2048" => RSA.Create(2048),
            "rsa3072" => RSA.Create(3072),
            _ => throw new ArgumentOutOfRangeException(nameof(kind), kind, "No such key."),
        };
        _owned.Add(key);
        return key;
    }

    /// <param name="from">Days from now.</param>
    /// <param name="until">Days from now.</param>
    private X509Certificate2 Certificate(AsymmetricAlgorithm key, bool isRoot, bool isCa = true, X509KeyUsageFlags usage = X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, int from = -1, int until = 3000)
    {
        var name = new X500DistinguishedName("CN=Hospital Federation CA, O=Hospital");
        CertificateRequest request = key is RSA rsa ? new(name, rsa, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1) : new(name, (ECDsa)key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(isCa, isCa, 0, true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(usage, true));
        request.CertificateExtensions.Add(new X509SubjectKeyIdentifierExtension(request.PublicKey, false));
        X509Certificate2 certificate;
        if (isRoot)
        {
            certificate = request.CreateSelfSigned(Now.AddDays(from), Now.AddDays(until));
        }
        else
        {
            using ECDsa above = ECDsa.Create(ECCurve.NamedCurves.nistP384);
            certificate = request.Create(new X500DistinguishedName("CN=Hospital Root, O=Hospital"), X509SignatureGenerator.CreateForECDsa(above), Now.AddDays(from), Now.AddDays(until), [1, 2, 3]);
        }

        _owned.Add(certificate);
        X509Certificate2 bare = X509CertificateLoader.LoadCertificate(certificate.RawData);
        _owned.Add(bare);
        return bare;
    }

    private string Write(string name, string content)
    {
        string path = Path.Combine(_folder.FullName, name);
        File.WriteAllText(path, content);
        return path;
    }
}
