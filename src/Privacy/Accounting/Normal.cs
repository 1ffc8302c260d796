using MathNet.Numerics;
using System.Runtime.CompilerServices;

namespace Federation.Privacy.Accounting;

/// <summary>The standard normal distribution, with small relative errors far into the tails, where probabilities are kept as logarithms.</summary>
internal static class Normal
{
    public const double LogRootTwoPi = 0.91893853320467274178;

    /// <summary>ln Pr[Z &gt; x].</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static double LogTail(double x)
    {
        if (x < -1) return Precise.Log1P(-Math.Exp(LogTail(-x)));
        if (x < 5) return Math.Log(0.5 * SpecialFunctions.Erfc(x / Math.Sqrt(2)));
        if (double.IsPositiveInfinity(x)) return double.NegativeInfinity;
        return (-0.5 * x * x) - LogRootTwoPi + Math.Log(Mills(x));
    }

    /// <summary>Mills' ratio, Pr[Z &gt; x]/φ(x).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static double Mills(double x)
    {
        if (x < 5) return Math.Exp(LogTail(x) + (0.5 * x * x) + LogRootTwoPi);
        // Laplace's continued fraction, from the inside out: 1/(x + 1/(x + 2/(x + 3/(x + …)))). The further out, the fewer terms: 80 at 5, 26 at 10, 10 from 27 on.
        double fraction = x;
        for (int k = 8 + (int)(1800 / (x * x)); k >= 1; k--) fraction = x + (k / fraction);
        return 1 / fraction;
    }

    /// <summary>ln Pr[|Z − middle| &lt; width/2], width ≥ 0. Two stretches of one width keep their ratio to the last digits, however narrow they are.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static double LogMass(double middle, double width)
    {
        if (width < 0.02 && Math.Abs(middle) * width < 0.05)
        {
            // φ(m)·w·(1 + (m²−1)w²/24 + (m⁴−6m²+3)w⁴/1920 + …): the density's Taylor series, integrated.
            double m2 = middle * middle, w2 = width * width;
            return (-0.5 * m2) - LogRootTwoPi + Math.Log(width) + Precise.Log1P(((m2 - 1) * w2 / 24) + (((m2 * m2) - (6 * m2) + 3) * w2 * w2 / 1920));
        }

        double low = middle - (width / 2), high = middle + (width / 2);
        if (low >= 0) return Difference(LogTail(low), LogTail(high));
        if (high <= 0) return Difference(LogTail(-high), LogTail(-low));
        return Precise.Log1P(-Math.Exp(LogTail(high)) - Math.Exp(LogTail(-low)));
    }

    /// <summary>ln(e^larger − e^smaller).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static double Difference(double larger, double smaller)
    {
        if (double.IsNegativeInfinity(smaller)) return larger;
        return larger + Math.Log(-Precise.Expm1(smaller - larger));
    }
}
