using System.Formats.Tar;
using CsCheck;
using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Formats.Models;
using Federation.Protocol;
using Federation.Server.Backup;
using Federation.Server.Runs;
using Federation.V1;
using Grpc.Core;

namespace Federation.Server.Tests.Backup;

/// <summary>Of a real coordinator, most of them while it runs.</summary>
public sealed class BackupTests(PostgresCluster cluster) : IClassFixture<PostgresCluster>, IDisposable
{
    private const string Passphrase = "a long enough one";
    private static readonly ModelState Good = Tiny.Update(1, 2, 3, 4);
    private readonly TemporaryFolder _folder = new();

    private string Archive => Path.Combine(_folder.Path, "fed.tar");

    private string Elsewhere => Path.Combine(_folder.Path, "elsewhere");

    public void Dispose() => _folder.Dispose();

    [Theory] // what was counted of the open round is asked for again
    [InlineData(false)]
    [InlineData(true)]
    public async Task Restore_OfABackupInTheMiddleOfARound_GoesOnToTheSameModel(bool toPostgres)
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode[] nodes = await test.EnrolAllAsync("a", "b", "c");
        string run = await test.OpenRoundAsync(nodes, spec: Tiny.Spec(rounds: 2, extra: "strategy: { kind: fedavgm, learningRate: 1, momentum: 0.5 }"));
        foreach (TestNode node in nodes) await node.ContributeAsync(run, Good);
        await test.SummedAsync(run);
        await nodes[0].ContributeAsync(run, Good);
        string open = (await test.Operator.InviteSiteAsync(new InviteSiteRequest { Name = "late" })).Token;
        BackupManifest made = Backup(test, Passphrase);

        await nodes[1].ContributeAsync(run, Good); // after it: lost
        ConnectionString? store = toPostgres ? cluster.NewDatabase() : null;
        (BackupManifest manifest, int active) = CoordinatorRestore.Restore(Archive, new ServerConfiguration { State = Elsewhere, Store = store }, () => Passphrase, test.Time);
        Assert.Equal((made.Federation, 1), (manifest.Federation, active));
        Assert.False(Directory.Exists(Path.Combine(Elsewhere, "spool")));
        await test.MoveAsync(Elsewhere, store);
        Assert.Empty(Assert.IsType<RoundOpen>(test.StateOf(run).Phase).Contributions);
        await Tiny.RefusedAsync(Refusal.TokenUsed, StatusCode.PermissionDenied, () => test.CertifyAsync(open, "late"));
        foreach (TestNode node in nodes)
        {
            await node.JoinAsync();
            await node.ContributeAsync(run, Good);
        }

