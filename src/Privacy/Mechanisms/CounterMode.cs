using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Security.Cryptography;

namespace Federation.Privacy.Mechanisms;

/// <summary>
/// AES in counter mode under a key that the caller knows: any part of any of 2⁶⁴ streams, again and again. The counter block is the stream's number (u64, little-endian), then the block's number as counter mode adds it up (u64, big-endian).
/// Not thread-safe. Dispose wipes what was computed ahead and lets go of the key.
/// </summary>
/// <remarks>NIST SP 800-38A, section 6.5; the same bytes as any AES-CTR started at the block (u64 stream, 0).</remarks>
public sealed class CounterMode : IDisposable
{
    private const int BlockLength = 16, MostBlocks = 1024;

    private readonly ICryptoTransform _cipher;
    private readonly byte[] _counters = GC.AllocateArray<byte>(MostBlocks * BlockLength, pinned: true);
    private readonly byte[] _output = GC.AllocateArray<byte>(MostBlocks * BlockLength, pinned: true);

    /// <param name="key">16 or 32 bytes: AES-128 or AES-256.</param>
    /// <exception cref="ArgumentException">The key has another length.</exception>
    public CounterMode(ReadOnlySpan<byte> key)
    {
        if (key.Length is not (16 or 32)) throw new ArgumentException($"A key has 16 or 32 bytes, not {key.Length}.", nameof(key));
        byte[] copy = GC.AllocateUninitializedArray<byte>(key.Length, pinned: true);
        key.CopyTo(copy);
        try
        {
            _cipher = SecureRandom.Encryptor(copy);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(copy);
        }
    }

    /// <summary>The stream's bytes from the start of one of its 16-byte blocks on.</summary>
    /// <param name="stream">Which of the 2⁶⁴ streams.</param>
    /// <param name="firstBlock">Of the stream.</param>
    /// <param name="destination">Any length; overwritten.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Fill(ulong stream, ulong firstBlock, Span<byte> destination)
    {
        while (destination.Length > 0)
        {
            int length = Math.Min(destination.Length, MostBlocks * BlockLength), blocks = (length + BlockLength - 1) / BlockLength;
            for (int i = 0; i < blocks; i++)
            {
                Span<byte> counter = _counters.AsSpan(i * BlockLength, BlockLength);
                BinaryPrimitives.WriteUInt64LittleEndian(counter, stream);
                BinaryPrimitives.WriteUInt64BigEndian(counter[8..], unchecked(firstBlock + (ulong)i));
            }

            _cipher.TransformBlock(_counters, 0, blocks * BlockLength, _output, 0);
            _output.AsSpan(0, length).CopyTo(destination);
            destination = destination[length..];
            firstBlock = unchecked(firstBlock + (ulong)blocks);
        }
    }

    public void Dispose()
    {
        _cipher.Dispose();
        CryptographicOperations.ZeroMemory(_output);
    }
}
