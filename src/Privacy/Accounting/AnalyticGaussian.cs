namespace Federation.Privacy.Accounting;

/// <summary>The Gaussian mechanism's exact (ε, δ), for noise of standard deviation σ times the L2 sensitivity.</summary>
/// <remarks>Balle and Wang 2018, Theorem 8: δ = Φ(1/(2σ) − εσ) − e^ε·Φ(−1/(2σ) − εσ).</remarks>
public static class AnalyticGaussian
{
    // Gauss–Legendre on [−1, 1], exact to degree 5.
    private static readonly double[] Nodes = [-Math.Sqrt(0.6), 0, Math.Sqrt(0.6)], NodeWeights = [5.0 / 9, 8.0 / 9, 5.0 / 9];

    /// <param name="sigma">Noise multiplier, in [0, ∞).</param>
    /// <param name="epsilon">In [0, ∞).</param>
    /// <exception cref="ArgumentOutOfRangeException">A value is out of range or NaN.</exception>
    public static double Delta(double sigma, double epsilon)
    {
        CheckSigma(sigma);
        Checked.Epsilon(epsilon);
        return sigma == 0 ? 1 : Math.Exp(LogDelta(sigma, epsilon));
    }

    /// <param name="sigma">Noise multiplier, in [0, ∞).</param>
    /// <param name="delta">In (0, 1).</param>
    /// <returns>The least ε, in [0, ∞].</returns>
    /// <exception cref="ArgumentOutOfRangeException">A value is out of range or NaN.</exception>
    public static double Epsilon(double sigma, double delta)
    {
        CheckSigma(sigma);
        Checked.Delta(delta);
        if (sigma == 0) return double.PositiveInfinity;
        double target = Math.Log(delta);
        if (LogDelta(sigma, 0) <= target) return 0;
        double high = 1;
        while (LogDelta(sigma, high) > target)
        {
            high *= 2;
            if (double.IsInfinity(high)) return high;
        }

        return Bisect(0, high, epsilon => LogDelta(sigma, epsilon) <= target);
    }

    /// <summary>The smallest noise multiplier that is (ε, δ)-DP.</summary>
    public static double Sigma(double epsilon, double delta)
    {
        Checked.Epsilon(epsilon);
        Checked.Delta(delta);
        double target = Math.Log(delta), low = 1, high = 1;
        while (LogDelta(high, epsilon) > target) high *= 2;
        while (LogDelta(low, epsilon) <= target) low /= 2;
        return Bisect(low, high, sigma => LogDelta(sigma, epsilon) <= target);
    }

    private static void CheckSigma(double sigma)
    {
        if (sigma is not >= 0) throw new ArgumentOutOfRangeException(nameof(sigma), sigma, "A noise multiplier must be in [0, ∞].");
    }

    internal static double LogDelta(double sigma, double epsilon)
    {
        if (!(sigma > 0)) throw new ArgumentOutOfRangeException(nameof(sigma), sigma, "A noise multiplier must be positive here.");
        if (double.IsPositiveInfinity(sigma)) return double.NegativeInfinity;
        double middle = epsilon * sigma, shift = 1 / sigma, low = middle - (shift / 2);
        if (shift > 0.05)
        {
            double first = Normal.LogTail(low), second = epsilon + Normal.LogTail(middle + (shift / 2));
            return second < first ? first + Math.Log(-Precise.Expm1(second - first)) : double.NegativeInfinity;
        }

        // Both terms are φ(εσ − 1/(2σ)) times Mills' ratio R, at εσ ± 1/(2σ). For a small shift they nearly cancel, so integrate −R′(y) = 1 − y·R(y) between the two.
        double sum = 0;
        for (int i = 0; i < Nodes.Length; i++) sum += NodeWeights[i] * (1 - ((middle + (Nodes[i] * shift / 2)) * Normal.Mills(middle + (Nodes[i] * shift / 2))));
        return (-0.5 * low * low) - Normal.LogRootTwoPi + Math.Log(shift / 2 * sum);
    }

    /// <summary>The least value in (low, high] where a condition that stays true once it is true holds, to the last digit, from above.</summary>
    internal static double Bisect(double low, double high, Func<double, bool> holds)
    {
        for (int i = 0; i < 200; i++)
        {
            double middle = low + ((high - low) / 2);
            if (middle <= low || middle >= high) break;
            if (holds(middle)) high = middle;
            else low = middle;
        }

        return high;
    }
}
