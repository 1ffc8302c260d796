using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Federation.Formats.Models;
using Federation.Protocol;
using Grpc.Core;

namespace Federation.Server.Aggregation;

/// <summary>Checks an uploaded file before it is counted: hash, layout, every value finite. Reads it once, in pieces.</summary>
public static class UpdateFile
{
    private const int PieceBytes = 1 << 16;

    /// <param name="path">The complete upload.</param>
    /// <param name="expected">The model's header: the update must have the same bytes there.</param>
    /// <exception cref="RpcException">Refuses with the reason.</exception>
    public static void Check(string path, string sha256, SafetensorsHeader expected)
    {
        using FileStream file = File.OpenRead(path);
        RequireHash(file, sha256);
        file.Position = 0;
        RequireLayout(file, expected);
        RequireFinite(file, expected);
    }

    private static void RequireHash(FileStream file, string sha256)
    {
        string actual = Convert.ToHexStringLower(SHA256.HashData(file));
        if (actual != sha256) throw RpcError.Refuse(StatusCode.DataLoss, Refusal.WrongHash, $"The content's SHA-256 is {actual}; {sha256} was announced.", "update_sha256", "Send the update again from the beginning.");
    }

    private static void RequireLayout(FileStream file, SafetensorsHeader expected)
    {
        try
        {
            SafetensorsHeader header = SafetensorsHeader.Read(file, file.Length);
            if (header.Bytes.AsSpan().SequenceEqual(expected.Bytes)) return;
            IReadOnlyList<string> differences = header.DifferencesFrom(expected);
            string what = differences.Count > 0 ? string.Join(" ", differences.Take(20)) : "The header is not in canonical form.";
            throw RpcError.Refuse(StatusCode.InvalidArgument, Refusal.WrongLayout, $"The update is not of the model's layout: {what}", "update");
        }
        catch (SafetensorsException error)
        {
            throw RpcError.Refuse(StatusCode.InvalidArgument, Refusal.WrongLayout, $"The update is no safetensors file: {error.Message}", "update");
        }
    }

    /// <param name="file">At its data.</param>
    /// <exception cref="RpcException">A value is NaN or infinite; names tensor and index.</exception>
    public static void RequireFinite(FileStream file, SafetensorsHeader header)
    {
        byte[] piece = new byte[PieceBytes];
        for (long done = 0; done < header.DataLength;)
        {
            Span<byte> bytes = piece.AsSpan(0, (int)Math.Min(piece.Length, header.DataLength - done));
            file.ReadExactly(bytes);
            Span<float> values = MemoryMarshal.Cast<byte, float>(bytes);
            for (int i = 0; i < values.Length; i++)
            {
                if (float.IsFinite(values[i])) continue;
                long offset = done + (i * sizeof(float));
                TensorInfo tensor = header.Tensors.First(candidate => offset < candidate.End);
                throw RpcError.Refuse(StatusCode.InvalidArgument, Refusal.NotFinite, $"'{tensor.Name}' holds {values[i]} at index {(offset - tensor.Begin) / sizeof(float)}; only finite values are counted.", "update");
            }

            done += bytes.Length;
        }
    }
}
