using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using Federation.Privacy.Canonical;
using Federation.Privacy.Mechanisms;

namespace Federation.Privacy.SecureAggregation;

/// <summary>
/// Expand: the public polynomial a_j of each block of one opening, values at the roots. AES-128 in counter mode under the first 16 bytes of the seed, stream j; 8-byte words, little-endian, masked to 46 bits.
/// A word that is not below q is replaced by the next one after the first 2048 that is; the places in rising order.
/// </summary>
internal sealed class PadExpansion(ReadOnlySpan<byte> seed) : IDisposable
{
    public const int SeedBytes = 32;

    private const ulong Mask = (1UL << PadRing.Bits) - 1;

    private readonly CounterMode _stream = new(seed[..16]);

    /// <param name="block">j.</param>
    /// <param name="words">N residues, overwritten.</param>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void Fill(ulong block, Span<ulong> words)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(words.Length, PadRing.Degree, nameof(words));
        _stream.Fill(block, 0, MemoryMarshal.AsBytes(words));
        Vector<ulong> mask = new(Mask), largest = Vector<ulong>.Zero;
        foreach (ref Vector<ulong> vector in MemoryMarshal.Cast<ulong, Vector<ulong>>(words))
        {
            vector &= mask;
            largest = Vector.Max(largest, vector);
        }

        if (Vector.GreaterThanOrEqualAny(largest, new Vector<ulong>(PadRing.Modulus))) Replace(block, words);
    }

    private void Replace(ulong block, Span<ulong> words)
    {
        Span<ulong> spare = stackalloc ulong[2];
        int next = PadRing.Degree;
        foreach (ref ulong word in words)
        {
            for (; word >= PadRing.Modulus; next++)
            {
                _stream.Fill(block, (ulong)next / 2, MemoryMarshal.AsBytes(spare));
                word = spare[next % 2] & Mask;
            }
        }
    }

    public void Dispose() => _stream.Dispose();
}
