using Federation.Learning.Training;

namespace Federation.Learning.DataSets;

/// <summary>Samples of the Dirichlet distribution: gamma samples over their sum.</summary>
internal static class DirichletDraw
{
    public static double[] Symmetric(int count, double alpha, SeededGenerator generator) => Of([.. Enumerable.Repeat(alpha, count)], generator);

    /// <param name="alphas">Not negative; a share whose alpha is 0 is 0. At least one is positive.</param>
    public static double[] Of(double[] alphas, SeededGenerator generator)
    {
        // As logarithms: with small alphas every gamma sample may be too small for a double.
        double[] logs = [.. alphas.Select(alpha => alpha > 0 ? LogGamma(alpha, generator) : double.NegativeInfinity)];
        double most = logs.Max();
        double[] shares = [.. logs.Select(log => Math.Exp(log - most))];
        double sum = shares.Sum();
        for (int i = 0; i < shares.Length; i++) shares[i] /= sum;
        return shares;
    }

    /// <summary>The logarithm of a sample of Gamma(alpha, 1).</summary>
    /// <remarks>Marsaglia and Tsang 2000; below 1 their own way through alpha + 1 and a power of a uniform number.</remarks>
    private static double LogGamma(double alpha, SeededGenerator generator)
    {
        if (alpha < 1) return LogGamma(alpha + 1, generator) + (Math.Log(1 - generator.Unit()) / alpha);
        double d = alpha - (1.0 / 3), c = 1 / Math.Sqrt(9 * d);
        while (true)
        {
            double x = generator.Normal(), v = Math.Pow(1 + (c * x), 3);
            if (v > 0 && Math.Log(1 - generator.Unit()) < (0.5 * x * x) + d - (d * v) + (d * Math.Log(v))) return Math.Log(d) + Math.Log(v);
        }
    }
}
