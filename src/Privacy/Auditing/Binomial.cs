using MathNet.Numerics;

namespace Federation.Privacy.Auditing;

/// <summary>Of n independent trials that succeed with probability q each: how many do.</summary>
internal sealed class Binomial
{
    private readonly double[] _masses;

    /// <param name="trials">n, at least 0.</param>
    /// <param name="probability">q, in (0, 1).</param>
    public Binomial(int trials, double probability)
    {
        _masses = new double[trials + 1];
        double log = Math.Log(probability), logNot = Math.Log(1 - probability), arrangements = 0; // ln C(n, k)
        for (int k = 0; k <= trials; k++)
        {
            _masses[k] = Math.Exp(arrangements + (k * log) + ((trials - k) * logNot));
            arrangements += Math.Log((trials - k) / (k + 1.0));
        }
    }

    /// <summary>Pr[X = k]; 0 where k is no number of successes.</summary>
    public double Mass(int k) => k < 0 || k >= _masses.Length ? 0 : _masses[k];

    /// <summary>Pr[X ≥ k], the small terms first.</summary>
    public double AtLeast(int k)
    {
        double sum = 0;
        for (int i = _masses.Length - 1; i >= Math.Max(0, k); i--) sum += _masses[i];
        return Math.Min(1, sum);
    }

    /// <summary>The largest success probability with which at most so many successes in n trials are still no surprise.</summary>
    /// <param name="error">How often the true probability is above it, at most.</param>
    /// <remarks>Clopper and Pearson 1934, the upper limit of a one-sided interval.</remarks>
    public static double UpperLimit(int successes, int trials, double error)
    {
        if (successes >= trials) return 1;
        return Bisection.Highest(0, 1, probability => probability is 0 || 1 - Tail(trials, probability, successes + 1) > error);
    }

    /// <summary>The same from below.</summary>
    public static double LowerLimit(int successes, int trials, double error) => 1 - UpperLimit(trials - successes, trials, error);

    /// <summary>Pr[X ≥ k] = I_q(k, n − k + 1).</summary>
    private static double Tail(int trials, double probability, int k) => probability >= 1 ? 1 : SpecialFunctions.BetaRegularized(k, trials - k + 1, probability);
}
