using System.Security.Cryptography;
using Federation.Cli.Terminal;
using Federation.V1;
using Grpc.Core;

namespace Federation.Cli.Verbs;

/// <summary>A model from the coordinator into a file, checked by its hash before it takes the file's place.</summary>
internal static class ModelDownload
{
    /// <returns>Its size in bytes.</returns>
    /// <exception cref="RpcException">There is no such model, or the connection broke.</exception>
    /// <exception cref="IOException">What came has another hash, or the file cannot be written.</exception>
    public static async Task<long> SaveAsync(Operator.OperatorClient client, string sha256, OutputFile output, CancellationToken cancellation)
    {
        long size = 0;
        await output.WriteAsync(async file =>
        {
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            using AsyncServerStreamingCall<Chunk> call = client.DownloadModel(new DownloadRequest { Sha256 = sha256 }, cancellationToken: cancellation);
            await foreach (Chunk chunk in call.ResponseStream.ReadAllAsync(cancellation))
            {
                hash.AppendData(chunk.Data.Span);
                await file.WriteAsync(chunk.Data.Memory, cancellation);
            }

            string received = Convert.ToHexStringLower(hash.GetHashAndReset());
            if (received != sha256) throw new IOException($"The coordinator sent a model with hash {received}; {sha256} was asked for. Nothing was written.");
            size = file.Length;
        });
        return size;
    }
}
