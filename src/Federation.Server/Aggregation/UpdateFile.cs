using System.Buffers.Binary;
using System.Globalization;
using System.Numerics;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Protocol;
using Grpc.Core;

namespace Federation.Server.Aggregation;

/// <summary>Checks an uploaded file before it is counted: hash, layout, every value finite. Reads it once, in pieces.</summary>
public static class UpdateFile
{
    private const int PieceBytes = 1 << 16, LongestForeignHeader = 1 << 20, LongestReason = 2000;

    /// <param name="path">The complete upload.</param>
    /// <param name="expected">The model's header: the update must have the same bytes there.</param>
    /// <param name="largest">No value may be larger, nor smaller than its negative.</param>
    /// <exception cref="RpcException">Refuses with the reason.</exception>
    public static void Check(string path, string sha256, SafetensorsHeader expected, float largest = float.MaxValue)
    {
        using FileStream file = File.OpenRead(path);
        RequireHash(file, sha256);
        file.Position = 0;
        RequireLayout(file, expected);
        RequireFinite(file, expected, largest);
        if (expected.Tensors[0].Name == UpdateShape.Scalar) RequirePositive(file, expected);
    }

    /// <summary>The strategy divides by the mean of these numbers.</summary>
    private static void RequirePositive(FileStream file, SafetensorsHeader header)
    {
        Span<byte> bytes = stackalloc byte[sizeof(float)];
        file.Position = header.DataStart;
        file.ReadExactly(bytes);
        if (BinaryPrimitives.ReadSingleLittleEndian(bytes) is var number && number < 0) throw RpcError.Refuse(StatusCode.InvalidArgument, Refusal.NotFinite, string.Create(CultureInfo.InvariantCulture, $"The strategy's number '{UpdateShape.Scalar}' is {number:g9}; 0 or more is right."), "update");
    }

    private static void RequireHash(FileStream file, string sha256)
    {
        string actual = Convert.ToHexStringLower(SHA256.HashData(file));
        if (actual != sha256) throw RpcError.Refuse(StatusCode.DataLoss, Refusal.WrongHash, $"The content's SHA-256 is {actual}; {sha256} was announced.", "update_sha256", "Send the update again from the beginning.");
    }

    private static void RequireLayout(FileStream file, SafetensorsHeader expected)
    {
        byte[] start = new byte[expected.Bytes.Length];
        if (file.ReadAtLeast(start, start.Length, throwOnEndOfStream: false) == start.Length && start.AsSpan().SequenceEqual(expected.Bytes)) return;
        throw RpcError.Refuse(StatusCode.InvalidArgument, Refusal.WrongLayout, DescribeLayout(file, expected), "update");
    }

    /// <summary>What is wrong, in a sentence that fits a status: names of tensors come from a stranger.</summary>
    private static string DescribeLayout(FileStream file, SafetensorsHeader expected)
    {
        file.Position = 0;
        Span<byte> prefix = stackalloc byte[sizeof(ulong)];
        if (file.ReadAtLeast(prefix, prefix.Length, throwOnEndOfStream: false) == prefix.Length
            && BinaryPrimitives.ReadUInt64LittleEndian(prefix) is var length
            && length > (ulong)(expected.Bytes.Length + LongestForeignHeader))
        {
            return $"The update's header is said to have {length} bytes; the model's has {expected.Bytes.Length - sizeof(ulong)}.";
        }

        try
        {
            file.Position = 0;
            IReadOnlyList<string> differences = SafetensorsHeader.Read(file, file.Length).DifferencesFrom(expected);
            return Shorten($"The update is not of the model's layout: {(differences.Count > 0 ? string.Join(" ", differences) : "The header is not in canonical form.")}");
        }
        catch (SafetensorsException error)
        {
            return Shorten($"The update is no safetensors file: {error.Message}");
        }
    }

    /// <summary>How many values, in steps of a vector's width, are known to be small enough from the first on: without their signs, numbers are in the order of their bits, and infinity and NaN come after all of them (IEEE 754).</summary>
    private static int FinitePrefix(ReadOnlySpan<float> values, float largest)
    {
        Vector<int> magnitude = new(int.MaxValue), most = new(BitConverter.SingleToInt32Bits(largest));
        ReadOnlySpan<int> bits = MemoryMarshal.Cast<float, int>(values);
        int i = 0;
        while (i <= bits.Length - Vector<int>.Count && !Vector.GreaterThanAny(new Vector<int>(bits[i..]) & magnitude, most)) i += Vector<int>.Count;
        return i;
    }

    private static string Shorten(string reason) => reason.Length <= LongestReason ? reason : reason[..LongestReason] + "…";

    /// <param name="file">At its data.</param>
    /// <param name="largest">Finite.</param>
    /// <exception cref="RpcException">A value is NaN, infinite or too large; names tensor and index.</exception>
    public static void RequireFinite(FileStream file, SafetensorsHeader header, float largest = float.MaxValue)
    {
        byte[] piece = new byte[PieceBytes];
        for (long done = 0; done < header.DataLength;)
        {
            Span<byte> bytes = piece.AsSpan(0, (int)Math.Min(piece.Length, header.DataLength - done));
            file.ReadExactly(bytes);
            Span<float> values = MemoryMarshal.Cast<byte, float>(bytes);
            for (int i = FinitePrefix(values, largest); i < values.Length; i++)
            {
                if (Math.Abs(values[i]) <= largest) continue;
                long offset = done + (i * sizeof(float));
                TensorInfo tensor = header.Tensors.First(candidate => offset < candidate.End);
                throw RpcError.Refuse(StatusCode.InvalidArgument, Refusal.NotFinite, $"'{tensor.Name}' holds {values[i]} at index {(offset - tensor.Begin) / sizeof(float)}; only {(float.IsFinite(values[i]) ? string.Create(CultureInfo.InvariantCulture, $"values of at most {largest:g3}, which is 10^15 for each example,") : "finite values")} are counted.", "update");
            }

            done += bytes.Length;
        }
    }
}
