namespace Federation.Privacy.Accounting;

/// <summary>Sums over the discrete Gaussian, Pr[x] ∝ e^(−x²/(2σ²)) on the integers.</summary>
public static class DiscreteGaussian
{
    // Poisson summation: from σ² = 9 on, the sum over the integers, wherever its centre, equals the integral within 2e^(−2π²σ²) < 1e-77.
    private const double EqualsContinuous = 9;

    /// <param name="variance">The parameter σ², positive; the variance itself is smaller for small σ².</param>
    /// <returns>Pr[value].</returns>
    public static double Probability(double variance, long value) => Math.Exp(-(double)value * value / (2 * variance)) / Normalizer(variance);

    /// <summary>E[x²], for the parameter σ².</summary>
    public static double Variance(double variance)
    {
        if (variance >= EqualsContinuous) return variance;
        double sum = 0;
        for (int x = 1; x <= 60 * Math.Sqrt(EqualsContinuous); x++) sum += 2.0 * x * x * Math.Exp(-(double)x * x / (2 * variance));
        return sum / Normalizer(variance);
    }

    internal static double Normalizer(double variance) => Sum(variance, 0);

    /// <summary>Σ_x e^(−(x−c)²/(2σ²)).</summary>
    internal static double Sum(double variance, double centre)
    {
        if (variance >= EqualsContinuous) return Math.Sqrt(2 * Math.PI * variance);
        double fraction = centre - Math.Round(centre), sum = 0;
        for (int x = -180; x <= 180; x++) sum += Math.Exp(-(x - fraction) * (x - fraction) / (2 * variance));
        return sum;
    }
}
