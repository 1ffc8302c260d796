using System.Buffers.Binary;
using System.Runtime.InteropServices;
using System.Security.Cryptography;

namespace Federation.Privacy.Homomorphic;

/// <summary>SEAL's names of its generators, as files have them.</summary>
internal enum SealGeneratorKind : byte
{
    Blake2Xb = 1,
    Shake256 = 2,
}

/// <summary>The bytes that SEAL draws from a seed: blocks of 4096, each of the seed and its number. What comes of it is public: the second half of ciphertexts and keys.</summary>
internal sealed class SealGenerator
{
    public const int SeedBytes = 64, BlockBytes = 4096;

    private readonly SealGeneratorKind _kind;
    private readonly byte[] _seed;
    private readonly byte[] _block = new byte[BlockBytes];
    private int _used = BlockBytes;
    private ulong _count;

    /// <exception cref="PlatformNotSupportedException">SHAKE256 is asked for, and this system's library lacks it.</exception>
    public SealGenerator(SealGeneratorKind kind, ReadOnlySpan<byte> seed)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(seed.Length, SeedBytes, nameof(seed));
        if (kind == SealGeneratorKind.Shake256 && !Shake256.IsSupported) throw new PlatformNotSupportedException("This system's cryptographic library has no SHAKE256.");
        (_kind, _seed) = (kind, seed.ToArray());
    }

    /// <summary>The next bytes.</summary>
    public void Fill(Span<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            if (_used == BlockBytes) Refill();
            int length = Math.Min(bytes.Length, BlockBytes - _used);
            _block.AsSpan(_used, length).CopyTo(bytes);
            _used += length;
            bytes = bytes[length..];
        }
    }

    /// <summary>A uniform element of the ring as SEAL 3.6 and later samples it: all words first, then, in order, new draws for those that would make it uneven.</summary>
    public void Uniform(RnsRing ring, Span<ulong> element)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(element.Length, ring.Words, nameof(element));
        Fill(MemoryMarshal.AsBytes(element));
        if (!BitConverter.IsLittleEndian) BinaryPrimitives.ReverseEndianness(element, element);
        Span<byte> again = stackalloc byte[sizeof(ulong)];
        for (int i = 0; i < ring.Moduli.Count; i++)
        {
            Modulus q = ring.Moduli[i];
            ulong end = ulong.MaxValue - (ulong.MaxValue % q.Value) - 1;
            foreach (ref ulong word in element.Slice(i * ring.Degree, ring.Degree))
            {
                while (word >= end)
                {
                    Fill(again);
                    word = BinaryPrimitives.ReadUInt64LittleEndian(again);
                }

                word = q.Reduce(word);
            }
        }
    }

    private void Refill()
    {
        Span<byte> input = stackalloc byte[SeedBytes + sizeof(ulong)];
        _seed.CopyTo(input);
        BinaryPrimitives.WriteUInt64LittleEndian(input[SeedBytes..], _count++);
        if (_kind == SealGeneratorKind.Blake2Xb) Blake2Xb.Expand(input[SeedBytes..], _block, _seed);
        else Shake256.HashData(input, _block);
        _used = 0;
    }
}
