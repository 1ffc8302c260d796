namespace Federation.Privacy.Accounting;

/// <summary>Accounts by Rényi differential privacy at whichever real order is best: a little tighter than a list of orders, a little slower.</summary>
/// <remarks>The same divergences and conversions as <see cref="RdpAccountant"/>. Every order gives a valid bound, so a search that misses the best one is loose, never wrong.</remarks>
public sealed class ContinuousRdpAccountant : IPrivacyAccountant
{
    // ln(α − 1) of the coarse search; it ends once so many orders in a row were no better.
    private const double Least = -9, Most = 14, Step = 0.5;
    private const int Patience = 4;

    public string Name => "rdp-continuous";

    public PrivacyLoss AtDelta(IEnumerable<PrivacyEvent> events, double delta, NeighboringRelation relation)
    {
        Checked.Delta(delta);
        EventTally tally = EventTally.Of(events, relation);
        if (tally.HasNoiseless) return new(double.PositiveInfinity, delta, relation);
        List<(Func<double, double> Divergence, long Count)> parts = Divergences(tally, relation);
        double Bound(double left) => parts.Count == 0 ? 0 : Minimum(order => RdpAccountant.EpsilonAt(order, At(parts, order), left));
        return new(PldAccountant.WithDistance(Bound, delta, tally.StatisticalDistance), delta, relation);
    }

    public PrivacyLoss AtEpsilon(IEnumerable<PrivacyEvent> events, double epsilon, NeighboringRelation relation)
    {
        Checked.Epsilon(epsilon);
        EventTally tally = EventTally.Of(events, relation);
        if (tally.HasNoiseless) return new(epsilon, 1, relation);
        List<(Func<double, double> Divergence, long Count)> parts = Divergences(tally, relation);
        double delta = parts.Count == 0 ? 0 : Math.Exp(Minimum(order => RdpAccountant.LogDeltaAt(order, At(parts, order), epsilon)));
        return new(epsilon, PldAccountant.PlusDistance(Math.Min(1, delta), epsilon, tally.StatisticalDistance), relation);
    }

    private static List<(Func<double, double> Divergence, long Count)> Divergences(EventTally tally, NeighboringRelation relation) =>
        [.. tally.Counts.Select(entry => (RenyiDivergence.Of(entry.Key, relation), entry.Value))];

    private static double At(List<(Func<double, double> Divergence, long Count)> parts, double order)
    {
        double sum = 0;
        foreach ((Func<double, double> divergence, long count) in parts) sum += count * divergence(order);
        return sum;
    }

    private static double Minimum(Func<double, double> ofOrder)
    {
        double At(double log) => ofOrder(1 + Math.Exp(log));
        double best = double.PositiveInfinity, centre = Least;
        int worse = 0;
        for (double log = Least; log <= Most && worse < Patience; log += Step)
        {
            double value = At(log);
            if (value < best) (best, centre, worse) = (value, log, 0);
            else if (!double.IsPositiveInfinity(best)) worse++;
        }

        return Math.Min(best, GoldenSection.Least(At, centre - Step, centre + Step, 40).Value);
    }
}
