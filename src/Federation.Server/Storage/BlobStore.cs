using System.Globalization;
using System.Security.Cryptography;
using Federation.Formats;
using Federation.Privacy.Canonical;
using Federation.Protocol;
using Federation.Protocol.Identity;

namespace Federation.Server.Storage;

/// <summary>Files under their SHA-256. A file is there whole or not at all.</summary>
public sealed class BlobStore
{
    private readonly string _folder;

    public BlobStore(string folder)
    {
        _folder = folder;
        PrivateFile.CreateFolder(folder);
        foreach (string leftover in Directory.EnumerateFiles(folder, "*.new")) File.Delete(leftover);
    }

    public bool Has(string sha256) => Sha256Hex.IsValid(sha256) && File.Exists(PathOf(sha256));

    /// <exception cref="FileNotFoundException">There is no such blob.</exception>
    public FileStream Open(string sha256) => new(PathOf(sha256), FileMode.Open, FileAccess.Read, FileShare.Read | FileShare.Delete, 1 << 16);

    public long SizeOf(string sha256) => new FileInfo(PathOf(sha256)).Length;

    /// <summary>When it was kept, the last time.</summary>
    public DateTimeOffset WrittenAt(string sha256) => File.GetLastWriteTimeUtc(PathOf(sha256));

    public void Delete(string sha256) => File.Delete(PathOf(sha256));

    /// <summary>Removes blobs that nothing names: of a process that was killed before what it had made was recorded. Only at the start, before anything is made.</summary>
    /// <param name="named">What stays.</param>
    /// <returns>How many were removed. Files whose name is no SHA-256 are not this program's, and stay.</returns>
    public int DropAllBut(IReadOnlySet<string> named)
    {
        int dropped = 0;
        foreach (string path in Directory.EnumerateFiles(_folder))
        {
            if (Path.GetFileName(path) is var name && (!Sha256Hex.IsValid(name) || named.Contains(name))) continue;
            File.Delete(path);
            dropped++;
        }

        return dropped;
    }

    /// <summary>A stream to write a blob into; <see cref="NewBlob.Keep"/> or dispose it.</summary>
    public NewBlob Create() => new(_folder);

    private string PathOf(string sha256) => Sha256Hex.IsValid(sha256) ? Path.Combine(_folder, sha256) : throw new ArgumentException($"'{sha256}' is no SHA-256 in lower-case hex.");

    /// <summary>A blob that is being written; gone when disposed unless kept.</summary>
    public sealed class NewBlob : IDisposable
    {
        private readonly string _folder, _path;
        private readonly FileStream _file;

        internal NewBlob(string folder)
        {
            _folder = folder;
            _path = Path.Combine(folder, $"{Guid.NewGuid():n}.new");
            _file = new FileStream(_path, FileMode.CreateNew, FileAccess.ReadWrite, FileShare.None, 1 << 16);
        }

        public Stream Stream => _file;

        /// <summary>Makes it durable under its hash, which it returns.</summary>
        public string Keep()
        {
            _file.Flush(flushToDisk: true);
            _file.Position = 0;
            string sha256 = Convert.ToHexStringLower(SHA256.HashData(_file));
            _file.Dispose();
            File.Move(_path, Path.Combine(_folder, sha256), overwrite: true);
            return sha256;
        }

        public void Dispose()
        {
            _file.Dispose();
            File.Delete(_path);
        }
    }
}

/// <summary>Uploads of open rounds, one file for each run, round and site; what arrived before a broken connection or a crash stays.</summary>
public sealed class Spool(string folder)
{
    private readonly SpareFiles _spare = new(folder + ".spare"); // beside it: nothing in the spool is of no upload

    public string PathOf(string runId, int round, string site)
    {
        if (!Names.IsSiteName(site) || !Names.IsSiteName(runId)) throw new ArgumentException($"'{runId}' and '{site}' must be names.");
        return Path.Combine(folder, runId, FormattableString.Invariant($"{round}"), site);
    }

    public long Length(string runId, int round, string site) => new FileInfo(PathOf(runId, round, site)) is { Exists: true, Length: var length } ? length : 0;

    public void Delete(string runId, int round, string site)
    {
        if (File.Exists(PathOf(runId, round, site))) _spare.Retire(PathOf(runId, round, site));
    }

    /// <summary>Opens for appending.</summary>
    public FileStream Append(string runId, int round, string site)
    {
        string path = PathOf(runId, round, site);
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        _spare.Place(path);
        return new FileStream(path, FileMode.Append, FileAccess.Write, FileShare.Read, 1);
    }

    /// <summary>A folder for a key epoch's encrypted shares on their way from member to member.</summary>
    public string Shares(string runId) => Path.Combine(Path.GetDirectoryName(PathOf(runId, 0, "shares"))!, "shares");

    /// <summary>Removes the files of this round and of all before it.</summary>
    public void DropRounds(string runId, int last)
    {
        var run = new DirectoryInfo(Path.Combine(folder, runId));
        if (!run.Exists) return;
        foreach (DirectoryInfo round in run.EnumerateDirectories())
        {
            if (!int.TryParse(round.Name, NumberStyles.None, CultureInfo.InvariantCulture, out int number) || number > last) continue;
            foreach (FileInfo file in round.EnumerateFiles()) _spare.Retire(file.FullName);
            round.Delete(recursive: true);
        }
    }
}
