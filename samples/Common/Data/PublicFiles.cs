using System.IO.Compression;
using System.Security.Cryptography;
using System.Text;
using Federation.Formats;

namespace Federation.Samples.Data;

/// <param name="Sha256">Of the file with line feeds alone as line ends, where <see cref="PublicFiles.HasForeignLineEnds"/>; of what it holds, where <see cref="PublicFiles.IsCompressed"/>.</param>
public sealed record PublicFile(string Name, string Sha256);

/// <summary>A public data set: from <c>FED_DATA</c>, else from the cache (<c>FED_CACHE</c>), else downloaded (<c>FED_DOWNLOAD_BASE</c>), every file checked by its SHA-256.</summary>
/// <param name="Title">For the user's eyes.</param>
/// <param name="Folder">Its name in <c>FED_DATA</c> and in the cache.</param>
/// <param name="Address">Of the folder on the web, ending with a slash.</param>
/// <param name="LargestFile">Bytes, unpacked; more is not taken.</param>
/// <param name="Otherwise">What the user is told where the files cannot be had, with {0} for the reason.</param>
public sealed record PublicFiles(string Title, string Folder, Uri Address, IReadOnlyList<PublicFile> Files, int LargestFile, string Otherwise)
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(15);

    /// <summary>The file on the web may have other line ends, or none at its end.</summary>
    public bool HasForeignLineEnds { get; init; }

    /// <summary>The files are gzip streams, which everybody packs otherwise: what they hold is checked and given.</summary>
    public bool IsCompressed { get; init; }

    /// <param name="say">Told where the files come from, and why not from elsewhere.</param>
    /// <returns>Texts by name; null: they cannot be had.</returns>
    public async Task<IReadOnlyDictionary<string, string>?> ObtainAsync(Action<string> say, CancellationToken cancellationToken) =>
        (await ObtainBytesAsync(say, cancellationToken))?.ToDictionary(file => file.Key, file => Encoding.UTF8.GetString(file.Value));

    /// <summary>As <see cref="ObtainAsync"/>, of files that are no text.</summary>
    public async Task<IReadOnlyDictionary<string, byte[]>?> ObtainBytesAsync(Action<string> say, CancellationToken cancellationToken)
    {
        if (Read(Path.Combine(DataFolder(), Folder)) is { } local)
        {
            say($"Data: {Title} (FED_DATA)");
            return local;
        }

        string cache = Path.Combine(CacheFolder(), Folder);
        if (Read(cache) is { } cached)
        {
            say($"Data: {Title} (downloaded before)");
            return cached;
        }

        Uri address = Environment.GetEnvironmentVariable("FED_DOWNLOAD_BASE") is { Length: > 0 } given ? new Uri(given.TrimEnd('/') + "/") : Address;
        try
        {
            await DownloadAsync(address, cache, cancellationToken);
            say($"Data: {Title} (downloaded from {address.Host})");
            return Read(cache)!;
        }
        catch (Exception error) when (error is HttpRequestException or IOException or InvalidDataException or UnauthorizedAccessException || (error is OperationCanceledException && !cancellationToken.IsCancellationRequested))
        {
            string reason = error is OperationCanceledException ? $"no answer within {Patience.TotalSeconds:0} s" : error.Message;
            say(string.Format(System.Globalization.CultureInfo.InvariantCulture, Otherwise, reason));
            return null;
        }
    }

    /// <summary>Fetches the files into a folder, each only if its SHA-256 is right.</summary>
    /// <exception cref="InvalidDataException">A file has another content.</exception>
    public async Task DownloadAsync(Uri address, string folder, CancellationToken cancellationToken)
    {
        Directory.CreateDirectory(folder);
        using var client = new HttpClient { Timeout = Patience, MaxResponseContentBufferSize = LargestFile };
        await Task.WhenAll(Files.Select(async file =>
        {
            byte[] bytes = await client.GetByteArrayAsync(new Uri(address, file.Name), cancellationToken);
            if (HasForeignLineEnds) bytes = WithLineFeeds(bytes);
            string actual = Convert.ToHexStringLower(SHA256.HashData(Content(bytes)));
            if (actual != file.Sha256) throw new InvalidDataException($"{file.Name} has SHA-256 {actual}; {file.Sha256} is right, so it was thrown away");
            string fresh = Path.Combine(folder, $"{file.Name}.{Guid.NewGuid():n}");
            await File.WriteAllBytesAsync(fresh, bytes, cancellationToken);
            File.Move(fresh, Path.Combine(folder, file.Name), overwrite: true);
        }));
    }

    /// <exception cref="InvalidDataException">It is no gzip stream, or holds more than <see cref="LargestFile"/> bytes.</exception>
    private byte[] Content(byte[] bytes)
    {
        if (!IsCompressed) return bytes;
        using var stream = new GZipStream(new MemoryStream(bytes), CompressionMode.Decompress);
        using var content = new MemoryStream();
        byte[] piece = new byte[1 << 16];
        while (stream.Read(piece) is > 0 and int length)
        {
            if (content.Length + length > LargestFile) throw new InvalidDataException($"The file holds more than {LargestFile} bytes");
            content.Write(piece.AsSpan(0, length));
        }

        return content.ToArray();
    }

    private static byte[] WithLineFeeds(byte[] bytes)
    {
        string text = Encoding.UTF8.GetString(bytes).ReplaceLineEndings("\n");
        return Encoding.UTF8.GetBytes(text.EndsWith('\n') ? text : text + "\n");
    }

    /// <summary>The files of a folder; null where one is missing.</summary>
    /// <exception cref="InvalidInputException">A file is there and has another content.</exception>
    private Dictionary<string, byte[]>? Read(string folder)
    {
        Dictionary<string, byte[]> contents = [];
        foreach (PublicFile file in Files)
        {
            string path = Path.Combine(folder, file.Name);
            if (!File.Exists(path)) return null;
            byte[] bytes;
            try
            {
                bytes = Content(File.ReadAllBytes(path));
            }
            catch (InvalidDataException error)
            {
                throw new InvalidInputException(new Problem(error.Message, path, Repair: "Remove it, or name another folder in FED_DATA."));
            }

            string actual = Convert.ToHexStringLower(SHA256.HashData(bytes));
            if (actual != file.Sha256) throw new InvalidInputException(new Problem($"The file's SHA-256 is {actual}; {file.Sha256} is right.", path, Repair: "Remove it, or name another folder in FED_DATA."));
            contents[file.Name] = bytes;
        }

        return contents;
    }

    private static string DataFolder()
    {
        if (Environment.GetEnvironmentVariable("FED_DATA") is { Length: > 0 } given) return given;
        for (var folder = new DirectoryInfo(AppContext.BaseDirectory); folder is not null; folder = folder.Parent)
        {
            if (File.Exists(Path.Combine(folder.FullName, "Federated.sln"))) return Path.Combine(folder.Parent?.FullName ?? "/", "shared", "data");
        }

        return Path.Combine(AppContext.BaseDirectory, "shared", "data");
    }

    private static string CacheFolder() => Environment.GetEnvironmentVariable("FED_CACHE") is { Length: > 0 } given
        ? given
        : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.LocalApplicationData, Environment.SpecialFolderOption.DoNotVerify), "federated");
}
