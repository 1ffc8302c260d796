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

/// <summary><c>fed server restore</c>: a state folder, and where it is named a PostgreSQL database, from a backup. Everything is checked and laid out first, then takes its place; the database keeps what it was given only if that went well.</summary>
public static class CoordinatorRestore
{
    /// <param name="path">The backup.</param>
    /// <param name="passphrase">Asked for where the backup holds the CA's key.</param>
    /// <returns>What was restored, and how many runs go on.</returns>
    /// <exception cref="InvalidInputException">It is no whole backup, the passphrase is wrong, or folder or database are not empty. Nothing was changed.</exception>
    /// <exception cref="IOException">A file cannot be written, or the database cannot be reached. Nothing was changed.</exception>
    public static (BackupManifest Manifest, int Active) Restore(string path, ServerConfiguration configuration, Func<string> passphrase, TimeProvider time)
    {
        string state = configuration.State;
        if (File.Exists(state) || (Directory.Exists(state) && Directory.EnumerateFileSystemEntries(state).Any(entry => Path.GetFileName(entry) != "lost+found"))) throw new InvalidInputException(new Problem("The state folder is not empty; a backup is restored into a new one.", state, Repair: "Name another --state, or move what is there away first."));
        // A folder that is there may be a mount point: it cannot be renamed, and what is beside it may be another file system.
        bool isThere = Directory.Exists(state), isWhole = false;
        string name = $"{Guid.NewGuid():n}.new", fresh = isThere ? Path.Combine(state, name) : $"{state.TrimEnd('/')}.{name}";
        List<string> placed = [];
        try
        {
            if (isThere) CoordinatorSetup.MakePrivate(state);
            PrivateFile.CreateFolder(fresh);
            BackupManifest manifest = BackupReader.Extract(path, fresh);
            var folder = new CoordinatorFolder(fresh);
            foreach (string sealedKey in new[] { folder.Ca, folder.Admin }.Where(File.Exists)) PrivateFile.Write(sealedKey, SealedKeys.Open(File.ReadAllText(sealedKey), passphrase()));
            using (AdministrativeLog acts = AdministrativeLog.Open(folder.Audit, time, NullLogger.Instance))
            {
                acts.Record(AdministrativeLog.Restored, $"{Environment.UserName} (on this machine)", $"restored the coordinator from a backup of {manifest.Created:u}; what was done after that is not in it.");
            }

            int active = Fill(configuration, folder, manifest, Path.Combine(fresh, BackupManifest.Database), time.GetUtcNow(), ca => Place(fresh, state, ca, placed));
            isWhole = true;
            return (manifest, active);
        }
        catch (UnauthorizedAccessException error)
        {
            throw new InvalidInputException(new Problem($"The state folder cannot be written: {error.Message}", state));
        }
        finally
        {
            if (!isWhole) foreach (string one in Enumerable.Reverse(placed)) Remove(one);
            if (Directory.Exists(fresh)) Directory.Delete(fresh, recursive: true);
        }
    }

    /// <summary>Gives what was laid out its place. The CA is last, when the database holds its rows for good: with it the folder counts as initialised.</summary>
    /// <param name="placed">Grows by each path that was made.</param>
    private static void Place(string fresh, string state, bool ca, List<string> placed)
    {
        if (!Directory.Exists(state))
        {
            PrivateFile.CreateFolder(state);
            placed.Add(state);
        }

        File.Delete(Path.Combine(fresh, BackupManifest.Database)); // it is loaded
        string reserved = Path.Combine(state, "ca");
        if (Path.Exists(reserved)) throw new IOException($"'{reserved}' was made by somebody else meanwhile.");
        foreach (string entry in Directory.GetFileSystemEntries(fresh).Where(entry => (Path.GetFileName(entry) == "ca") == ca))
        {
            string to = Path.Combine(state, Path.GetFileName(entry));
            Directory.Move(entry, to); // files, too
            placed.Add(to);
        }
    }

    private static void Remove(string path)
    {
        if (Directory.Exists(path)) Directory.Delete(path, recursive: true);
        else File.Delete(path);
    }

    /// <param name="place">Called for all but the CA within the transaction that fills PostgreSQL, as its last step, or after SQLite, whose file is one of those placed, is closed; then for the CA.</param>
    private static int Fill(ServerConfiguration configuration, CoordinatorFolder folder, BackupManifest manifest, string dump, DateTimeOffset now, Action<bool> place)
    {
        int active = 0;
        using (SqlStore store = configuration.Store is { } connection ? new PostgresStore(connection, manifest.Federation, NullLogger.Instance) : new SqliteStore(folder.Database))
        {
            store.Fill(database =>
            {
                active = Fill(database, manifest, dump, now);
                if (configuration.Store is not null) place(false);
            });
        }

        if (configuration.Store is null) place(false);
        place(true);
        return active;
    }

    private static int Fill(DbConnection database, BackupManifest manifest, string dump, DateTimeOffset now)
    {
        if (StoreDump.Tables.FirstOrDefault(table => database.Scalar($"SELECT count(*) FROM {table}") > 0) is { } full) throw new InvalidInputException(new Problem($"The database is not empty: its table '{full}' holds something.", Field: "store", Repair: "Name an empty database."));
        try
        {
            using FileStream file = File.OpenRead(dump);
            StoreDump.Load(file, database);
        }
        catch (Exception error) when (error is FormatException or DbException)
        {
            throw new InvalidInputException(new Problem($"The backup's database cannot be used: {error.Message}", Repair: "Take another copy of the backup."));
        }

        // Who holds an invitation may have used it since.
        database.Execute("UPDATE invitations SET used = $1 WHERE used IS NULL", now.ToUnixTimeMilliseconds());
        int active = 0;
        foreach ((string id, string text) in database.Query("SELECT id, state FROM runs WHERE over = 0", row => (row.GetString(0), row.GetString(1))))
        {
            if (GoOn(database, id, text, manifest, now)) active++;
        }

        return active;
    }

    private static bool GoOn(DbConnection database, string id, string text, BackupManifest manifest, DateTimeOffset now)
    {
        try
        {
            RunState state = RestoredRuns.Of(JsonSerializer.Deserialize<RunState>(text)!, now);
            database.Execute("UPDATE runs SET state = $2 WHERE id = $1", id, JsonSerializer.Serialize(state));
            database.Execute(
                "INSERT INTO events(run, sequence, at, kind, round, site, message, model, metrics) SELECT $1, max(sequence) + 1, $2, $3, $4, '', $5, '', NULL FROM events WHERE run = $1",
                id,
                now.ToUnixTimeMilliseconds(),
                RunLog.Restored,
                state.Round,
                $"The coordinator was restored from a backup of {manifest.Created:u}. Sites that have gone on since do not contribute again; then the run has to be submitted anew.");
            return true;
        }
        catch (JsonException)
        {
            return false; // as in the backup: this program cannot read it
        }
    }
}
