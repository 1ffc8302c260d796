using System.Buffers.Binary;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Security.Cryptography;

namespace Federation.Privacy.Mechanisms;

/// <summary>
/// Uniform bits for noise, keys and sampling: AES-256 in counter mode, its key from the operating system's generator. Thread-safe; a forked child draws a key of its own.
/// Dispose wipes the key and what was drawn ahead. Bytes that were handed out are wiped from the buffer at once.
/// </summary>
/// <remarks>
/// NIST SP 800-38A, section 6.5. A permutation never gives a block twice, as true randomness now and then would: over n blocks of one key that is a statistical distance of at most n²/2¹²⁹ (Bellare, Desai, Jokipii, Rogaway 1997).
/// A new key every 2¹⁴ blocks keeps it at 2⁻¹¹⁵ a block, AES-256 itself taken for a random permutation.
/// </remarks>
public sealed class SecureRandom : IDisposable
{
    private const int BlockLength = 16, BufferBlocks = 1024;
    private const ulong BlocksPerKey = 1UL << 14;

    /// <summary>From uniform bits, for each 16 bytes drawn: 2^−115.</summary>
    internal const double StatisticalDistancePerBlock = 1.0 / (1UL << 58) / (1UL << 57);

    private static readonly Vector128<ulong>[] s_places = [.. Enumerable.Range(0, BufferBlocks).Select(i => Vector128.Create(0UL, BinaryPrimitives.ReverseEndianness((ulong)i)))];

    private readonly Lock _lock = new();
    private byte[]? _knownKey;
    private readonly byte[] _counters = GC.AllocateArray<byte>(BufferBlocks * BlockLength, pinned: true);
    private readonly byte[] _buffer = GC.AllocateArray<byte>(BufferBlocks * BlockLength, pinned: true);
    private ICryptoTransform? _cipher;
    private int _used = BufferBlocks * BlockLength;
    private ulong _block;
    private long _generation;
    private bool _disposed;

    public SecureRandom()
    {
    }

    private SecureRandom(byte[] knownKey) => _knownKey = knownKey;

    /// <summary>The same bits every time. For tests, public randomness and runs that say that they are not private: whoever knows the key knows the noise.</summary>
    /// <param name="key">32 bytes.</param>
    public static SecureRandom WithKnownKey(ReadOnlySpan<byte> key)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(key.Length, 32, nameof(key));
        byte[] kept = GC.AllocateUninitializedArray<byte>(32, pinned: true); // pinned: the collector leaves no copies behind
        key.CopyTo(kept);
        return new(kept);
    }

    /// <exception cref="ObjectDisposedException">The key has been wiped.</exception>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Fill(Span<byte> destination)
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            if (_generation != ForkGuard.Generation) Rekey();
            while (destination.Length > 0)
            {
                if (_used == _buffer.Length) Refill();
                int length = Math.Min(destination.Length, _buffer.Length - _used);
                Span<byte> drawn = _buffer.AsSpan(_used, length);
                drawn.CopyTo(destination);
                drawn.Clear();
                _used += length;
                destination = destination[length..];
            }
        }
    }

    public uint NextUInt32()
    {
        uint value = 0;
        Fill(MemoryMarshal.AsBytes(new Span<uint>(ref value)));
        return value;
    }

    public ulong NextUInt64()
    {
        ulong value = 0;
        Fill(MemoryMarshal.AsBytes(new Span<ulong>(ref value)));
        return value;
    }

    public void Dispose()
    {
        lock (_lock)
        {
            _disposed = true;
            _cipher?.Dispose();
            _cipher = null;
            CryptographicOperations.ZeroMemory(_buffer);
            CryptographicOperations.ZeroMemory(_knownKey);
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Refill()
    {
        if (_cipher == null || _block >= BlocksPerKey) Rekey();
        // Block numbers are multiples of the buffer's length, so what is added to one has bits of its own.
        Vector128<ulong> first = Vector128.Create(0UL, BinaryPrimitives.ReverseEndianness(_block));
        Span<Vector128<ulong>> counters = MemoryMarshal.Cast<byte, Vector128<ulong>>(_counters.AsSpan());
        for (int i = 0; i < counters.Length; i++) counters[i] = first | s_places[i];
        _cipher!.TransformBlock(_counters, 0, _counters.Length, _buffer, 0);
        _block += BufferBlocks;
        _used = 0;
    }

    private void Rekey()
    {
        long generation = ForkGuard.Generation;
        bool forked = _cipher != null && _generation != generation;
        _generation = generation;
        // A known key's stream goes on, in the next counters' range; a forked child starts its own whatever the key was.
        if (_knownKey != null && !forked)
        {
            if (_cipher == null) _cipher = Encryptor(_knownKey);
            return;
        }

        CryptographicOperations.ZeroMemory(_knownKey);
        _knownKey = null;
        byte[] key = GC.AllocateUninitializedArray<byte>(32, pinned: true);
        try
        {
            RandomNumberGenerator.Fill(key);
            ICryptoTransform? former = _cipher;
            _cipher = Encryptor(key);
            former?.Dispose();
        }
        finally
        {
            CryptographicOperations.ZeroMemory(key);
        }

        CryptographicOperations.ZeroMemory(_buffer);
        (_block, _used) = (0, _buffer.Length);
    }

    internal static ICryptoTransform Encryptor(byte[] key)
    {
        using Aes aes = Aes.Create();
        (aes.Mode, aes.Padding, aes.Key) = (CipherMode.ECB, PaddingMode.None, key);
        return aes.CreateEncryptor();
    }
}
