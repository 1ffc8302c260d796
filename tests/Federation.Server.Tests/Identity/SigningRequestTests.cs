using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using CsCheck;
using Federation.Protocol.Identity;
using Federation.Server.Identity;

namespace Federation.Server.Tests.Identity;

public sealed class SigningRequestTests : IDisposable
{
    private readonly CertificateAuthority _ca = CertificateAuthority.Create(DateTimeOffset.UtcNow);

    public void Dispose() => _ca.Dispose();

    [Fact]
    public void Issue_RequestForAnotherNameAndRole_GetsTheInvitedNameAsSite()
    {
        using X509Certificate2 certificate = _ca.Issue("a", CertificateRole.Site, Request(ECCurve.NamedCurves.nistP256, CertificateProfile.Subject("admin", CertificateRole.Admin)), DateTimeOffset.UtcNow, TimeSpan.FromDays(30));
        Assert.Equal(("a", CertificateRole.Site), (CertificateProfile.NameOf(certificate), CertificateProfile.RoleOf(certificate)));
        Assert.Equal(CertificateStatus.Valid, CertificateProfile.StatusOf(certificate, _ca.Certificate, DateTimeOffset.UtcNow));
    }

    [Fact]
    public void Issue_RequestAskingToBeACa_GetsNoSuchExtension()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = new CertificateRequest("CN=a", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(true, false, 0, true));
        using X509Certificate2 certificate = _ca.Issue("a", CertificateRole.Site, request.CreateSigningRequest(), DateTimeOffset.UtcNow, TimeSpan.FromDays(30));
        Assert.False(Assert.Single(certificate.Extensions.OfType<X509BasicConstraintsExtension>()).CertificateAuthority);
    }

    [Fact]
    public void Issue_KeyOnAnotherCurve_IsRefused() =>
        Assert.Throws<CryptographicException>(() => _ca.Issue("a", CertificateRole.Site, Request(ECCurve.NamedCurves.nistP384), DateTimeOffset.UtcNow, TimeSpan.FromDays(30)));

    [Fact]
    public void Issue_RsaKey_IsRefused()
    {
        using var key = RSA.Create(2048);
        byte[] request = new CertificateRequest("CN=a", key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1).CreateSigningRequest();
        Assert.Throws<CryptographicException>(() => _ca.Issue("a", CertificateRole.Site, request, DateTimeOffset.UtcNow, TimeSpan.FromDays(30)));
    }

    [Fact]
    public void Issue_SignatureIsNotTheKeys_IsRefused()
    {
        byte[] request = Request(ECCurve.NamedCurves.nistP256);
        request[^1] ^= 1;
        Assert.Throws<CryptographicException>(() => _ca.Issue("a", CertificateRole.Site, request, DateTimeOffset.UtcNow, TimeSpan.FromDays(30)));
    }

    /// <summary>Whatever bytes come, the answer is a certificate or a <see cref="CryptographicException"/>, as the service expects.</summary>
    [Fact]
    public void Issue_HostileBytes_AreRefused()
    {
        byte[] request = Request(ECCurve.NamedCurves.nistP256);
        Gen.Select(Gen.Int[0, request.Length - 1], Gen.Byte, Gen.Int[0, request.Length]).Sample(
            (at, value, length) =>
            {
                byte[] bytes = [.. request];
                bytes[at] = value;
                AssertRefusedOrIssued(bytes);
                AssertRefusedOrIssued(bytes[..length]);
            },
            iter: 400);
        Gen.Byte.Array[0, 300].Sample(AssertRefusedOrIssued, iter: 400);
    }

    [Fact]
    public void Issue_AfterTheCaEnds_NeverOutlivesIt()
    {
        using Credential credential = _ca.Issue("coordinator", CertificateRole.Coordinator, DateTimeOffset.UtcNow.AddYears(9));
        Assert.True(credential.Certificate.NotAfter <= _ca.Certificate.NotAfter);
    }

    private static byte[] Request(ECCurve curve, X500DistinguishedName? subject = null)
    {
        using var key = ECDsa.Create(curve);
        return new CertificateRequest(subject ?? new X500DistinguishedName("CN=a"), key, HashAlgorithmName.SHA256).CreateSigningRequest();
    }

    private void AssertRefusedOrIssued(byte[] request)
    {
        try
        {
            _ca.Issue("a", CertificateRole.Site, request, DateTimeOffset.UtcNow, TimeSpan.FromDays(30)).Dispose();
        }
        catch (Exception error) when (error is CryptographicException or NotSupportedException or ArgumentException)
        {
            // what the service turns into a refusal
        }
    }
}
