using MathNet.Numerics;

namespace Federation.Privacy.Tests.Homomorphic;

/// <summary>Pearson's chi-square against exact probabilities.</summary>
internal static class Frequencies
{
    /// <summary>Pr[χ² at least as large]; cells with fewer than 10 expected are put together, what has probability zero must not occur.</summary>
    public static double PValue(ReadOnlySpan<long> counts, ReadOnlySpan<double> probabilities)
    {
        double total = 0, square = 0, poolCount = 0, poolExpected = 0;
        foreach (long count in counts) total += count;
        int cells = 0;
        for (int i = 0; i < counts.Length; i++)
        {
            double expected = total * probabilities[i];
            if (expected == 0 && counts[i] > 0) return 0;
            if (expected < 10)
            {
                poolCount += counts[i];
                poolExpected += expected;
                continue;
            }

            square += (counts[i] - expected) * (counts[i] - expected) / expected;
            cells++;
        }

        if (poolExpected > 0)
        {
            square += (poolCount - poolExpected) * (poolCount - poolExpected) / poolExpected;
            cells++;
        }

        return SpecialFunctions.GammaUpperRegularized((cells - 1) / 2.0, square / 2);
    }

    /// <summary>What is wrong with values that should be independent with these probabilities, the first of them of <paramref name="lowest"/>. Five statistics.</summary>
    public static string? Complaint(ReadOnlySpan<int> values, int lowest, ReadOnlySpan<double> probabilities, double falseAlarms)
    {
        long[] counts = new long[probabilities.Length];
        foreach (int value in values)
        {
            if (value < lowest || value - lowest >= counts.Length) return $"{value} cannot occur";
            counts[value - lowest]++;
        }

        double p = PValue(counts, probabilities);
        if (p < falseAlarms / 5) return $"the frequencies have p = {p:E1}";
        double[] pairs = new double[probabilities.Length * probabilities.Length];
        for (int i = 0; i < pairs.Length; i++) pairs[i] = probabilities[i / probabilities.Length] * probabilities[i % probabilities.Length];
        foreach (int lag in (int[])[1, 2, 512, 1024])
        {
            long[] seen = new long[pairs.Length];
            for (int i = 0; i + lag < values.Length; i++)
            {
                // Pairs that share no value are independent.
                if (i / lag % 2 == 0) seen[((values[i] - lowest) * probabilities.Length) + values[i + lag] - lowest]++;
            }

            p = PValue(seen, pairs);
            if (p < falseAlarms / 5) return $"pairs {lag} apart have p = {p:E1}";
        }

        return null;
    }
}
