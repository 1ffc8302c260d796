using Federation.Protocol.Identity;

namespace Federation.Protocol.Tests;

public sealed class CertificateProfileTests
{
    [Fact]
    public void RoleOf_IssuedCertificates_ReadsRoleAndName()
    {
        using var authority = new TestAuthority();
        foreach (CertificateRole role in Enum.GetValues<CertificateRole>())
        {
            using Credential credential = authority.Issue("cleveland", role);
            Assert.Equal(role, CertificateProfile.RoleOf(credential.Certificate));
            Assert.Equal("cleveland", credential.Name);
        }
    }

    [Fact]
    public void RoleOf_SiteWithServerUsage_HasNoRole()
    {
        using var authority = new TestAuthority();
        using Credential credential = authority.Issue("cleveland", CertificateRole.Coordinator, CertificateProfile.ClientAuthentication);
        Assert.Null(CertificateProfile.RoleOf(credential.Certificate));
    }

    [Fact]
    public void StatusOf_OwnForeignAndOutOfDate_AreToldApart()
    {
        using TestAuthority authority = new(), other = new();
        using Credential valid = authority.Issue("cleveland", CertificateRole.Site), old = authority.Issue("va", CertificateRole.Site, days: -1);
        Assert.Equal(CertificateStatus.Valid, CertificateProfile.StatusOf(valid.Certificate, authority.Certificate, DateTimeOffset.UtcNow));
        Assert.Equal(CertificateStatus.OutOfDate, CertificateProfile.StatusOf(old.Certificate, authority.Certificate, DateTimeOffset.UtcNow));
        // The same issuer name and another key: a chain of names alone would pass.
        Assert.Equal(CertificateStatus.Foreign, CertificateProfile.StatusOf(valid.Certificate, other.Certificate, DateTimeOffset.UtcNow));
    }

    [Fact]
    public void StatusOf_SelfSignedWithSameNames_IsForeign()
    {
        using TestAuthority authority = new(), impostor = new();
        using Credential forged = impostor.Issue("cleveland", CertificateRole.Site);
        Assert.Equal(CertificateStatus.Foreign, CertificateProfile.StatusOf(forged.Certificate, authority.Certificate, DateTimeOffset.UtcNow));
        Assert.Equal(CertificateStatus.Foreign, CertificateProfile.StatusOf(impostor.Certificate, authority.Certificate, DateTimeOffset.UtcNow));
    }

    [Fact]
    public void Save_Credential_IsPrivateAndLoadsAgain()
    {
        using var authority = new TestAuthority();
        using Credential credential = authority.Issue("cleveland", CertificateRole.Site);
        DirectoryInfo folder = Directory.CreateTempSubdirectory("fed-credential");
        try
        {
            string path = Path.Combine(folder.FullName, "identity.pem");
            credential.Save(path);
            if (!OperatingSystem.IsWindows()) Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
            using Credential loaded = Credential.Load(path);
            Assert.Equal(credential.Certificate.RawData, loaded.Certificate.RawData);
            Assert.True(loaded.Certificate.HasPrivateKey);
            Assert.Equal(authority.Certificate.RawData, loaded.CaCertificate.RawData);
        }
        finally
        {
            folder.Delete(recursive: true);
        }
    }
}
