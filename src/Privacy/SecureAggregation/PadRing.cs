using Federation.Privacy.Homomorphic;

namespace Federation.Privacy.SecureAggregation;

/// <summary>The ring of the bulk: N = 2048, q = 2⁴⁶ − 110591. A block of 2048 coefficients is encrypted as a·s + e + 2^(46−p)·m, and travels as 46 bits a coefficient.</summary>
public static class PadRing
{
    /// <summary>N.</summary>
    public const int Degree = 2048;

    /// <summary>q, a prime, 1 modulo 2N.</summary>
    public const ulong Modulus = 70368744067073;

    /// <summary>⌈log₂ q⌉.</summary>
    public const int Bits = 46;

    /// <summary>Of one block, packed: 46 bits a coefficient, the first coefficient in the lowest bits of the first bytes.</summary>
    public const int BlockBytes = Degree * Bits / 8;

    /// <summary>σ of pad secrets and errors; discrete Gaussians.</summary>
    public const double Sigma = 6.1;

    /// <summary>Σc is kept modulo 2⁶⁴: so many contributions fit.</summary>
    public const int MostContributions = 1 << 18;

    internal static NegacyclicTransform Transform { get; } = new(Degree, new Modulus(Modulus));

    /// <summary>p: the bits of a coefficient's message, the largest with 2^(45−p) ≥ 8·σ·√cohort, so that any error among 12.5 million coefficients has probability below 2·10⁻⁸.</summary>
    /// <exception cref="ArgumentOutOfRangeException">The cohort is not 1 to 262144 sites.</exception>
    public static int PlaintextBits(int cohort)
    {
        if (cohort is < 1 or > MostContributions) throw new ArgumentOutOfRangeException(nameof(cohort), cohort, $"A cohort has 1 to {MostContributions} sites.");
        return Bits - 1 - NoiseBits(cohort);
    }

    /// <summary>45 − p for any positive number of sites, in whole numbers: the least b with 4^b ≥ 48.8²·cohort.</summary>
    internal static int NoiseBits(int cohort)
    {
        int bits = 0;
        while (100L << (2 * bits) < 238144L * cohort) bits++; // both sides times 100: 48.8² = 2381.44
        return bits;
    }

    /// <summary>⌊q/2^(46−p)⌋ − 1: no sum of messages may be larger.</summary>
    /// <exception cref="ArgumentOutOfRangeException">p is not 1 to 45.</exception>
    public static ulong LargestSum(int plaintextBits) =>
        plaintextBits is >= 1 and < Bits ? (Modulus >> (Bits - plaintextBits)) - 1 : throw new ArgumentOutOfRangeException(nameof(plaintextBits), plaintextBits, $"A coefficient's message has 1 to {Bits - 1} bits.");
}
