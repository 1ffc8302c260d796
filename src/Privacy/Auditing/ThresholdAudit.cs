namespace Federation.Privacy.Auditing;

/// <summary>
/// A lower bound on ε from independent runs, each with one target that was in or out by a fair coin: an attacker who says "in" above a threshold, and whose rates (ε, δ)-differential privacy forbids.
/// </summary>
/// <remarks>
/// Kairouz, Oh, Viswanath 2015: TPR ≤ e^ε·FPR + δ, and the same for what is called out, TNR ≤ e^ε·FNR + δ. Rates by Clopper and Pearson 1934, each of the two at half of the error (Nasr et al. 2021).
/// The threshold and which of the two inequalities is used are chosen on one half of the runs, the bound comes from the other, so the choice is free.
/// </remarks>
public static class ThresholdAudit
{
    /// <param name="choosing">Score and coin of the runs that the threshold is chosen on.</param>
    /// <param name="bounding">Of other runs, independent of those and of each other.</param>
    /// <param name="delta">In [0, 1).</param>
    /// <param name="confidence">In (0, 1).</param>
    /// <returns>ε = 0 where nothing is shown.</returns>
    public static ThresholdBound Bound(IReadOnlyList<(double Score, bool Included)> choosing, IReadOnlyList<(double Score, bool Included)> bounding, double delta, double confidence)
    {
        if (confidence is not (> 0 and < 1)) throw new ArgumentOutOfRangeException(nameof(confidence), confidence, "Must be in (0, 1).");
        if (delta is not (>= 0 and < 1)) throw new ArgumentOutOfRangeException(nameof(delta), delta, "Must be in [0, 1).");
        (double Bound, double Threshold, bool Above) best = (-1, 0, true);
        foreach (double threshold in choosing.Select(run => run.Score).Distinct())
        {
            foreach (bool above in (bool[])[true, false])
            {
                double bound = Rates.Of(choosing, threshold).Epsilon(above, delta, 1 - confidence);
                if (bound > best.Bound) best = (bound, threshold, above);
            }
        }

        Rates rates = Rates.Of(bounding, best.Threshold);
        return new(Math.Max(0, rates.Epsilon(best.Above, delta, 1 - confidence)), best.Threshold, best.Above, (double)rates.SaidInOfIn / Math.Max(1, rates.In), (double)rates.SaidInOfOut / Math.Max(1, rates.Out), bounding.Count);
    }

    private readonly record struct Rates(int In, int SaidInOfIn, int Out, int SaidInOfOut)
    {
        public static Rates Of(IReadOnlyList<(double Score, bool Included)> runs, double threshold)
        {
            int included = 0, hits = 0, alarms = 0;
            foreach ((double score, bool isIn) in runs)
            {
                if (isIn) included++;
                if (score < threshold) continue;
                if (isIn) hits++;
                else alarms++;
            }

            return new(included, hits, runs.Count - included, alarms);
        }

        /// <param name="above">By what is called in; else by what is called out.</param>
        public double Epsilon(bool above, double delta, double error)
        {
            if (In == 0 || Out == 0) return 0;
            double often = above ? Binomial.LowerLimit(SaidInOfIn, In, error / 2) : Binomial.LowerLimit(Out - SaidInOfOut, Out, error / 2);
            double seldom = above ? Binomial.UpperLimit(SaidInOfOut, Out, error / 2) : Binomial.UpperLimit(In - SaidInOfIn, In, error / 2);
            return often <= delta ? 0 : Math.Max(0, Math.Log((often - delta) / seldom));
        }
    }
}

/// <param name="Epsilon">The mechanism's ε is not below it, at the δ and the confidence that were asked for.</param>
/// <param name="Threshold">Scores from it on were called in.</param>
/// <param name="Above">Whether what was called in showed it, rather than what was called out.</param>
/// <param name="TruePositiveRate">Of the runs that gave the bound.</param>
/// <param name="FalsePositiveRate">Of the same.</param>
/// <param name="Runs">Their number.</param>
public sealed record ThresholdBound(double Epsilon, double Threshold, bool Above, double TruePositiveRate, double FalsePositiveRate, int Runs);
