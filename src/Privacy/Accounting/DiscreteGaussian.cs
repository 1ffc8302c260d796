namespace Federation.Privacy.Accounting;

/// <summary>Sums over the discrete Gaussian, Pr[x] ∝ e^(−x²/(2σ²)) on the integers.</summary>
public static class DiscreteGaussian
{
    // Poisson summation: from σ² = 9 on, the sum over the integers, wherever its centre, equals the integral within 2e^(−2π²σ²) < 1e-77.
    private const double EqualsContinuous = 9;

    /// <summary>
    /// A discrete Gaussian of variance σ² around an integer is, within <see cref="RoundingDistance"/> = 2⁻¹¹¹ a coordinate, a continuous one of variance σ² less this, followed by a discrete Gaussian of this variance around its outcome:
    /// post-processing. So it costs no more than that continuous one.
    /// </summary>
    internal const double RoundingVariance = 4, RoundingDistance = 1.0 / (1UL << 56) / (1UL << 55);

    /// <param name="variance">The parameter σ², positive; the variance itself is smaller for small σ².</param>
    /// <returns>Pr[value].</returns>
    /// <exception cref="ArgumentOutOfRangeException">The parameter is not positive and finite.</exception>
    public static double Probability(double variance, long value)
    {
        Check(variance);
        return Math.Exp((-(double)value * value / (2 * variance)) - LogSum(variance, 0));
    }

    /// <summary>E[x²], for the parameter σ².</summary>
    /// <exception cref="ArgumentOutOfRangeException">The parameter is not positive and finite.</exception>
    public static double Variance(double variance)
    {
        Check(variance);
        if (variance >= EqualsContinuous) return variance;
        double sum = 0;
        for (int x = 1; x <= 60 * Math.Sqrt(EqualsContinuous); x++) sum += 2.0 * x * x * Math.Exp(-(double)x * x / (2 * variance));
        return sum / Math.Exp(LogSum(variance, 0));
    }

    /// <summary>ln Σ_x e^(−(x−c)²/(2σ²)).</summary>
    internal static double LogSum(double variance, double centre)
    {
        if (variance >= EqualsContinuous) return 0.5 * Math.Log(2 * Math.PI * variance);
        // Relative to the largest term, the integer next to the centre.
        double fraction = centre - Math.Round(centre), sum = 0;
        for (int x = -180; x <= 180; x++) sum += Math.Exp(-x * (x - (2 * fraction)) / (2 * variance));
        return Math.Log(sum) - (fraction * fraction / (2 * variance));
    }

    private static void Check(double variance)
    {
        if (variance is not (> 0 and < double.PositiveInfinity)) throw new ArgumentOutOfRangeException(nameof(variance), variance, "A variance must be in (0, ∞).");
    }
}