        await test.SummedAsync(run);
        Assert.Equal("completed", test.StateOf(run).PhaseName);
        // Momentum of one half, kept from before the backup: 1 + 1.5 steps.
        Assert.Equal(new[] { 10f, 2.5f, 5, 7.5f }, Tiny.Values(await test.DownloadAsync(test.StateOf(run).ModelSha256)));
        Assert.Contains(File.ReadLines(test.Folder.Audit), line => line.Contains("restored", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Backup_WithoutAPassphrase_HoldsNoKey()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        Assert.False(Backup(test, null).HoldsCa);
        Assert.DoesNotContain("PRIVATE KEY", File.ReadAllText(Archive), StringComparison.Ordinal);
        CoordinatorRestore.Restore(Archive, new ServerConfiguration { State = Elsewhere }, () => throw new InvalidOperationException("nobody is asked"), test.Time);
        Assert.False(Directory.Exists(Path.Combine(Elsewhere, "ca")));
        Backup(test, Passphrase);
        Assert.Equal([false, true], Federation.Privacy.Ledger.AuditVerification.Of(test.Folder.Audit).Entries.Where(entry => entry.Kind == "backup-made").Select(entry => entry.What.Contains("with the CA's key", StringComparison.Ordinal)));
        Assert.DoesNotContain("BEGIN PRIVATE KEY", File.ReadAllText(Archive), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Restore_WithAnotherPassphrase_ChangesNothingAndSaysSo()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        Backup(test, Passphrase);
        Assert.Contains("passphrase does not open", Refused(Elsewhere, "another long one"), StringComparison.Ordinal);
        Assert.Contains("at least 12", Assert.Throws<InvalidInputException>(() => Backup(test, "short")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Restore_IntoAFolderOrDatabaseInUse_IsRefused()
    {
        ConnectionString store = cluster.NewDatabase();
        await using TestCoordinator test = await TestCoordinator.StartAsync(store: store);
        Backup(test, Passphrase, store);
        Assert.Contains("not empty", Refused(test.State, Passphrase), StringComparison.Ordinal);
        await test.EnrolAllAsync("a");
        await test.StopAsync();
        Assert.Contains("database is not empty", Refused(Elsewhere, Passphrase, store), StringComparison.Ordinal);
        await test.ListenAsync();
        Assert.Single((await test.Operator.ListSitesAsync(new ListSitesRequest())).Sites);
    }

    [Theory] // a volume may be mounted there: nothing can take the folder's place
    [InlineData(false)]
    [InlineData(true)]
    public async Task Restore_IntoAnEmptyFolder_FillsItAndKeepsIt(bool toPostgres)
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        await test.EnrolAllAsync("a");
        Backup(test, Passphrase);
        string volume = Path.Combine(_folder.Path, "volume");
        Directory.CreateDirectory(volume);
        if (!OperatingSystem.IsWindows()) File.SetUnixFileMode(volume, File.GetUnixFileMode(volume) | UnixFileMode.OtherRead);
        Directory.CreateSymbolicLink(Elsewhere, volume);
        ConnectionString? store = toPostgres ? cluster.NewDatabase() : null;
        CoordinatorRestore.Restore(Archive, new ServerConfiguration { State = Elsewhere, Store = store }, () => Passphrase, test.Time);
        Assert.Equal(volume, new DirectoryInfo(Elsewhere).LinkTarget);
        if (!OperatingSystem.IsWindows()) Assert.Equal(UnixFileMode.None, File.GetUnixFileMode(volume) & UnixFileMode.OtherRead);
        Assert.Empty(Directory.EnumerateFileSystemEntries(volume, "*.new"));
        Assert.False(File.Exists(Path.Combine(volume, BackupManifest.Database)));
        await test.MoveAsync(Elsewhere, store);
        Assert.Single((await test.Operator.ListSitesAsync(new ListSitesRequest())).Sites);
    }

    [Fact] // else the database would be full, and no folder belong to it
    public async Task Restore_ThatFailsAtItsEnd_LeavesTheDatabaseAndTheFolderEmpty()
    {
        ConnectionString store = cluster.NewDatabase();
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        await test.EnrolAllAsync("a");
        Backup(test, Passphrase);
        Directory.CreateDirectory(Elsewhere);
        string taken = Path.Combine(Elsewhere, "ca"); // somebody makes it while the passphrase is typed
        Assert.ThrowsAny<IOException>(() => Restore(Type));
        Assert.Equal([taken], Directory.EnumerateFileSystemEntries(Elsewhere));
        Directory.Delete(taken);
        Restore(() => Passphrase);

        string Type()
        {
            Directory.CreateDirectory(taken);
            return Passphrase;
        }

        void Restore(Func<string> passphrase) => CoordinatorRestore.Restore(Archive, new ServerConfiguration { State = Elsewhere, Store = store }, passphrase, test.Time);
    }

    [Fact]
    public async Task Restore_CutShort_IsRefusedAtEveryLength()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        await test.SubmitAsync();
        Backup(test, null);
        byte[] whole = File.ReadAllBytes(Archive);
        for (int length = 0; length < whole.Length - 1024; length += 500) // a tar file ends in two empty blocks, which nobody needs
        {
            File.WriteAllBytes(Archive, whole[..length]);
            Assert.Contains("no whole backup", Refused(Elsewhere, Passphrase), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Restore_AnyDamage_IsRefusedOrMakesTheSame()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        await test.SubmitAsync();
        Backup(test, null);
        byte[] whole = File.ReadAllBytes(Archive);
        Gen.Select(Gen.Int[0, whole.Length - 1], Gen.Byte).Sample(
            (at, value) =>
            {
                byte[] damaged = [.. whole];
                damaged[at] = value;
                string path = Path.Combine(_folder.Path, $"{Guid.NewGuid():n}.tar"), state = path + ".state";
                File.WriteAllBytes(path, damaged);
                try
                {
                    CoordinatorRestore.Restore(path, new ServerConfiguration { State = state }, () => Passphrase, TimeProvider.System);
                    Assert.All(Directory.EnumerateFiles(Path.Combine(state, "blobs")), blob => Assert.Equal(Path.GetFileName(blob), Privacy.Canonical.Sha256Hex.Of(File.ReadAllBytes(blob))));
                }
                catch (InvalidInputException)
                {
                    Assert.False(Directory.Exists(state));
                }
            },
            iter: 300);
        Assert.Empty(Directory.EnumerateFileSystemEntries(_folder.Path, "*.new"));
    }

    [Theory]
    [InlineData("../evil", TarEntryType.RegularFile)]
    [InlineData("blobs/../../evil", TarEntryType.RegularFile)]
    [InlineData("{folder}/evil", TarEntryType.RegularFile)]
    [InlineData("lock", TarEntryType.RegularFile)]
    [InlineData("strategies/../1", TarEntryType.RegularFile)]
    [InlineData("blobs/0000000000000000000000000000000000000000000000000000000000000000", TarEntryType.SymbolicLink)]
    [InlineData("database", TarEntryType.HardLink)]
    public void Restore_EntryThatLeadsElsewhere_IsRefusedBeforeAnythingIsWritten(string name, TarEntryType type)
    {
        name = name.Replace("{folder}", _folder.Path, StringComparison.Ordinal); // an absolute path
        using (FileStream file = File.Create(Archive))
        using (var tar = new TarWriter(file, TarEntryFormat.Pax))
        {
            var entry = new PaxTarEntry(type, name);
            if (type == TarEntryType.RegularFile) entry.DataStream = new MemoryStream([1]);
            else entry.LinkName = "/etc/passwd";
            tar.WriteEntry(entry);
        }

        Assert.Contains(Path.GetFileName(name), Refused(Elsewhere, Passphrase), StringComparison.Ordinal);
        Assert.Equal([Archive], Directory.EnumerateFileSystemEntries(_folder.Path));
        Assert.False(File.Exists(Path.Combine(_folder.Path, "evil")));
    }

    private BackupManifest Backup(TestCoordinator test, string? passphrase, ConnectionString? store = null)
    {
        File.Delete(Archive);
        using var file = new FileStream(Archive, FileMode.CreateNew, FileAccess.ReadWrite);
        return CoordinatorBackup.Write(new ServerConfiguration { State = test.State, Store = store }, file, passphrase, test.Time);
    }

    private string Refused(string state, string passphrase, ConnectionString? store = null) =>
        Assert.Throws<InvalidInputException>(() => CoordinatorRestore.Restore(Archive, new ServerConfiguration { State = state, Store = store }, () => passphrase, TimeProvider.System)).Message;
}
