using System.Security.Cryptography.X509Certificates;
using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Protocol.Identity;
using Federation.Server.Identity;
using Microsoft.Extensions.Logging.Abstractions;

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

    [Theory] // as it is when the CA was moved away, or restored without it
    [InlineData("ca/admin.pem")]
    [InlineData("audit.jsonl")]
    [InlineData("state.db")]
    public async Task CaIsGone_SomethingElseIsThere_NothingIsMadeAndTheRepairIsNamed(string left)
    {
        CoordinatorSetup.Initialize(Folder.Path);
        string spki;
        using (CertificateAuthority ca = CertificateAuthority.Load(Folder.Ca)) spki = ca.SpkiSha256;
        File.WriteAllText(Folder.Database, "");
        foreach (string other in new[] { Folder.Ca, Folder.Admin, Folder.Audit, Folder.Database }.Where(path => path != Path.Combine(Folder.Path, left))) File.Delete(other);
        byte[] before = File.ReadAllBytes(Path.Combine(Folder.Path, left));

        var init = Assert.Throws<InvalidInputException>(() => CoordinatorSetup.Initialize(Folder.Path));
        var start = await Assert.ThrowsAsync<InvalidInputException>(StartAsync);

        Assert.Equal([Path.Combine(Folder.Path, left)], Directory.GetFiles(Folder.Path, "*", SearchOption.AllDirectories).Where(path => !path.EndsWith(".lock", StringComparison.Ordinal)));
        Assert.Equal(before, File.ReadAllBytes(Path.Combine(Folder.Path, left)));
        foreach (InvalidInputException error in new[] { init, start })
        {
            Assert.Contains(Folder.Ca, error.Message, StringComparison.Ordinal);
            Assert.Contains("--include-ca", error.Message, StringComparison.Ordinal);
            Assert.DoesNotContain("server init", error.Message, StringComparison.Ordinal);
            Assert.Equal(left != "state.db", error.Message.Contains(spki, StringComparison.Ordinal));
        }
    }

    [Fact]
    public async Task Start_CaOfAnotherFederationOrDamaged_IsRefusedAndNamesTheRightOne()
    {
        CoordinatorSetup.Initialize(Folder.Path);
        string spki;
        using (CertificateAuthority ca = CertificateAuthority.Load(Folder.Ca)) spki = ca.SpkiSha256;
        using (CertificateAuthority other = CertificateAuthority.Create(DateTimeOffset.UtcNow)) other.Save(Folder.Ca);
        Assert.Contains(spki, (await Assert.ThrowsAsync<InvalidInputException>(StartAsync)).Message, StringComparison.Ordinal);
        File.WriteAllText(Folder.Ca, "-----BEGIN CERTIFICATE-----\n");
        string message = (await Assert.ThrowsAsync<InvalidInputException>(StartAsync)).Message;
        Assert.Contains(spki, message, StringComparison.Ordinal);
        Assert.DoesNotContain("server init", message, StringComparison.Ordinal);
    }

    [Fact]
    public void Initialize_ThatFails_LeavesNothingThatStopsTheNext()
    {
        Directory.CreateDirectory(Folder.Audit); // in the way
        Assert.Throws<InvalidInputException>(() => CoordinatorSetup.Initialize(Folder.Path));
        Directory.Delete(Folder.Audit);
        CoordinatorSetup.Initialize(Folder.Path);
    }

    private Task StartAsync() => Coordinator.StartAsync(new ServerConfiguration { State = Folder.Path, Nodes = "127.0.0.1:0", Operators = "127.0.0.1:0" }, TimeProvider.System, NullLoggerFactory.Instance, TestContext.Current.CancellationToken);

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
