using Federation.Privacy.Accounting;

namespace Federation.Privacy.Tests.Mechanisms;

/// <summary>Goodness of fit to a discrete Gaussian: chi-square over the body, exact counts beyond 3σ, 4σ and 4.5σ on each side, none beyond 9σ, mean and fourth moment, low bits, and correlations of values and of squares near and far.</summary>
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
        return Tail(values.Length, beyond3, variance, 3) ?? Tail(values.Length, beyond4, variance, 4) ?? Sides(values, variance) ?? Moments(values, variance) ?? LowBits(values, variance) ?? Correlations(values, variance);
    }

    /// <summary>Each side beyond 4.5σ: Poisson, as a small count is; and nothing beyond 9σ, where 10⁹ values leave one in 10¹⁰.</summary>
    private static string? Sides(ReadOnlySpan<long> values, double variance)
    {
        double sigma = Math.Sqrt(variance);
        long edge = (long)Math.Floor(4.5 * sigma);
        int low = 0, high = 0;
        foreach (long value in values)
        {
            if (value < -edge) low++;
            if (value > edge) high++;
            if (Math.Abs((double)value) > (9 * sigma) + 1) return $"{value} is beyond 9σ";
        }

        double expected = values.Length * Mass(variance, edge + 1, (long)(12 * sigma) + 2);
        // Pr[Poisson ≤ few] and Pr[Poisson ≥ many] below 1e-8, by Chernoff's bound.
        foreach (int count in (int[])[low, high])
        {
            double log = count == 0 ? -expected : count - expected - (count * Math.Log(count / expected));
            if (log < Math.Log(1e-8)) return $"{count} values beyond 4.5σ on one side, {expected:F1} expected";
        }

        return null;
    }

    private static string? Moments(ReadOnlySpan<long> values, double variance)
    {
        double scale = Math.Sqrt(DiscreteGaussian.Variance(variance)), mean = 0, fourth = 0, eighth = 0;
        foreach (long value in values)
        {
            double x = value / scale, square = x * x;
            mean += x;
            fourth += square * square;
            eighth += square * square * square * square;
        }

        int n = values.Length;
        if (Math.Abs(mean) > Deviations * Math.Sqrt(n)) return $"the mean is {mean / Math.Sqrt(n):F1} deviations off";
        // Under σ² = 2 the fourth moment is not 3.
        double deviation = ((fourth / n) - 3) / Math.Sqrt(((eighth / n) - (fourth / n * (fourth / n))) / n);
        return variance >= 2 && Math.Abs(deviation) > Deviations ? $"the fourth moment is {deviation:F1} deviations off" : null;
    }

    /// <summary>Residues modulo 2 and 32 are even where σ is large against them.</summary>
    private static string? LowBits(ReadOnlySpan<long> values, double variance)
    {
        foreach (int modulus in (int[])[2, 32])
        {
            if (variance < modulus * modulus) continue; // e^(−2π²σ²/m²) < 3e-9: uniform
            long[] counts = new long[modulus];
            foreach (long value in values) counts[value & (modulus - 1)]++;
            double expected = (double)values.Length / modulus;
            foreach (long count in counts) if (Math.Abs(count - expected) > Deviations * Math.Sqrt(expected)) return $"{count} values of one residue modulo {modulus}, {expected:F0} expected";
        }

        return null;
    }

    private static string? Correlations(ReadOnlySpan<long> values, double variance)
    {
        double scale = DiscreteGaussian.Variance(variance);
        foreach (int lag in (int[])[1, 2, 4, 7, 8, 1024])
        {
            double product = 0, squares = 0, ofProducts = 0, ofSquares = 0;
            for (int i = lag; i < values.Length; i++)
            {
                double a = values[i], b = values[i - lag], p = a * b / scale, s = ((a * a / scale) - 1) * ((b * b / scale) - 1);
                product += p;
                squares += s;
                ofProducts += p * p;
                ofSquares += s * s;
            }

            if (Math.Abs(product) > Deviations * Math.Sqrt(ofProducts)) return $"values {lag} apart are correlated, {product / Math.Sqrt(ofProducts):F1} deviations";
            if (Math.Abs(squares) > Deviations * Math.Sqrt(ofSquares)) return $"squares of values {lag} apart are correlated, {squares / Math.Sqrt(ofSquares):F1} deviations";
        }

        return null;
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
