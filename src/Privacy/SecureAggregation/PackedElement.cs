using System.Numerics;
using System.Security.Cryptography;
using Federation.Privacy.Homomorphic;

namespace Federation.Privacy.SecureAggregation;

/// <summary>A ring element as bytes: each word in as many bits as its prime has, prime after prime, the lowest bit of a byte first. One form for each element.</summary>
internal static class PackedElement
{
    public static int Length(RnsRing ring) => ring.Moduli.Sum(q => q.Bits) * (ring.Degree / 8);

    public static byte[] Pack(RnsRing ring, ReadOnlySpan<ulong> element)
    {
        byte[] bytes = new byte[Length(ring)];
        Pack(ring, element, bytes);
        return bytes;
    }

    public static void Pack(RnsRing ring, ReadOnlySpan<ulong> element, Span<byte> bytes)
    {
        int at = 0;
        for (int i = 0; i < ring.Moduli.Count; i++)
        {
            int bits = ring.Moduli[i].Bits, held = 0;
            UInt128 rest = 0;
            foreach (ulong word in element.Slice(i * ring.Degree, ring.Degree))
            {
                rest |= (UInt128)word << held;
                for (held += bits; held >= 8; held -= 8, rest >>= 8) bytes[at++] = (byte)(rest & 0xff);
            }
        }
    }

    /// <exception cref="FormatException">The length is another, or a word is not below its prime.</exception>
    public static void Unpack(RnsRing ring, ReadOnlySpan<byte> bytes, Span<ulong> element)
    {
        Check(ring, bytes);
        int at = 0;
        for (int i = 0; i < ring.Moduli.Count; i++)
        {
            int bits = ring.Moduli[i].Bits, held = 0;
            ulong mask = (1UL << bits) - 1;
            UInt128 rest = 0;
            foreach (ref ulong word in element.Slice(i * ring.Degree, ring.Degree))
            {
                for (; held < bits; held += 8) rest |= (UInt128)bytes[at++] << held;
                word = unchecked((ulong)rest) & mask;
                rest >>= bits;
                held -= bits;
            }
        }

        if (!ring.IsCanonical(element)) throw new FormatException("A word of a packed ring element is not below its prime.");
    }

    public static ulong[] Unpack(RnsRing ring, ReadOnlySpan<byte> bytes)
    {
        Check(ring, bytes);
        ulong[] element = new ulong[ring.Words];
        Unpack(ring, bytes, element);
        return element;
    }

    /// <summary>Before memory for the element is taken.</summary>
    /// <exception cref="FormatException">The length is another.</exception>
    public static void Check(RnsRing ring, ReadOnlySpan<byte> bytes)
    {
        if (bytes.Length != Length(ring)) throw new FormatException($"A packed ring element has {Length(ring)} bytes, not {bytes.Length}.");
    }

    /// <summary>SHA-256 of the packed element.</summary>
    public static byte[] Hash(RnsRing ring, ReadOnlySpan<ulong> element) => SHA256.HashData(Pack(ring, element));
}
