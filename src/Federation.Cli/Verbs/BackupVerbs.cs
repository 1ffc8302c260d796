using System.CommandLine;
using System.Globalization;
using Federation.Cli.CommandLine;
using Federation.Cli.Results;
using Federation.Cli.Terminal;
using Federation.Formats.Configuration;
using Federation.Server.Backup;

namespace Federation.Cli.Verbs;

/// <summary><c>fed server backup|restore</c>.</summary>
internal static class BackupVerbs
{
    private static readonly Argument<string> File = new("file") { Description = "The backup, a tar file.", HelpName = "file" };

    private static readonly Option<bool> IncludeCa = new("--include-ca") { Description = "With the CA's key and the first admin's, under a passphrase: whoever has both can invent sites." };

    public static Verb Backup() => new Verb("backup", "Write the coordinator's state to one file; the coordinator may run.", "fed server backup fed.tar --state ./coordinator\nfed server backup fed.tar --state ./coordinator --include-ca --passphrase-file passphrase", "server-backup")
        .With(File, CommonOptions.State, ServerVerbs.Config, ServerVerbs.Store, IncludeCa, Passphrase.File, CommonOptions.Force)
        .Does(BackupAsync);

    public static Verb Restore() => new Verb("restore", "Make a state folder from a backup.", "fed server restore fed.tar --state ./coordinator", "server-restore")
        .With(File, CommonOptions.State, ServerVerbs.Config, ServerVerbs.Store, Passphrase.File)
        .Does(RestoreAsync);

    private static async Task<int> BackupAsync(Invocation invocation)
    {
        ServerConfiguration configuration = ServerVerbs.Configuration(invocation);
        OutputFile output = OutputFile.Claim(invocation.Get(File), invocation.Get(CommonOptions.Force));
        string? passphrase = invocation.Get(IncludeCa) ? Passphrase.Read(invocation, twice: true) : null;
        BackupManifest? manifest = null;
        await output.WriteAsync(file => Task.FromResult(manifest = CoordinatorBackup.Write(configuration, file, passphrase, TimeProvider.System)), isPrivate: true);
        var result = new BackedUp(output.Path, new FileInfo(output.Path).Length, manifest!.Created, manifest.Federation, manifest.HoldsCa, manifest.Files.Count);
        invocation.Output.Result(
            result,
            string.Create(CultureInfo.InvariantCulture, $"Backed up {configuration.State} of {result.Created:u} to {result.File}: {result.Files} files, {result.Bytes} bytes."),
            result.HoldsCa ? "The CA's key and the first admin's are in it, under the passphrase: without that nobody restores it." : "The CA's key is not in it: keep a copy of ca/ca.pem and ca/admin.pem elsewhere, or say --include-ca.");
        return ExitCode.Done;
    }

    private static Task<int> RestoreAsync(Invocation invocation)
    {
        ServerConfiguration configuration = ServerVerbs.Configuration(invocation);
        string? passphrase = null;
        (BackupManifest manifest, int active) = CoordinatorRestore.Restore(invocation.Get(File), configuration, () => passphrase ??= Passphrase.Read(invocation, twice: false), TimeProvider.System);
        string[] next =
        [
            .. manifest.HoldsCa ? (string[])[] : [$"Put the federation's CA with its key (SPKI {manifest.Federation}) at {Path.Combine(configuration.State, "ca", "ca.pem")}: without it the coordinator does not start and sites cannot renew their certificates."],
            $"Stop the old coordinator for good before this one starts: fed server --state {configuration.State}",
            string.Create(CultureInfo.InvariantCulture, $"Whatever was done after {manifest.Created:u} is gone: revoke again the sites and operators that were revoked since, invite again the sites that enrolled since. Open invitations are void."),
            .. active == 0 ? (string[])[] : ["Runs that have gone on since the backup end: sites refuse to contribute again to what was opened. Submit those anew."],
        ];
        invocation.Output.Result(new RestoredServer(configuration.State, manifest.Created, manifest.Federation, manifest.HoldsCa, active, next), [$"Restored {configuration.State} from a backup of {manifest.Created:u}; {active} runs go on.", .. next]);
        return Task.FromResult(ExitCode.Done);
    }
}
