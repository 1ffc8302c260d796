using System.IO.Compression;
using System.Security.Cryptography;
using ZstdSharp;
using ZstdSharp.Unsafe;

namespace Federation.Privacy.Homomorphic;

/// <summary>
/// The compressions of SEAL objects. Buffers of ours are pinned, so that they can be wiped; what the two libraries keep while they work cannot be, so a secret is better stored uncompressed.
/// </summary>
internal static unsafe class SealPacking
{
    /// <summary>Deflate's most: 258 bytes from two bits.</summary>
    private const long ZlibLargestRatio = 1032;

    public static byte[] Pack(SealCompression compression, ReadOnlySpan<byte> body)
    {
        if (compression == SealCompression.Zstandard)
        {
            using Compressor compressor = new();
            return compressor.Wrap(body).ToArray();
        }

        using MemoryStream packed = new();
        using (ZLibStream stream = new(packed, CompressionLevel.Optimal, leaveOpen: true)) stream.Write(body);
        return packed.ToArray();
    }

    /// <param name="limit">The most bytes that may come out; no more memory than that is taken.</param>
    /// <returns>Pinned; the first <paramref name="length"/> bytes are the result. The caller wipes it.</returns>
    /// <exception cref="SealFormatException">The data is damaged, goes on after its end, or holds more than the limit.</exception>
    public static byte[] Unpack(string name, SealCompression compression, ReadOnlySpan<byte> packed, int limit, out int length)
    {
        if (packed.IsEmpty) throw Damaged(name, "nothing");
        byte[]? buffer = null;
        try
        {
            return compression == SealCompression.Zlib ? UnpackZlib(name, packed, limit, ref buffer, out length) : UnpackZstandard(name, packed, limit, ref buffer, out length);
        }
        catch (Exception exception)
        {
            CryptographicOperations.ZeroMemory(buffer);
            if (exception is InvalidDataException or IOException or ZstdException) throw Damaged(name, exception.Message);
            throw;
        }
    }

    private static byte[] UnpackZlib(string name, ReadOnlySpan<byte> packed, int limit, ref byte[]? buffer, out int length)
    {
        buffer = GC.AllocateUninitializedArray<byte>((int)Math.Min(limit + 1L, ZlibLargestRatio * (packed.Length + 1L)), pinned: true);
        length = 0;
        fixed (byte* bytes = packed)
        {
            using LastByteApart source = new(bytes, packed.Length);
            using ZLibStream stream = new(source, CompressionMode.Decompress);
            for (int read; length < buffer.Length && (read = stream.Read(buffer.AsSpan(length))) > 0;) length += read;
            if (length > limit) throw TooLarge(name, "more", limit);
            if (source.RanDry) throw Damaged(name, "an early end");
            if (source.Left > 0) throw Damaged(name, "bytes after its end");
        }

        return buffer;
    }

    private static byte[] UnpackZstandard(string name, ReadOnlySpan<byte> packed, int limit, ref byte[]? buffer, out int length)
    {
        fixed (byte* bytes = packed)
        {
            nuint frame = Methods.ZSTD_findFrameCompressedSize(bytes, (nuint)packed.Length);
            if (Methods.ZSTD_isError(frame)) throw Damaged(name, Methods.ZSTD_getErrorName(frame));
            if (frame != (nuint)packed.Length) throw Damaged(name, $"{(nuint)packed.Length - frame} bytes after its frame");
            ulong declared = Methods.ZSTD_getFrameContentSize(bytes, (nuint)packed.Length), largest = Methods.ZSTD_decompressBound(bytes, (nuint)packed.Length);
            bool unknown = declared > ulong.MaxValue - 2; // two values that mean: not said
            if (!unknown && declared > (ulong)limit) throw TooLarge(name, $"{declared}", limit);
            buffer = GC.AllocateUninitializedArray<byte>((int)Math.Min((ulong)limit, unknown ? largest : declared), pinned: true);
        }

        // In one call: no window is taken, whatever size the frame says.
        using Decompressor decompressor = new();
        if (!decompressor.TryUnwrap(packed, buffer, out length)) throw TooLarge(name, "more", limit);
        return buffer;
    }

    private static SealFormatException Damaged(string name, string found) => new(name, "compressed data", SealHeader.Bytes, found, "it is one whole stream of its compression");

    private static SealFormatException TooLarge(string name, string found, int limit) => new(name, "compressed data", SealHeader.Bytes, $"{found} bytes in it", $"such an object has at most {limit}");
}
