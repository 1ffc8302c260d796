using Federation.Privacy.Accounting;

namespace Federation.Privacy.Tests.Mechanisms;

/// <summary>Goodness of fit to a discrete Gaussian: chi-square over the body, exact counts beyond 3σ and 4σ.</summary>
internal static class Fit
{
    private const int Bins = 60;
    private const double Deviations = 6; // false alarms: about 1e-8 a test at the thresholds below

    public static string? Complaint(ReadOnlySpan<long> values, double variance)
    {
        double sigma = Math.Sqrt(variance);
        long width = Math.Max(1, (long)(6 * sigma / Bins)), reach = (long)(3 * sigma / width * width) + width;
        long[] edges = [.. Enumerable.Range(0, (int)(2 * reach / width) + 1).Select(i => -reach + (i * width))];
        long[] counts = new long[edges.Length + 1];
        long beyond3 = 0, beyond4 = 0;
        foreach (long value in values)
        {
            counts[value < -reach ? 0 : Math.Min((int)Math.Min((value + reach) / width, counts.Length) + 1, counts.Length - 1)]++;
            if (Math.Abs(value) > 3 * sigma) beyond3++;
            if (Math.Abs(value) > 4 * sigma) beyond4++;
        }

        double square = 0, degrees = -1;
        for (int bin = 1; bin < edges.Length; bin++)
        {
            double expected = values.Length * Mass(variance, edges[bin - 1], edges[bin]);
            if (expected < 10) continue;
            square += (counts[bin] - expected) * (counts[bin] - expected) / expected;
            degrees++;
        }

        // Wilson and Hilferty: (χ²/k)^(1/3) is nearly normal.
        double deviation = (Math.Cbrt(square / degrees) - (1 - (2 / (9 * degrees)))) / Math.Sqrt(2 / (9 * degrees));
        if (deviation > Deviations) return $"χ² = {square:F1} with {degrees} degrees of freedom, {deviation:F1} deviations too high";
        return Tail(values.Length, beyond3, variance, 3) ?? Tail(values.Length, beyond4, variance, 4);
    }

    private static string? Tail(int count, long beyond, double variance, double deviations)
    {
        double sigma = Math.Sqrt(variance);
        double probability = 1 - Mass(variance, (long)Math.Ceiling(-deviations * sigma), (long)Math.Floor(deviations * sigma) + 1);
        if (sigma > 20) probability = 2 * Mass(variance, (long)Math.Floor(deviations * sigma) + 1, (long)(12 * sigma)); // no cancellation
        double expected = count * probability, error = Math.Max(1, Math.Sqrt(expected));
        return Math.Abs(beyond - expected) > Deviations * error ? $"{beyond} values beyond {deviations}σ, {expected:F1} expected" : null;
    }

    /// <summary>Of low ≤ x &lt; high.</summary>
    private static double Mass(double variance, long low, long high)
    {
        if (high - low > 2_000_000) // wide: the integral, by the midpoint rule's own error far below what counts can show
        {
            const int Parts = 20_000;
            double part = (double)(high - low) / Parts, sum = 0;
            for (int i = 0; i < Parts; i++) sum += Density(variance, low - 0.5 + ((i + 0.5) * part));
            return sum * part;
        }

        double mass = 0;
        for (long x = low; x < high; x++) mass += DiscreteGaussian.Probability(variance, x);
        return mass;
    }

    private static double Density(double variance, double x) => Math.Exp(-x * x / (2 * variance)) / Math.Sqrt(2 * Math.PI * variance);
}
