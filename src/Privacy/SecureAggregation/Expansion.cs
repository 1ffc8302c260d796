using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Federation.Privacy.Homomorphic;
using Federation.Privacy.Mechanisms;

namespace Federation.Privacy.SecureAggregation;

/// <summary>
/// Expand: public uniform polynomials from a seed, values at the roots. AES-128 in counter mode under the first 16 bytes of the seed, a stream for each polynomial; 8-byte words, little-endian, masked to the modulus' bits.
/// A word that is not below q is replaced by the next one after the first N that is; the places in rising order.
/// </summary>
internal sealed class Expansion(ReadOnlySpan<byte> seed) : IDisposable
{
    public const int SeedBytes = 32;

    private readonly CounterMode _cipher = new(seed[..16]);

    /// <param name="stream">Which polynomial.</param>
    /// <param name="q">The modulus.</param>
    /// <param name="words">N residues, overwritten; N is a multiple of 8.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Fill(ulong stream, ulong q, Span<ulong> words)
    {
        _cipher.Fill(stream, 0, MemoryMarshal.AsBytes(words));
        Vector<ulong> mask = new(Mask(q)), largest = Vector<ulong>.Zero;
        foreach (ref Vector<ulong> vector in MemoryMarshal.Cast<ulong, Vector<ulong>>(words))
        {
            vector &= mask;
            largest = Vector.Max(largest, vector);
        }

        if (Vector.GreaterThanOrEqualAny(largest, new Vector<ulong>(q))) Replace(stream, q, words);
    }

    /// <summary>An element of the ring: stream i for prime i.</summary>
    public static ulong[] Element(ReadOnlySpan<byte> seed, RnsRing ring)
    {
        using Expansion expansion = new(seed);
        ulong[] element = new ulong[ring.Words];
        for (int i = 0; i < ring.Moduli.Count; i++) expansion.Fill((ulong)i, ring.Moduli[i].Value, element.AsSpan(i * ring.Degree, ring.Degree));
        return element;
    }

    private static ulong Mask(ulong q) => ulong.MaxValue >> BitOperations.LeadingZeroCount(q);

    private void Replace(ulong stream, ulong q, Span<ulong> words)
    {
        Span<ulong> spare = stackalloc ulong[2];
        int next = words.Length;
        foreach (ref ulong word in words)
        {
            for (; word >= q; next++)
            {
                _cipher.Fill(stream, (ulong)next / 2, MemoryMarshal.AsBytes(spare));
                word = spare[next % 2] & Mask(q);
            }
        }
    }

    public void Dispose() => _cipher.Dispose();
}
