using System.Formats.Tar;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Federation.Server.Backup;

/// <summary>An archive in the making: a tar file of plain files, with their hashes at its end.</summary>
internal sealed class BackupWriter(Stream to) : IDisposable
{
    private readonly TarWriter _tar = new(to, TarEntryFormat.Pax, leaveOpen: true);
    private readonly List<BackupFile> _files = [];

    public IReadOnlyList<BackupFile> Files => _files;

    /// <param name="content">Read from its beginning; does not change meanwhile.</param>
    public void Add(string name, Stream content)
    {
        content.Position = 0;
        _files.Add(new BackupFile(name, content.Length, Convert.ToHexStringLower(SHA256.HashData(content))));
        Write(name, content);
    }

    public void Add(string name, string text)
    {
        using var content = new MemoryStream(Encoding.UTF8.GetBytes(text));
        Add(name, content);
    }

    /// <summary>Ends the archive.</summary>
    public void Finish(BackupManifest manifest)
    {
        using var content = new MemoryStream(JsonSerializer.SerializeToUtf8Bytes(manifest, JsonSerializerOptions.Web));
        Write(BackupManifest.Name, content);
    }

    public void Dispose() => _tar.Dispose();

    private void Write(string name, Stream content)
    {
        content.Position = 0;
        _tar.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, name) { DataStream = content, Mode = UnixFileMode.UserRead | UnixFileMode.UserWrite });
    }
}
