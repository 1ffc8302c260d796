using System.Formats.Tar;
using System.Security.Cryptography;
using System.Text.Json;
using Federation.Formats;
using Federation.Protocol.Identity;

namespace Federation.Server.Backup;

/// <summary>Takes an archive apart. It may have been cut short, changed, or made by somebody who means harm.</summary>
internal static class BackupReader
{
    /// <summary>Into an empty folder, each entry checked: its name is one of a backup's, its bytes are those that the manifest names.</summary>
    /// <exception cref="InvalidInputException">It is no backup, not a whole one, or was changed.</exception>
    /// <exception cref="IOException">There is no room for it, say.</exception>
    public static BackupManifest Extract(string path, string folder)
    {
        try
        {
            using FileStream archive = File.OpenRead(path);
            return Extract(archive, folder);
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException or UnauthorizedAccessException)
        {
            throw new InvalidInputException(new Problem($"The backup cannot be read: {error.Message}", path));
        }
        catch (Exception error) when (error is InvalidDataException or EndOfStreamException or FormatException or ArgumentException or OverflowException or NotSupportedException or InvalidOperationException or JsonException)
        {
            throw new InvalidInputException(new Problem($"This is no whole backup: {error.Message.TrimEnd('.')}.", path, Repair: "Take another copy of it; `fed server backup` makes them."));
        }
    }

    private static BackupManifest Extract(FileStream archive, string folder)
    {
        using var tar = new TarReader(archive, leaveOpen: true);
        List<BackupFile> found = [];
        BackupManifest? manifest = null;
        long left = archive.Length;
        while (tar.GetNextEntry() is { } entry)
        {
            if (manifest is not null) throw new InvalidDataException("something follows its end");
            if (!BackupManifest.IsName(entry.Name) || found.Any(file => file.Name == entry.Name)) throw new InvalidDataException($"it holds '{entry.Name}', which has no place in a backup");
            if (entry.EntryType is not (TarEntryType.RegularFile or TarEntryType.V7RegularFile)) throw new InvalidDataException($"'{entry.Name}' is no plain file");
            left -= entry.Length;
            if (left < 0) throw new InvalidDataException($"'{entry.Name}' is longer than the archive");
            if (entry.Name == BackupManifest.Name)
            {
                manifest = JsonSerializer.Deserialize<BackupManifest>(entry.DataStream ?? Stream.Null, JsonSerializerOptions.Web) ?? throw new InvalidDataException("its manifest is empty");
                continue;
            }

            found.Add(Write(entry, folder));
        }

        if (manifest is null) throw new InvalidDataException("it ends before its manifest");
        Require(manifest, found);
        return manifest;
    }

    private static BackupFile Write(TarEntry entry, string folder)
    {
        string path = Path.Combine(folder, entry.Name);
        PrivateFile.CreateFolder(Path.GetDirectoryName(path)!);
        using FileStream file = PrivateFile.Create(path);
        entry.DataStream?.CopyTo(file);
        file.Flush(flushToDisk: true);
        file.Position = 0;
        return new BackupFile(entry.Name, file.Length, Convert.ToHexStringLower(SHA256.HashData(file)));
    }

    private static void Require(BackupManifest manifest, List<BackupFile> found)
    {
        if (manifest.Format > BackupManifest.CurrentFormat || manifest.SchemaVersion > BackupManifest.NewestSchema) throw new InvalidDataException($"it has format {manifest.Format} and a database of version {manifest.SchemaVersion}; this program knows {BackupManifest.CurrentFormat} and {BackupManifest.NewestSchema}: use the program that made it, or a newer one");
        if (manifest.Files is null || manifest.Federation is null || !manifest.Files.SequenceEqual(found))
        {
            BackupFile? other = manifest.Files?.Except(found).FirstOrDefault() ?? found.Except(manifest.Files ?? []).FirstOrDefault();
            throw new InvalidDataException($"'{other?.Name}' is not as its manifest says");
        }

        if (found.Find(file => file.Name.StartsWith(BackupManifest.Blobs, StringComparison.Ordinal) && !file.Name.EndsWith(file.Sha256, StringComparison.Ordinal)) is { } wrong) throw new InvalidDataException($"'{wrong.Name}' has another hash");
        if (found.All(file => file.Name != BackupManifest.Database)) throw new InvalidDataException("it holds no database");
        bool holdsCa = found.Any(file => file.Name == BackupManifest.Ca);
        if (holdsCa != manifest.HoldsCa) throw new InvalidDataException($"it holds {(holdsCa ? "a" : "no")} CA, and its manifest says otherwise");
    }
}
