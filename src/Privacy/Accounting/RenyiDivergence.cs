namespace Federation.Privacy.Accounting;

/// <summary>Rényi divergences of the mechanisms here, at any order above 1.</summary>
internal static class RenyiDivergence
{
    /// <summary>Below this a moment's logarithm is computed without cancellation.</summary>
    internal const double SmallLog = 0.1;

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
            case LaplaceEvent laplace:
                return order => LaplaceRdp.At(laplace.Scale / laplace.Sensitivity, rate, order);
            case DiscreteLaplaceEvent discrete when rate == 1:
                return order => DiscreteLaplaceRdp(discrete, order);
            case DiscreteGaussianEvent discrete:
                return order => SampledDiscreteGaussianRdp(discrete, rate, order);
            default:
                // The losses' masses without the unit: enough for both directions.
                List<(double Loss, double LogMass)> points = [.. LossPair.Of(one).Atoms.Select(atom => (StepLoss.Sampled(atom.Loss, rate), atom.LogMass))];
                return order => Math.Max(0, rate == 1
                    ? LogMoment(points, order) / (order - 1)
                    : Math.Max(LogMoment(points, order), LogMoment(points, 1 - order)) / (order - 1));
        }
    }

    /// <summary>αΔ²/(2σ²), plus the logarithm of a ratio of two sums over the integers that is never above 1.</summary>
    /// <remarks>Canonne, Kamath, Steinke 2020, Proposition 5 and its proof.</remarks>
    private static double DiscreteGaussianRdp(DiscreteGaussianEvent one, double order)
    {
        double shift = one.Sensitivity, ratio = DiscreteGaussian.LogSum(one.Variance, order * shift) - DiscreteGaussian.LogSum(one.Variance, 0);
        return Math.Max(0, (order * shift * shift / (2 * one.Variance)) + (ratio / (order - 1)));
    }

    /// <summary>A mixture's moment of order α is large around 0 and around αΔ, nowhere else.</summary>
    private static double SampledDiscreteGaussianRdp(DiscreteGaussianEvent one, double rate, double order)
    {
        const double Deviations = 14;
        double shift = one.Sensitivity, logNormalizer = DiscreteGaussian.LogSum(one.Variance, 0), centre = Math.Round(order * shift);
        double reach = Math.Ceiling(Deviations * Math.Sqrt(one.Variance)) + 2;
        List<(double Loss, double LogMass)> points = [];
        void Include(double from, double to)
        {
            for (double x = from; x <= to; x++) points.Add((StepLoss.Sampled(shift * ((2 * x) - shift) / (2 * one.Variance), rate), (-x * x / (2 * one.Variance)) - logNormalizer));
        }

        Include(-reach, reach);
        Include(Math.Max(reach + 1, centre - reach), centre + reach);
        return Math.Max(0, Math.Max(LogMoment(points, order), LogMoment(points, 1 - order)) / (order - 1));
    }

    /// <summary>The moment's sum over the losses, which is geometric.</summary>
    /// <remarks>Losses λ(2x − Δ), x = 0 … Δ; the two ends hold all that lies beyond them, each with 1/(1 + e^(−λ)) of its own side.</remarks>
    private static double DiscreteLaplaceRdp(DiscreteLaplaceEvent one, double order)
    {
        double lambda = one.Parameter, end = lambda * one.Sensitivity, logTail = DiscreteLaplaceLossPair.LogTail(lambda);
        LogSum sum = new();
        sum.Add(logTail - (order * end));
        sum.Add(logTail - end + (order * end));
        if (one.Sensitivity > 1)
        {
            // Σ_{x=1}^{Δ−1} tanh(λ/2)·e^(−λx)·e^(αλ(2x−Δ)): from the largest term down, ratio e^(−(2α−1)λ).
            double ratio = ((2 * order) - 1) * lambda, largest = ((one.Sensitivity - 1) * ratio) - (order * end);
            sum.Add(DiscreteLaplaceLossPair.LogNormalizer(lambda) + largest + Math.Log(-Precise.Expm1(-(one.Sensitivity - 1) * ratio)) - Math.Log(-Precise.Expm1(-ratio)));
        }

        double log = sum.Value;
        if (log > SmallLog || one.Sensitivity > DiscreteLaplaceLossPair.LargestSensitivity) return Math.Max(0, log / (order - 1));
        return LogMoment([.. LossPair.Of(one).Atoms], order) / (order - 1);
    }

    /// <summary>ln E[e^(s·l)], without the unit. Where it is small: E[e^(sl) − 1 − s(e^l − 1)], because E[e^l] = 1; no term is negative, so nothing cancels.</summary>
    private static double LogMoment(List<(double Loss, double LogMass)> points, double s)
    {
        LogSum sum = new();
        foreach ((double loss, double logMass) in points) sum.Add(logMass + (s * loss));
        double log = sum.Value;
        if (log > SmallLog) return log;
        double excess = 0;
        foreach ((double loss, double logMass) in points) excess += ExcessOf(loss, logMass, s);
        return Precise.Log1P(excess);
    }

    /// <summary>e^logMass·(e^(sl) − 1 − s(e^l − 1)), which is not negative, without overflow where the mass is tiny and the loss huge.</summary>
    internal static double ExcessOf(double loss, double logMass, double s)
    {
        if (Math.Abs(s * loss) < 30 && Math.Abs(loss) < 30) return Math.Exp(logMass) * Precise.Excess(loss, s);
        return Math.Max(0, Math.Exp(logMass + (s * loss)) - Math.Exp(logMass) - (s * (Math.Exp(logMass + loss) - Math.Exp(logMass))));
    }
}
