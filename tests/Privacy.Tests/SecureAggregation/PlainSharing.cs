using System.Numerics;
using Federation.Privacy.Homomorphic;

namespace Federation.Privacy.Tests.SecureAggregation;

/// <summary>Shares put together by the book, in big integers: the plain twin of what the product does.</summary>
internal static class PlainSharing
{
    /// <summary>Π_{j ≠ i} j/(j − i) modulo a prime.</summary>
    public static ulong Lagrange(ulong prime, int member, IEnumerable<int> active)
    {
        BigInteger above = 1, below = 1;
        foreach (int other in active.Where(other => other != member)) (above, below) = (above * other, below * (other - member));
        return (ulong)Positive(above * BigInteger.ModPow(Positive(below, prime), prime - 2, prime), prime);
    }

    /// <summary>Σ λ_i·share_i at the point zero, word by word.</summary>
    public static ulong[] Interpolated(RnsRing ring, IReadOnlyDictionary<int, ulong[]> shares)
    {
        ulong[] sum = new ulong[ring.Words];
        foreach ((int member, ulong[] share) in shares)
        {
            for (int i = 0; i < ring.Moduli.Count; i++)
            {
                ulong q = ring.Moduli[i].Value, factor = Lagrange(q, member, shares.Keys);
                for (int j = i * ring.Degree; j < (i + 1) * ring.Degree; j++) sum[j] = Multiplied(sum[j], 1, q, plus: Multiplied(factor, share[j], q));
            }
        }

        return sum;
    }

    /// <summary>a·b + plus modulo q.</summary>
    public static ulong Multiplied(ulong a, ulong b, ulong q, ulong plus = 0) => (ulong)((((UInt128)a * b) + plus) % q);

    /// <summary>Coefficients in (−q/2, q/2].</summary>
    public static BigInteger[] Centred(RnsRing ring, ulong[] element) =>
    [
        .. Enumerable.Range(0, ring.Degree).Select(i =>
        {
            BigInteger value = ring.Compose(element, i);
            return value > ring.Product / 2 ? value - ring.Product : value;
        }),
    ];

    /// <summary>All sets of so many of the numbers 1 … n.</summary>
    public static IEnumerable<int[]> Sets(int n, int size) =>
        Enumerable.Range(0, 1 << n).Where(set => BitOperations.PopCount((uint)set) == size).Select(set => Enumerable.Range(1, n).Where(i => (set >> (i - 1) & 1) != 0).ToArray());

    private static BigInteger Positive(BigInteger value, BigInteger modulus) => ((value % modulus) + modulus) % modulus;
}
