using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Security.Cryptography;
using Federation.Privacy.Mechanisms;

namespace Federation.Privacy.Homomorphic;

/// <summary>Secret and public polynomials of BFV. No branch and no index depends on a value that is kept.</summary>
internal static class RingSampler
{
    /// <summary>Half the bits of one error.</summary>
    public const int BinomialBits = 21;

    private const int Chunk = 512;

    /// <summary>Uniform in {−1, 0, 1}, within 2⁻⁶³ each.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Ternary(SecureRandom random, Span<int> values)
    {
        Span<ulong> bits = stackalloc ulong[Chunk];
        for (int start = 0; start < values.Length; start += Chunk)
        {
            Span<int> part = values[start..Math.Min(values.Length, start + Chunk)];
            random.Fill(MemoryMarshal.AsBytes(bits[..part.Length]));
            for (int i = 0; i < part.Length; i++) part[i] = unchecked((int)Math.BigMul(bits[i], 3UL, out _) - 1);
        }

        CryptographicOperations.ZeroMemory(MemoryMarshal.AsBytes(bits));
    }

    /// <summary>Centred binomial: the difference of two sums of 21 bits, σ² = 10.5, as SEAL draws its errors.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Binomial(SecureRandom random, Span<int> values)
    {
        const ulong Mask = (1UL << BinomialBits) - 1;
        Span<ulong> bits = stackalloc ulong[Chunk];
        for (int start = 0; start < values.Length; start += Chunk)
        {
            Span<int> part = values[start..Math.Min(values.Length, start + Chunk)];
            random.Fill(MemoryMarshal.AsBytes(bits[..part.Length]));
            for (int i = 0; i < part.Length; i++) part[i] = unchecked(BitOperations.PopCount(bits[i] & Mask) - BitOperations.PopCount((bits[i] >> BinomialBits) & Mask));
        }

        CryptographicOperations.ZeroMemory(MemoryMarshal.AsBytes(bits));
    }

    /// <summary>Uniform in the ring: words masked to the prime's bits, drawn again where they are not below it. How often that happens says nothing of what is kept.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Uniform(SecureRandom random, RnsRing ring, Span<ulong> element)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(element.Length, ring.Words, nameof(element));
        random.Fill(MemoryMarshal.AsBytes(element));
        for (int i = 0; i < ring.Moduli.Count; i++)
        {
            ulong q = ring.Moduli[i].Value, mask = ulong.MaxValue >> BitOperations.LeadingZeroCount(q);
            foreach (ref ulong value in element.Slice(i * ring.Degree, ring.Degree))
            {
                value &= mask;
                while (value >= q) value = random.NextUInt64() & mask;
            }
        }
    }
}
