using System.Numerics;

namespace Federation.Privacy.Mechanisms;

/// <summary>Discrete Laplace and discrete Gaussian noise, exactly: integers only, no statistical distance. The plain twin of <see cref="DiscreteGaussianSampler"/>.</summary>
/// <remarks>Canonne, Kamath, Steinke 2020, Algorithms 1 to 3. Running time depends on the values drawn.</remarks>
public sealed class ExactSampler(SecureRandom random)
{
    /// <summary>Pr[x] = (e^(1/b) − 1)/(e^(1/b) + 1)·e^(−|x|/b), b = numerator/denominator.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A part of the scale is not positive.</exception>
    public BigInteger DiscreteLaplace(BigInteger numerator, BigInteger denominator)
    {
        if (numerator.Sign <= 0) throw new ArgumentOutOfRangeException(nameof(numerator), numerator, "A scale must be positive.");
        if (denominator.Sign <= 0) throw new ArgumentOutOfRangeException(nameof(denominator), denominator, "A scale must be positive.");
        // Algorithm 2: with t = numerator and s = denominator, X = U + t·V has Pr[X] ∝ e^(−X/t).
        while (true)
        {
            BigInteger u = Below(numerator);
            if (!BernoulliExp(u, numerator)) continue;
            BigInteger v = 0;
            while (BernoulliExp(1, 1)) v++;
            BigInteger magnitude = (u + (numerator * v)) / denominator;
            bool negative = Below(2).IsOne;
            if (negative && magnitude.IsZero) continue;
            return negative ? -magnitude : magnitude;
        }
    }

    /// <summary>Pr[x] ∝ e^(−x²/(2σ²)) on the integers.</summary>
    /// <param name="variance">σ², in (0, ∞): the exact value of the double.</param>
    /// <exception cref="ArgumentOutOfRangeException">The variance is out of range or NaN.</exception>
    public BigInteger DiscreteGaussian(double variance)
    {
        if (variance is not (> 0 and < double.PositiveInfinity)) throw new ArgumentOutOfRangeException(nameof(variance), variance, "A variance must be in (0, ∞).");
        (BigInteger numerator, BigInteger denominator) = Fraction(variance);
        return DiscreteGaussian(numerator, denominator);
    }

    /// <summary>Pr[x] ∝ e^(−x²/(2σ²)) on the integers, σ² = numerator/denominator.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A part of the variance is not positive.</exception>
    public BigInteger DiscreteGaussian(BigInteger numerator, BigInteger denominator)
    {
        if (numerator.Sign <= 0) throw new ArgumentOutOfRangeException(nameof(numerator), numerator, "A variance must be positive.");
        if (denominator.Sign <= 0) throw new ArgumentOutOfRangeException(nameof(denominator), denominator, "A variance must be positive.");
        // Algorithm 3: t = ⌊σ⌋ + 1; accept Y from the discrete Laplace of scale t with probability e^(−(|Y| − σ²/t)²/(2σ²)).
        BigInteger t = SquareRoot(numerator / denominator) + 1;
        while (true)
        {
            BigInteger y = DiscreteLaplace(t, 1);
            BigInteger distance = (BigInteger.Abs(y) * t * denominator) - numerator; // (|Y| − σ²/t)·t·denominator
            if (BernoulliExp(distance * distance, 2 * numerator * t * t * denominator)) return y;
        }
    }

    /// <summary>True with probability e^(−numerator/denominator).</summary>
    internal bool BernoulliExp(BigInteger numerator, BigInteger denominator)
    {
        // Algorithm 1
        for (; numerator > denominator; numerator -= denominator)
        {
            if (!BernoulliExpBelowOne(1, 1)) return false;
        }

        return BernoulliExpBelowOne(numerator, denominator);
    }

    private bool BernoulliExpBelowOne(BigInteger numerator, BigInteger denominator)
    {
        BigInteger k = 1;
        while (Below(denominator * k) < numerator) k++;
        return !k.IsEven;
    }

    /// <summary>Uniform in [0, bound).</summary>
    internal BigInteger Below(BigInteger bound)
    {
        int bits = (int)(bound - 1).GetBitLength();
        if (bits <= 64)
        {
            ulong last = (ulong)(bound - 1), mask = bits == 0 ? 0 : ulong.MaxValue >> (64 - bits);
            while (true)
            {
                ulong drawn = random.NextUInt64() & mask;
                if (drawn <= last) return drawn;
            }
        }

        byte[] bytes = new byte[(bits + 7) / 8];
        while (true)
        {
            random.Fill(bytes);
            bytes[^1] &= (byte)(0xFF >> ((8 - (bits % 8)) % 8));
            BigInteger drawn = new(bytes, isUnsigned: true);
            if (drawn < bound) return drawn;
        }
    }

    /// <summary>A double as the fraction that it is.</summary>
    internal static (BigInteger Numerator, BigInteger Denominator) Fraction(double value)
    {
        long bits = BitConverter.DoubleToInt64Bits(value);
        int exponent = (int)((bits >> 52) & 0x7FF);
        long mantissa = bits & 0xF_FFFF_FFFF_FFFF;
        if (exponent == 0) exponent++;
        else mantissa |= 1L << 52;
        exponent -= 1075;
        return exponent >= 0 ? (new BigInteger(mantissa) << exponent, BigInteger.One) : (mantissa, BigInteger.One << -exponent);
    }

    private static BigInteger SquareRoot(BigInteger value)
    {
        if (value.IsZero) return 0;
        BigInteger root = BigInteger.One << (int)((value.GetBitLength() + 1) / 2);
        while (true)
        {
            BigInteger next = (root + (value / root)) >> 1;
            if (next >= root) return root;
            root = next;
        }
    }
}
