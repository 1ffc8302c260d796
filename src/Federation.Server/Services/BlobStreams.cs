using Federation.Protocol;
using Federation.Server.Storage;
using Federation.V1;
using Google.Protobuf;
using Grpc.Core;

namespace Federation.Server.Services;

/// <summary>Sends a blob from an offset on, in chunks.</summary>
public static class BlobStreams
{
    /// <param name="pace">Waited for before each chunk of so many data bytes.</param>
    /// <param name="sent">Called with each chunk's data bytes and its other bytes.</param>
    public static async Task SendAsync(BlobStore blobs, DownloadRequest request, IServerStreamWriter<Chunk> responses, Func<int, Task> pace, Action<int, int> sent, CancellationToken cancellationToken)
    {
        if (!blobs.Has(request.Sha256)) throw RpcError.Refuse(StatusCode.NotFound, Refusal.UnknownBlob, $"There is no content with the SHA-256 '{request.Sha256}'.", "sha256");
        await using FileStream file = blobs.Open(request.Sha256);
        if (request.Offset > (ulong)file.Length) throw RpcError.Refuse(StatusCode.OutOfRange, Refusal.WrongOffset, $"The offset {request.Offset} is beyond the content's {file.Length} bytes.", "offset");
        file.Position = (long)request.Offset;
        byte[] buffer = new byte[Limits.PieceBytes];
        var packer = new PiecePacker(request.Zstd);
        while (true)
        {
            long offset = file.Position;
            int read = await file.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellationToken);
            if (read == 0) return;
            (ByteString data, bool zstd) = packer.Pack(buffer.AsSpan(0, read));
            var chunk = new Chunk { Offset = (ulong)offset, Data = data, Zstd = zstd };
            await pace(data.Length);
            await responses.WriteAsync(chunk, CancellationToken.None); // ends with the connection; a cancelled write would break the stream, which should end with its status
            sent(data.Length, chunk.CalculateSize() - data.Length);
        }
    }
}
