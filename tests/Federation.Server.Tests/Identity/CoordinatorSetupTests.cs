using System.Security.Cryptography.X509Certificates;
using Federation.Formats;
using Federation.Protocol.Identity;
using Federation.Server.Identity;

namespace Federation.Server.Tests.Identity;

public sealed class CoordinatorSetupTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("fed-setup");

    private CoordinatorFolder Folder => new(Path.Combine(_folder.FullName, "state"));

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void Initialize_NewFolder_OnlyItsOwnerCanReadIt()
    {
        CoordinatorSetup.Initialize(Folder.Path);
        if (OperatingSystem.IsWindows()) return; // no modes there
        const UnixFileMode private700 = UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, private600 = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        Assert.Equal(private700, File.GetUnixFileMode(Folder.Path));
        Assert.Equal(private700, File.GetUnixFileMode(Path.GetDirectoryName(Folder.Ca)!));
        Assert.Equal(private600, File.GetUnixFileMode(Folder.Ca));
        Assert.Equal(private600, File.GetUnixFileMode(Folder.Admin));
    }

    [Fact]
    public void Initialize_FolderThatWasOpenToOthers_IsClosed()
    {
        if (OperatingSystem.IsWindows()) return; // no modes there
        Directory.CreateDirectory(Folder.Path);
        File.SetUnixFileMode(Folder.Path, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute | UnixFileMode.OtherRead | UnixFileMode.OtherExecute);
        CoordinatorSetup.Initialize(Folder.Path);
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(Folder.Path));
    }

    [Fact]
    public void Initialize_Twice_IsRefusedAndKeepsTheCa()
    {
        CoordinatorSetup.Initialize(Folder.Path);
        byte[] ca = File.ReadAllBytes(Folder.Ca);
        var error = Assert.Throws<InvalidInputException>(() => CoordinatorSetup.Initialize(Folder.Path));
        Assert.Contains("already", error.Message, StringComparison.Ordinal);
        Assert.Equal(ca, File.ReadAllBytes(Folder.Ca));
    }

    [Fact]
    public void Initialize_CannotBeWritten_IsOneClearError()
    {
        File.WriteAllText(Folder.Path, "a file is in the way");
        Assert.Throws<InvalidInputException>(() => CoordinatorSetup.Initialize(Folder.Path));
    }

    [Fact]
    public void Credentials_OfTheSetup_HaveTheirRolesAndNothingMore()
    {
        CoordinatorSetup.Initialize(Folder.Path);
        using CertificateAuthority ca = CertificateAuthority.Load(Folder.Ca);
        using Credential admin = Credential.Load(Folder.Admin);
        Assert.Equal(("admin", CertificateRole.Admin), (admin.Name, CertificateProfile.RoleOf(admin.Certificate)));
        Assert.Equal(CertificateStatus.Valid, CertificateProfile.StatusOf(admin.Certificate, ca.Certificate, DateTimeOffset.UtcNow));
        X509BasicConstraintsExtension own = admin.Certificate.Extensions.OfType<X509BasicConstraintsExtension>().Single(), above = ca.Certificate.Extensions.OfType<X509BasicConstraintsExtension>().Single();
        Assert.False(own.CertificateAuthority);
        Assert.Equal((true, true, 0), (above.CertificateAuthority, above.HasPathLengthConstraint, above.PathLengthConstraint));
    }

    [Theory]
    [InlineData("")]
    [InlineData("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")]
    public void LoadCa_DamagedFile_IsOneClearError(string content)
    {
        string path = Path.Combine(_folder.FullName, "ca.pem");
        File.WriteAllText(path, content);
        Assert.Contains(path, Assert.Throws<InvalidInputException>(() => CertificateAuthority.Load(path)).Message, StringComparison.Ordinal);
    }
}
