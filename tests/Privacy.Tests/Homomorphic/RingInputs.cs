using System.Numerics;
using System.Security.Cryptography;
using Federation.Privacy.Homomorphic;

namespace Federation.Privacy.Tests.Homomorphic;

internal static class RingInputs
{
    /// <summary>1 more than a multiple of 2·degree, the largest of so many bits, leaving out some.</summary>
    public static ulong Prime(int bits, int degree, int leaveOut = 0)
    {
        ulong step = 2 * (ulong)degree, candidate = (1UL << bits) - step + 1;
        for (; ; candidate -= step)
        {
            if (new Modulus(candidate).IsPrime() && leaveOut-- == 0) return candidate;
        }
    }

    /// <summary>One prime to nine, 20 to 60 bits: below and above what the vectors take.</summary>
    public static IEnumerable<RnsRing> Rings(int degree)
    {
        int[][] chains = [[20], [49], [60], [30, 31], [50, 50], [60, 60, 60], [43, 43, 44, 44, 44], [60, 20, 50, 59, 51], [44, 44, 44, 45, 45, 45, 45, 45, 45]];
        return chains.Select(bits => new RnsRing(degree, [.. bits.Select((b, i) => Prime(b, degree, bits.Take(i).Count(other => other == b)))]));
    }

    public static ulong[] Element(RnsRing ring, Func<int, BigInteger> coefficient)
    {
        ulong[] element = new ulong[ring.Words];
        for (int j = 0; j < ring.Degree; j++)
        {
            ulong[] residues = ring.Residues(coefficient(j));
            for (int i = 0; i < residues.Length; i++) element[(i * ring.Degree) + j] = residues[i];
        }

        return element;
    }

    public static BigInteger[] Composed(RnsRing ring, ReadOnlySpan<ulong> element)
    {
        BigInteger[] values = new BigInteger[ring.Degree];
        for (int j = 0; j < values.Length; j++) values[j] = ring.Compose(element, j);
        return values;
    }

    /// <summary>The edges first, then anything in [0, bound).</summary>
    public static BigInteger Value(int place, BigInteger bound) => place switch
    {
        0 => 0,
        1 => bound - 1,
        2 => 1 % bound,
        3 => bound / 2,
        4 => (bound / 2) + 1 < bound ? (bound / 2) + 1 : 0,
        _ => Random(bound),
    };

    public static BigInteger Random(BigInteger bound) => new BigInteger(RandomNumberGenerator.GetBytes(bound.GetByteCount() + 8), isUnsigned: true) % bound;
}
