using System.Buffers.Binary;
using System.Numerics;
using System.Security.Cryptography;

namespace Federation.Privacy.Homomorphic;

/// <summary>BLAKE2b of one message that is already whole in memory, with or without a key.</summary>
/// <remarks>RFC 7693.</remarks>
internal static class Blake2b
{
    public const int BlockBytes = 128, LargestDigest = 64, LargestKey = 64;

    private const int Rounds = 12;

    private static readonly ulong[] s_start =
    [
        0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
        0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
    ];

    private static readonly byte[] s_order =
    [
        0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15,
        14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3,
        11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4,
        7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8,
        9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13,
        2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9,
        12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11,
        13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10,
        6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5,
        10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0,
    ];

    /// <param name="digest">1 to 64 bytes, overwritten.</param>
    /// <param name="key">At most 64 bytes; none: empty.</param>
    /// <exception cref="ArgumentException">A length is out of range.</exception>
    public static void Hash(ReadOnlySpan<byte> message, Span<byte> digest, ReadOnlySpan<byte> key = default)
    {
        Span<byte> parameters = stackalloc byte[64];
        parameters.Clear();
        parameters[2] = parameters[3] = 1; // fan-out, depth: sequential
        Hash(message, digest, key, parameters);
    }

    /// <summary>With a parameter block of the caller's, whose digest and key lengths are set here.</summary>
    internal static void Hash(ReadOnlySpan<byte> message, Span<byte> digest, ReadOnlySpan<byte> key, Span<byte> parameters)
    {
        if (digest.Length is 0 or > LargestDigest) throw new ArgumentException($"A digest has 1 to {LargestDigest} bytes, not {digest.Length}.", nameof(digest));
        if (key.Length > LargestKey) throw new ArgumentException($"A key has at most {LargestKey} bytes, not {key.Length}.", nameof(key));
        parameters[0] = (byte)digest.Length;
        parameters[1] = (byte)key.Length;
        Span<ulong> state = stackalloc ulong[8];
        for (int i = 0; i < state.Length; i++) state[i] = s_start[i] ^ BinaryPrimitives.ReadUInt64LittleEndian(parameters[(8 * i)..]);
        Span<byte> block = stackalloc byte[BlockBytes];
        ulong count = 0;
        if (key.Length > 0)
        {
            block.Clear();
            key.CopyTo(block);
            count = BlockBytes;
            Compress(state, block, count, last: message.IsEmpty);
        }

        for (; message.Length > BlockBytes; message = message[BlockBytes..]) Compress(state, message[..BlockBytes], count += BlockBytes, last: false);
        if (!message.IsEmpty || key.IsEmpty)
        {
            block.Clear();
            message.CopyTo(block);
            Compress(state, block, count + (ulong)message.Length, last: true);
        }

        for (int i = 0; i < state.Length; i++) BinaryPrimitives.WriteUInt64LittleEndian(block[(8 * i)..], state[i]);
        block[..digest.Length].CopyTo(digest);
        CryptographicOperations.ZeroMemory(block);
        state.Clear();
    }

    private static void Compress(Span<ulong> state, ReadOnlySpan<byte> block, ulong count, bool last)
    {
        Span<ulong> m = stackalloc ulong[16], v = stackalloc ulong[16];
        for (int i = 0; i < m.Length; i++) m[i] = BinaryPrimitives.ReadUInt64LittleEndian(block[(8 * i)..]);
        state.CopyTo(v);
        s_start.CopyTo(v[8..]);
        v[12] ^= count;
        if (last) v[14] = ~v[14];
        for (int round = 0; round < Rounds; round++)
        {
            ReadOnlySpan<byte> order = s_order.AsSpan(16 * (round % 10), 16);
            for (int i = 0; i < 4; i++) Mix(ref v[i], ref v[4 + i], ref v[8 + i], ref v[12 + i], m[order[2 * i]], m[order[(2 * i) + 1]]);
            for (int i = 0; i < 4; i++) Mix(ref v[i], ref v[4 + ((i + 1) & 3)], ref v[8 + ((i + 2) & 3)], ref v[12 + ((i + 3) & 3)], m[order[8 + (2 * i)]], m[order[9 + (2 * i)]]);
        }

        for (int i = 0; i < state.Length; i++) state[i] ^= v[i] ^ v[8 + i];
    }

    private static void Mix(ref ulong a, ref ulong b, ref ulong c, ref ulong d, ulong x, ulong y)
    {
        unchecked
        {
            a += b + x;
            d = BitOperations.RotateRight(d ^ a, 32);
            c += d;
            b = BitOperations.RotateRight(b ^ c, 24);
            a += b + y;
            d = BitOperations.RotateRight(d ^ a, 16);
            c += d;
            b = BitOperations.RotateRight(b ^ c, 63);
        }
    }
}
