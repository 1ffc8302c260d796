using System.Globalization;
using System.Text.Json;
using Federation.Formats;
using Federation.V1;
using Grpc.Core;

namespace Federation.Cli.Verbs;

/// <summary>A run's transcripts as files, in the order in which they were signed.</summary>
internal static class TranscriptFolder
{
    public const string RecordFile = "record.json";

    private const string Extension = ".transcript";

    // Headers of 100,000 contributors take 60 MB.
    private const long MostBytes = 256 << 20;

    /// <exception cref="InvalidInputException">There is something in the folder already.</exception>
    public static void RequireFree(string folder)
    {
        if (File.Exists(folder) || (Directory.Exists(folder) && Directory.EnumerateFileSystemEntries(folder).Any())) throw new InvalidInputException(new Problem("This is not an empty folder.", folder, Field: "--out", Repair: "Name one that is new or empty."));
    }

    /// <summary>Writes all of them, or nothing.</summary>
    /// <exception cref="RpcException">There is no such run, or it has no secure aggregation, or the connection broke.</exception>
    /// <exception cref="IOException">What came contradicts itself, or cannot be written.</exception>
    public static async Task DownloadAsync(Operator.OperatorClient client, string run, string folder, CancellationToken cancellation)
    {
        string fresh = $"{Path.TrimEndingDirectorySeparator(Path.GetFullPath(folder))}.{Guid.NewGuid():N}.new";
        Directory.CreateDirectory(fresh);
        try
        {
            await ReceiveAsync(client, run, fresh, cancellation);
            if (Directory.Exists(folder)) Directory.Delete(folder); // empty
            Directory.Move(fresh, folder);
        }
        finally
        {
            if (Directory.Exists(fresh)) Directory.Delete(fresh, recursive: true);
        }
    }

    /// <exception cref="InvalidInputException">There is no such folder, or no transcript in it.</exception>
    public static IReadOnlyList<string> Files(string folder)
    {
        if (!Directory.Exists(folder)) throw new InvalidInputException(new Problem("There is no such folder.", folder, Field: "--from", Repair: "`fed run verify-transcript RUN --out FOLDER` writes one."));
        string[] files = [.. Directory.EnumerateFiles(folder, "*" + Extension).Order(StringComparer.Ordinal)];
        return files.Length > 0 ? files : throw new InvalidInputException(new Problem($"The folder holds no transcripts (*{Extension}).", folder, Field: "--from", Repair: "`fed run verify-transcript RUN --out FOLDER` writes them."));
    }

    /// <summary>Keeps which transcripts the run's record names, by their SHA-256.</summary>
    public static void WriteRecord(string folder, IEnumerable<string> transcripts) => File.WriteAllText(Path.Combine(folder, RecordFile), JsonSerializer.Serialize(transcripts));

    public static bool HasRecord(string folder) => File.Exists(Path.Combine(folder, RecordFile));

    /// <returns>Null: there is no record.</returns>
    /// <exception cref="InvalidInputException">It is none.</exception>
    public static IReadOnlyList<string>? Record(string folder)
    {
        string path = Path.Combine(folder, RecordFile);
        if (!File.Exists(path)) return null;
        try
        {
            return JsonSerializer.Deserialize<string[]>(File.ReadAllText(path)) ?? [];
        }
        catch (JsonException)
        {
            throw new InvalidInputException(new Problem("This is no list of hashes.", path, Field: "--from", Repair: "`fed run verify-transcript RUN --out FOLDER` writes one."));
        }
    }

    /// <exception cref="FormatException">The file is too large.</exception>
    public static byte[] Read(string file)
    {
        long length = new FileInfo(file).Length;
        return length <= MostBytes ? File.ReadAllBytes(file) : throw new FormatException($"A transcript has at most {MostBytes} bytes, this one {length}.");
    }

    private static async Task ReceiveAsync(Operator.OperatorClient client, string run, string folder, CancellationToken cancellation)
    {
        int number = 0;
        long left = 0;
        FileStream? file = null;
        try
        {
            using AsyncServerStreamingCall<TranscriptChunk> call = client.DownloadTranscripts(new DownloadTranscriptsRequest { RunId = run }, cancellationToken: cancellation);
            await foreach (TranscriptChunk chunk in call.ResponseStream.ReadAllAsync(cancellation))
            {
                if (chunk.Size > 0 && left == 0)
                {
                    if (chunk.Size > MostBytes) throw new IOException($"The coordinator sends a transcript of {chunk.Size} bytes; at most {MostBytes} are right.");
                    if (file is not null) await file.DisposeAsync();
                    left = (long)chunk.Size;
                    file = new FileStream(Path.Combine(folder, NameOf(++number, chunk)), FileMode.CreateNew);
                }
                else if (chunk.Size > 0 || file is null)
                {
                    throw new IOException($"The coordinator sends transcripts that do not fit together: {left} bytes of number {number} are missing.");
                }

                left -= chunk.Data.Length;
                if (left < 0) throw new IOException($"The coordinator sends {-left} bytes more of transcript {number} than it announced.");
                await file.WriteAsync(chunk.Data.Memory, cancellation);
            }

            if (left > 0) throw new IOException($"The coordinator left {left} bytes of transcript {number} out.");
        }
        finally
        {
            if (file is not null) await file.DisposeAsync();
        }
    }

    private static string NameOf(int number, TranscriptChunk chunk) => chunk.Kind switch
    {
        "epoch" => string.Create(CultureInfo.InvariantCulture, $"{number:D6}-epoch-{chunk.Epoch}{Extension}"),
        "opening" => string.Create(CultureInfo.InvariantCulture, $"{number:D6}-epoch-{chunk.Epoch}-round-{chunk.Round}{Extension}"),
        _ => throw new IOException($"The coordinator sends a transcript of the kind '{chunk.Kind}'; epoch and opening are known."),
    };
}
