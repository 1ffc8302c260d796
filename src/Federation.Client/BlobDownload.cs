using System.Security.Cryptography;
using Federation.Privacy.Canonical;
using Federation.Protocol;
using Federation.V1;
using Grpc.Core;

namespace Federation.Client;

/// <summary>Fetches content by its hash; what arrived before a broken connection is kept, and the whole is checked before it counts.</summary>
internal static class BlobDownload
{
    /// <summary>No model is larger; a coordinator that sends on and on is stopped.</summary>
    private const long MostBytes = 64L << 30;

    /// <summary>No message of a protocol is larger.</summary>
    private const long MostMessageBytes = 256L << 20;

    /// <summary>A message of a protocol, too large for one call; nothing of it stays on disk.</summary>
    public static async Task<byte[]> ReadAsync(Node.NodeClient client, NodeFolder folder, string sha256, CancellationToken cancellationToken)
    {
        string path = await FetchAsync(client, folder, sha256, cancellationToken, MostMessageBytes);
        byte[] bytes = await File.ReadAllBytesAsync(path, cancellationToken);
        File.Delete(path);
        return bytes;
    }

    /// <returns>The file's path.</returns>
    /// <exception cref="InvalidDataException">The content is too large or does not have the hash; it was thrown away.</exception>
    public static async Task<string> FetchAsync(Node.NodeClient client, NodeFolder folder, string sha256, CancellationToken cancellationToken, long most = MostBytes)
    {
        string path = folder.Blob(sha256), part = path + ".part";
        if (File.Exists(path)) return path;
        using IncrementalHash hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        var reader = new PieceReader();
        await using (var file = new FileStream(part, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None, 1))
        {
            await HashAsync(file, hash, cancellationToken);
            using AsyncServerStreamingCall<Chunk> call = client.Download(new DownloadRequest { Sha256 = sha256, Offset = (ulong)file.Length, Zstd = true }, cancellationToken: cancellationToken);
            while (await call.ResponseStream.MoveNext(cancellationToken).InTimeAsync("The coordinator's next piece did not come; the download goes on where it is.", cancellationToken))
            {
                Chunk chunk = call.ResponseStream.Current;
                ReadOnlyMemory<byte> data = reader.Unpack(chunk.Data, chunk.Zstd);
                if (chunk.Offset != (ulong)file.Position || file.Position + data.Length > most)
                {
                    long right = file.Position;
                    file.SetLength(0); // nothing that will not be used stays
                    throw new InvalidDataException($"The coordinator sent {data.Length} bytes at {chunk.Offset}; a piece at {right} is right, and {most} bytes at most.");
                }

                hash.AppendData(data.Span);
                await file.WriteAsync(data, cancellationToken);
            }
        }

        string actual = Convert.ToHexStringLower(hash.GetHashAndReset());
        if (actual != sha256)
        {
            File.Delete(part);
            throw new InvalidDataException($"The content's SHA-256 is {actual}; {sha256} was asked for. It was thrown away.");
        }

        File.Move(part, path, overwrite: true);
        return path;
    }

    /// <summary>At a start: what an earlier process had fetched is checked once more before it counts, because nothing was waited for until it was on disk.</summary>
    public static void Distrust(NodeFolder folder)
    {
        foreach (string path in Directory.EnumerateFiles(folder.Blobs).Where(path => Sha256Hex.IsValid(Path.GetFileName(path)))) File.Move(path, path + ".part", overwrite: true);
    }

    /// <summary>What is there of the file, which is left at its end.</summary>
    private static async Task HashAsync(FileStream file, IncrementalHash hash, CancellationToken cancellationToken)
    {
        byte[] buffer = new byte[Limits.PieceBytes];
        int read;
        while ((read = await file.ReadAsync(buffer, cancellationToken)) > 0) hash.AppendData(buffer, 0, read);
    }
}
