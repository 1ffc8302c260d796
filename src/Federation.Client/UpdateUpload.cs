using Federation.Protocol;
using Federation.V1;
using Google.Protobuf;
using Grpc.Core;
using LedgerHead = Federation.Privacy.Ledger.LedgerHead;

namespace Federation.Client;

/// <summary>Sends a stored update from where the coordinator wants it on.</summary>
internal static class UpdateUpload
{
    /// <returns>Bytes sent by this call.</returns>
    public static async Task<long> SendAsync(Node.NodeClient client, string runId, int round, StoredUpdate update, LedgerHead head, string path, CancellationToken cancellationToken)
    {
        await using FileStream file = File.OpenRead(path);
        var announced = new BeginUploadRequest { RunId = runId, Round = (uint)round, ModelSha256 = update.ModelSha256, UpdateSha256 = update.Sha256, Size = (ulong)file.Length, Weight = update.Weight, LedgerHead = head.ToMessage() };
        if (file.Length <= Limits.SmallBytes) announced.Data = ByteString.FromStream(file);
        BeginUploadReply begun = await client.BeginUploadAsync(announced, cancellationToken: cancellationToken);
        if (begun.Offset >= (ulong)file.Length) return announced.Data.Length;
        file.Position = (long)begun.Offset;
        using AsyncClientStreamingCall<UploadChunk, UploadReply> call = client.Upload(cancellationToken: cancellationToken);
        byte[] buffer = new byte[Limits.PieceBytes];
        var packer = new PiecePacker(begun.Zstd);
        long sent = 0;
        while (true)
        {
            ulong offset = (ulong)file.Position;
            int read = await file.ReadAtLeastAsync(buffer, buffer.Length, throwOnEndOfStream: false, cancellationToken);
            if (read == 0) break;
            (ByteString data, bool zstd) = packer.Pack(buffer.AsSpan(0, read));
            var chunk = new UploadChunk { Offset = offset, Data = data, Zstd = zstd };
            if (sent == 0) (chunk.RunId, chunk.Round, chunk.UpdateSha256) = (runId, (uint)round, update.Sha256);
            try
            {
                await call.RequestStream.WriteAsync(chunk, cancellationToken);
            }
            catch (Exception error) when (error is RpcException or InvalidOperationException)
            {
                break; // the coordinator has answered already; its answer says why
            }

            sent += data.Length;
        }

        await CompleteAsync(call);
        await call.ResponseAsync.InTimeAsync("The coordinator's answer to the update did not come; it is asked again.", cancellationToken);
        return sent;
    }

    private static async Task CompleteAsync(AsyncClientStreamingCall<UploadChunk, UploadReply> call)
    {
        try
        {
            await call.RequestStream.CompleteAsync();
        }
        catch (Exception error) when (error is RpcException or InvalidOperationException)
        {
            // as above: the answer is awaited next
        }
    }
}
