namespace Federation.Privacy.Accounting;

/// <summary>Rényi divergence of the Laplace mechanism, sampled or not.</summary>
/// <remarks>
/// Mironov 2017, Proposition 6, for all units. Sampled: the loss L = ln(with/without) has atoms at ±1/b and between them the density ¼·e^(−L/2 − 1/(2b)) without the unit;
/// the moment of order s is the sum of (1 − q + q·e^L)^s over it, s = α for removing, 1 − α for adding.
/// </remarks>
internal static class LaplaceRdp
{
    private const double Negligible = 50; // nats below the largest

    public static double At(double b, double q, double order)
    {
        if (q == 1)
        {
            // α/(2α−1)·e^((α−1)/b) + (α−1)/(2α−1)·e^(−α/b), minus 1: in logarithms where it is large, by differences that do not cancel where it is small.
            double x = 1 / b;
            if ((order - 1) * x > 0.1) return Precise.LogAdd(Math.Log(order / ((2 * order) - 1)) + ((order - 1) * x), Math.Log((order - 1) / ((2 * order) - 1)) - (order * x)) / (order - 1);
            // With both exponentials less their constant and linear parts, which add up to 1 and to 0.
            double rest = ((order * SecondRest((order - 1) * x)) + ((order - 1) * SecondRest(-order * x))) / ((2 * order) - 1);
            return Precise.Log1P(rest) / (order - 1);
        }

        return Math.Max(0, Math.Max(LogMoment(b, q, order), LogMoment(b, q, 1 - order)) / (order - 1));
    }

    private static double LogMoment(double b, double q, double s)
    {
        double end = 1 / b, log = LargeMoment(q, s, end);
        return log > RenyiDivergence.SmallLog ? log : Precise.Log1P(SmallMoment(q, s, end));
    }

    /// <summary>The integrand's logarithm is −L/2 plus a convex or a concave function of slope s·p, p in (0, 1): what counts lies near an end, and a panel of 3 nats is smooth.</summary>
    private static double LargeMoment(double q, double s, double end)
    {
        double G(double loss) => (-loss / 2) - (end / 2) - Math.Log(4) + (s * StepLoss.Sampled(loss, q));
        // p at the end of a panel is at most e^½ times p at its beginning.
        double Width(double loss) => Math.Min(0.5, 3 / (0.5 + (Math.Abs(s) * Math.Min(1, q * Math.Exp(loss + 0.5 - StepLoss.Sampled(loss, q))))));
        LogSum sum = new();
        sum.Add(-Math.Log(2) + (s * StepLoss.Sampled(-end, q)));
        sum.Add(-Math.Log(2) - end + (s * StepLoss.Sampled(end, q)));
        double least = Math.Max(sum.Value, Math.Max(G(-end), G(end))) - Negligible, reached = end;
        foreach ((double low, double high) in GaussLegendre.Panels(-end, end, Width))
        {
            if (G(low) < least && G(high) < least)
            {
                reached = low;
                break;
            }

            foreach ((double at, double logWeight) in GaussLegendre.Panel(low, high)) sum.Add(G(at) + logWeight);
        }

        if (reached >= end) return sum.Value;
        foreach ((double low, double high) in GaussLegendre.Panels(-end, -reached, mirrored => Width(-mirrored))) // mirrored: from the upper end down
        {
            if (G(-low) < least && G(-high) < least) break;
            foreach ((double at, double logWeight) in GaussLegendre.Panel(low, high)) sum.Add(G(-at) + logWeight);
        }

        return sum.Value;
    }

    /// <summary>E[e^(sl) − 1 − s(e^l − 1)], because E[e^l] = 1: no term is negative, so nothing cancels.</summary>
    private static double SmallMoment(double q, double s, double end)
    {
        double Term(double loss, double logMass) => RenyiDivergence.ExcessOf(StepLoss.Sampled(loss, q), logMass, s);
        double sum = Term(-end, -Math.Log(2)) + Term(end, -Math.Log(2) - end);
        foreach ((double low, double high) in GaussLegendre.Panels(-end, end, loss => Math.Min(0.25, 3 / (0.5 + Math.Abs(s)))))
        {
            foreach ((double at, double logWeight) in GaussLegendre.Panel(low, high)) sum += Term(at, (-at / 2) - (end / 2) - Math.Log(4) + logWeight);
        }

        return sum;
    }

    /// <summary>e^x − 1 − x.</summary>
    private static double SecondRest(double x)
    {
        if (Math.Abs(x) > 0.1) return Precise.Expm1(x) - x;
        double sum = 0, term = x * x / 2;
        for (int k = 3; k <= 14; k++)
        {
            sum += term;
            term *= x / k;
        }

        return sum;
    }
}
