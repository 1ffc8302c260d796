namespace Federation.Privacy.Accounting;

/// <summary>Accounts by privacy loss distributions: tight for every event here, up to the grid's small, one-sided error.</summary>
/// <remarks>
/// Each step's loss is discretised by connecting the dots (Doroshenko, Ghazi, Kamath, Kumar, Manurangsi 2022), composed by FFT under an exponential tilt, and every truncation, aliasing and rounding error is added to δ.
/// So ε is an upper bound, by about 1e-5 of it, for any δ that a double holds. Unsampled Gaussians are merged and alone are exact (<see cref="AnalyticGaussian"/>).
/// Sampling is Poisson. Under <see cref="NeighboringRelation.ReplaceOne"/> a sampled mechanism's sensitivity must also bound what adding or removing a unit changes.
/// </remarks>
public sealed class PldAccountant : IPrivacyAccountant
{
    private const int Attempts = 3;

    public string Name => "pld";

    public PrivacyLoss AtDelta(IEnumerable<PrivacyEvent> events, double delta, NeighboringRelation relation)
    {
        Checked.Delta(delta);
        EventTally tally = EventTally.Of(events, relation);
        if (tally.HasNoiseless) return new(double.PositiveInfinity, delta, relation);
        (double sigma, List<LossComposition> directions) = Directions(tally, relation);
        double Bound(double left) => directions.Count == 0 ? (double.IsPositiveInfinity(sigma) ? 0 : AnalyticGaussian.Epsilon(sigma, left)) : directions.AsParallel().Max(direction => Epsilon(direction, left));
        return new(WithDistance(Bound, delta, tally.StatisticalDistance), delta, relation);
    }

    public PrivacyLoss AtEpsilon(IEnumerable<PrivacyEvent> events, double epsilon, NeighboringRelation relation)
    {
        Checked.Epsilon(epsilon);
        EventTally tally = EventTally.Of(events, relation);
        if (tally.HasNoiseless) return new(epsilon, 1, relation);
        (double sigma, List<LossComposition> directions) = Directions(tally, relation);
        double delta = directions.Count == 0
            ? (double.IsPositiveInfinity(sigma) ? 0 : AnalyticGaussian.Delta(sigma, epsilon))
            : directions.AsParallel().Max(direction => Delta(direction, epsilon));
        return new(epsilon, PlusDistance(delta, epsilon, tally.StatisticalDistance), relation);
    }

    /// <summary>ε at which bound(δ − (1 + e^ε)·distance) is met: mechanisms T away in total variation are (ε, δ + (1 + e^ε)T)-DP.</summary>
    internal static double WithDistance(Func<double, double> bound, double delta, double distance)
    {
        if (distance == 0) return bound(delta);
        double epsilon = 0;
        for (int i = 0; i < 60; i++)
        {
            double left = delta - ((1 + Math.Exp(epsilon)) * distance);
            if (!(left > 0)) return double.PositiveInfinity;
            double next = bound(left);
            if (next <= epsilon) return epsilon;
            epsilon = next * (1 + 1e-9);
        }

        return double.PositiveInfinity;
    }

    internal static double PlusDistance(double delta, double epsilon, double distance) => distance == 0 ? delta : Math.Min(1, delta + ((1 + Math.Exp(epsilon)) * distance));

    /// <summary>The compositions whose worst is the answer; with none, one Gaussian of the given noise multiplier says it all.</summary>
    private static (double Sigma, List<LossComposition> Directions) Directions(EventTally tally, NeighboringRelation relation)
    {
        double precision = 0; // Σ n/σ² of the unsampled Gaussians, whose losses add up to one Gaussian's
        List<(PrivacyEvent Event, double Rate, long Count)> others = [];
        foreach ((PrivacyEvent one, long count) in tally.Counts)
        {
            if (one is GaussianEvent { SamplingRate.Value: 1 } gaussian) precision += count / (gaussian.NoiseMultiplier.Value * gaussian.NoiseMultiplier.Value);
            else others.Add((one, Rate(one), count));
        }

        double sigma = 1 / Math.Sqrt(precision);
        if (others.Count == 0) return (sigma, []);
        if (precision > 0) others.Add((new GaussianEvent(sigma), 1, 1));
        List<(LossPair Pair, double Rate, long Count)> pairs = [.. others.Select(other => (LossPair.Of(other.Event), other.Rate, other.Count))];
        LossComposition Along(LossDirection sampled) => new([.. pairs.Select(part => (new StepLoss(part.Pair, part.Rate, part.Rate == 1 ? LossDirection.Remove : sampled), part.Count))]);
        if (pairs.All(part => part.Rate == 1)) return (sigma, [Along(LossDirection.Remove)]);
        return (sigma, relation == NeighboringRelation.AddOrRemoveOne ? [Along(LossDirection.Remove), Along(LossDirection.Add)] : [Along(LossDirection.Replace)]);
    }

    internal static double Rate(PrivacyEvent one) => one switch
    {
        GaussianEvent gaussian => gaussian.SamplingRate.Value,
        LaplaceEvent laplace => laplace.SamplingRate.Value,
        DiscreteGaussianEvent discrete => discrete.SamplingRate.Value,
        DiscreteLaplaceEvent discrete => discrete.SamplingRate.Value,
        _ => 1,
    };

    private static double Epsilon(LossComposition composition, double delta)
    {
        LossPlan plan = composition.PlanForDelta(Math.Log(delta));
        double best = composition.Infinite <= delta ? composition.Highest : double.PositiveInfinity;
        for (int attempt = 0; attempt < Attempts; attempt++)
        {
            // Each attempt's answer is a bound; a better plan only makes it tighter.
            (double Epsilon, bool Loose)? answer = composition.Compose(plan, attempt > 0).Epsilon(delta);
            if (answer is not { } found) continue;
            best = Math.Min(best, found.Epsilon);
            if (best == 0 || (!found.Loose && best > plan.Epsilon / 4)) return best;
            if (best <= plan.Epsilon / 4) plan = composition.PlanForEpsilon(best) with { Scale = best };
        }

        return best;
    }

    private static double Delta(LossComposition composition, double epsilon)
    {
        if (epsilon >= composition.Highest) return composition.Infinite;
        LossPlan plan = composition.PlanForEpsilon(epsilon);
        (double delta, bool loose) = composition.Compose(plan, whole: false).Delta(epsilon);
        return loose ? Math.Min(delta, composition.Compose(plan, whole: true).Delta(epsilon).Delta) : delta;
    }
}
