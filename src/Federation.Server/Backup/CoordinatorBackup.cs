using System.Data.Common;
using System.Text.Json;
using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Protocol.Identity;
using Federation.Server.Identity;
using Federation.Server.Runs;
using Federation.Server.Storage;
using Federation.Storage;
using Microsoft.Extensions.Logging.Abstractions;

namespace Federation.Server.Backup;

/// <summary>
/// <c>fed server backup</c>: one state of the database, as it is at one instant, with the files that it names; the coordinator may run. Not in it: uploads of open rounds (they are single sites' updates, and are sent again),
/// and, unless a passphrase is given, any private key.
/// </summary>
public static class CoordinatorBackup
{
    private const int Tries = 5;

    /// <param name="to">New and empty, with room.</param>
    /// <param name="passphrase">Seals the CA's key and the first admin's; null: they are left out.</param>
    /// <exception cref="InvalidInputException">There is no coordinator's state here, or the passphrase is too short.</exception>
    /// <exception cref="IOException">A file (the audit log, too) cannot be read or written, or the database cannot be reached.</exception>
    public static BackupManifest Write(ServerConfiguration configuration, FileStream to, string? passphrase, TimeProvider time)
    {
        var folder = new CoordinatorFolder(configuration.State);
        LostAuthority.RequireCa(folder, "Name the coordinator's state folder with --state.");
        if (passphrase is { Length: < SealedKeys.ShortestPassphrase }) throw new InvalidInputException(new Problem($"The passphrase has {passphrase.Length} characters; at least {SealedKeys.ShortestPassphrase} are right."));
        using CertificateAuthority ca = CertificateAuthority.Load(folder.Ca);
        for (int attempt = 1; ; attempt++)
        {
            to.SetLength(0);
            try
            {
                BackupManifest made = Write(configuration, folder, ca, to, passphrase, time);
                using AdministrativeLog acts = AdministrativeLog.Open(folder.Audit, time, NullLogger.Instance);
                acts.Record(AdministrativeLog.BackedUp, $"{Environment.UserName} (on this machine)", $"backed the coordinator up {(made.HoldsCa ? "with the CA's key and the first admin's, under a passphrase" : "without the CA's key")}.");
                return made;
            }
            catch (Exception gone) when (gone is FileNotFoundException or DirectoryNotFoundException && attempt < Tries)
            {
                // a round ended meanwhile and took its files along: once more, as it is now
            }
        }
    }

    private static BackupManifest Write(ServerConfiguration configuration, CoordinatorFolder folder, CertificateAuthority ca, FileStream to, string? passphrase, TimeProvider time)
    {
        using FileStream dump = PrivateFile.Create($"{to.Name}.database", FileOptions.DeleteOnClose);
        using var archive = new BackupWriter(to);
        DateTimeOffset now = time.GetUtcNow();
        (int version, HashSet<string> named, List<(string Run, int Round)> strategies) = Dump(configuration, folder, ca.SpkiSha256, dump);
        foreach ((string run, int round) in strategies) AddFile(archive, FormattableString.Invariant($"{BackupManifest.Strategies}{run}/{round}"), Path.Combine(folder.Strategies, run, FormattableString.Invariant($"{round}")));
        archive.Add(BackupManifest.Database, dump);
        if (File.Exists(folder.Audit)) archive.Add(BackupManifest.Audit, WholeLines(folder.Audit));
        string[] blobs = Directory.Exists(folder.Blobs) ? [.. Directory.EnumerateFiles(folder.Blobs).Select(path => Path.GetFileName(path)).Where(named.Contains).Order(StringComparer.Ordinal)] : [];
        foreach (string blob in blobs) AddFile(archive, BackupManifest.Blobs + blob, Path.Combine(folder.Blobs, blob));
        if (passphrase is not null)
        {
            archive.Add(BackupManifest.Ca, SealedKeys.Seal(File.ReadAllText(folder.Ca), passphrase));
            if (File.Exists(folder.Admin)) archive.Add(BackupManifest.Admin, SealedKeys.Seal(File.ReadAllText(folder.Admin), passphrase));
        }

        var manifest = new BackupManifest(BackupManifest.CurrentFormat, version, now, ca.SpkiSha256, passphrase is not null, [.. archive.Files]);
        archive.Finish(manifest);
        return manifest;
    }

    /// <summary>In one transaction: what the tables hold, which files they name.</summary>
    private static (int Version, HashSet<string> Named, List<(string Run, int Round)> Strategies) Dump(ServerConfiguration configuration, CoordinatorFolder folder, string federation, Stream to)
    {
        try
        {
            using DbConnection connection = configuration.Store is { } store ? PostgresDatabase.OpenToRead(store) : SqliteDatabase.OpenToRead(folder.Database);
            long version = connection.Scalar(configuration.Store is null ? "PRAGMA user_version" : "SELECT version FROM coordinator");
            if (version is < 1 || version > BackupManifest.NewestSchema) throw new InvalidInputException(new Problem($"The database has version {version}; this program knows versions 1 to {BackupManifest.NewestSchema}.", folder.Database, Repair: "Use the program that wrote it, or a newer one."));
            if (configuration.Store is not null && connection.Query("SELECT federation FROM coordinator", row => row.GetString(0)).Single() != federation) throw new InvalidInputException(new Problem("Database and state folder belong to two federations.", folder.Path, Field: "store", Repair: "Name the ones that the coordinator is started with."));
            if (version < BackupManifest.NewestSchema) throw new InvalidInputException(new Problem($"The database has version {version}, of an older program.", folder.Database, Repair: "Start the coordinator once with this program, or back it up with that one."));
            StoreDump.Write(connection, to);
            List<(string Run, int Round)> strategies = [];
            foreach ((string run, string state) in connection.Query("SELECT id, state FROM runs WHERE over = 0", row => (row.GetString(0), row.GetString(1))))
            {
                if (RoundOf(state) is > 0 and var round) strategies.Add((run, round));
            }

            return ((int)version, SqlStore.NamesIn(connection), strategies);
        }
        catch (DbException error)
        {
            throw new IOException($"The database cannot be read: {error.Message}", error);
        }
    }

    private static int RoundOf(string state)
    {
        try
        {
            return JsonSerializer.Deserialize<RunState>(state)!.StrategyRound;
        }
        catch (JsonException)
        {
            return 0; // a run that this program cannot read is kept as it is, and is not run
        }
    }

    private static void AddFile(BackupWriter archive, string name, string path)
    {
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        archive.Add(name, file);
    }

    /// <summary>The log as far as it is written; a line may be in the making.</summary>
    private static string WholeLines(string path)
    {
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        using var reader = new StreamReader(file);
        string text = reader.ReadToEnd();
        return text[..(text.LastIndexOf('\n') + 1)];
    }
}
