using System.Security.Cryptography;
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
        await using (var file = new FileStream(part, FileMode.OpenOrCreate, FileAccess.Write, FileShare.None, 1))
        {
            file.Position = file.Length;
            using AsyncServerStreamingCall<Chunk> call = client.Download(new DownloadRequest { Sha256 = sha256, Offset = (ulong)file.Length }, cancellationToken: cancellationToken);
            await foreach (Chunk chunk in call.ResponseStream.ReadAllAsync(cancellationToken))
            {
                if (chunk.Offset != (ulong)file.Position || file.Position + chunk.Data.Length > most)
                {
                    long right = file.Position;
                    file.SetLength(0); // nothing that will not be used stays
                    throw new InvalidDataException($"The coordinator sent {chunk.Data.Length} bytes at {chunk.Offset}; a piece at {right} is right, and {most} bytes at most.");
                }

                await file.WriteAsync(chunk.Data.Memory, cancellationToken);
            }

            file.Flush(flushToDisk: true);
        }

        string actual;
        await using (FileStream file = File.OpenRead(part)) actual = Convert.ToHexStringLower(await SHA256.HashDataAsync(file, cancellationToken));
        if (actual != sha256)
        {
            File.Delete(part);
            throw new InvalidDataException($"The content's SHA-256 is {actual}; {sha256} was asked for. It was thrown away.");
        }

        File.Move(part, path, overwrite: true);
        return path;
    }
}
