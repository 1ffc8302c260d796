namespace Federation.Privacy.Accounting;

/// <summary>Rényi divergences of the mechanisms here, at any order above 1.</summary>
internal static class RenyiDivergence
{
    private const double SmallLog = 0.1;

    // Gauss–Legendre on [−1, 1], 8 nodes, the positive half.
    private static readonly double[] Nodes = [0.1834346424956498, 0.5255324099163290, 0.7966664774136267, 0.9602898564975363];
    private static readonly double[] NodeWeights = [0.3626837833783620, 0.3137066458778873, 0.2223810344533745, 0.1012285362903763];

    /// <exception cref="UnsupportedEventException">No bound is known here.</exception>
    public static Func<double, double> Of(PrivacyEvent one, NeighboringRelation relation)
    {
        double rate = PldAccountant.Rate(one);
        if (rate < 1 && relation == NeighboringRelation.ReplaceOne) throw new UnsupportedEventException("The RDP accountant bounds sampled mechanisms under AddOrRemoveOne only; use the PLD accountant for ReplaceOne.");
        switch (one)
        {
            case RenyiEvent known:
                return known.At;
            case GaussianEvent gaussian:
                return order => SampledGaussianRdp.At(rate, gaussian.NoiseMultiplier.Value, order);
            case DiscreteGaussianEvent discrete when rate == 1:
                return order => DiscreteGaussianRdp(discrete, order);
            default:
                // The losses' masses without the unit: enough for both directions.
                List<(double Loss, double LogMass)> points = Points(LossPair.Of(one), rate);
                return order => rate == 1
                    ? LogMoment(points, order) / (order - 1)
                    : Math.Max(LogMoment(points, order), LogMoment(points, 1 - order)) / (order - 1);
        }
    }

    /// <summary>αΔ²/(2σ²), plus the logarithm of a ratio of two sums over the integers that is never above 1.</summary>
    /// <remarks>Canonne, Kamath, Steinke 2020, Proposition 5 and its proof.</remarks>
    private static double DiscreteGaussianRdp(DiscreteGaussianEvent one, double order)
    {
        double shift = one.Sensitivity, ratio = DiscreteGaussian.Sum(one.Variance, order * shift) / DiscreteGaussian.Sum(one.Variance, 0);
        return (order * shift * shift / (2 * one.Variance)) + (Math.Log(ratio) / (order - 1));
    }

    private static List<(double Loss, double LogMass)> Points(LossPair pair, double rate)
    {
        double Sampled(double loss) => rate == 1 ? loss : loss <= 0 ? Precise.Log1P(rate * Precise.Expm1(loss)) : loss + Math.Log(rate + ((1 - rate) * Math.Exp(-loss)));
        List<(double Loss, double LogMass)> points = [.. pair.Atoms.Select(atom => (Sampled(atom.Loss), atom.LogMass))];
        (double low, double high) = pair.DensityRange;
        if (high > low)
        {
            int panels = (int)Math.Min(4096, Math.Ceiling((high - low) / 0.25));
            double half = (high - low) / (2 * panels);
            for (int panel = 0; panel < panels; panel++)
            {
                double middle = low + ((2 * panel + 1) * half);
                for (int i = 0; i < Nodes.Length; i++)
                {
                    foreach (double loss in (ReadOnlySpan<double>)[middle - (half * Nodes[i]), middle + (half * Nodes[i])]) points.Add((Sampled(loss), pair.LogDensity(loss) + Math.Log(half * NodeWeights[i])));
                }
            }
        }

        return points;
    }

    /// <summary>ln E[e^(s·l)], without the unit. Where it is small: E[e^(sl) − 1 − s(e^l − 1)], because E[e^l] = 1; no term is negative, so nothing cancels.</summary>
    private static double LogMoment(List<(double Loss, double LogMass)> points, double s)
    {
        double largest = double.NegativeInfinity, sum = 0;
        foreach ((double loss, double logMass) in points) largest = Math.Max(largest, logMass + (s * loss));
        foreach ((double loss, double logMass) in points) sum += Math.Exp(logMass + (s * loss) - largest);
        double log = largest + Math.Log(sum);
        if (log > SmallLog) return log;
        double excess = 0;
        foreach ((double loss, double logMass) in points) excess += Math.Exp(logMass) * Precise.Excess(loss, s);
        return Precise.Log1P(excess);
    }
}
