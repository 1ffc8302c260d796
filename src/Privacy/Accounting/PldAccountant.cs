using System.Runtime.ExceptionServices;

namespace Federation.Privacy.Accounting;

/// <summary>Accounts by privacy loss distributions: tight for every event here, up to the grid's small, one-sided error.</summary>
/// <remarks>
/// Each step's loss is discretised by connecting the dots (Doroshenko, Ghazi, Kamath, Kumar, Manurangsi 2022), composed by FFT under an exponential tilt, and every truncation, aliasing and rounding error is added to δ.
/// So ε is an upper bound, by about 1e-5 of it, for any δ that a double holds. Unsampled Gaussians are merged and alone are exact (<see cref="AnalyticGaussian"/>).
/// Sampling is Poisson. Under <see cref="NeighboringRelation.ReplaceOne"/> a sampled mechanism's sensitivity must also bound what adding or removing a unit changes.
/// </remarks>
public sealed class PldAccountant : IPrivacyAccountant
{
    /// <summary>From here on a discrete Gaussian is taken as a continuous one (<see cref="Simplified"/>).</summary>
    internal const double WideVariance = 1e6;

    private const int Attempts = 3;

    public string Name => "pld";

    public PrivacyLoss AtDelta(IEnumerable<PrivacyEvent> events, double delta, NeighboringRelation relation)
    {
        Checked.Delta(delta);
        EventTally tally = EventTally.Of(events, relation);
        if (tally.HasNoiseless) return new(double.PositiveInfinity, delta, relation);
        (double sigma, List<LossComposition> directions, double distance) = Directions(tally, relation);
        double Bound(double left)
        {
            if (directions.Count == 0) return double.IsPositiveInfinity(sigma) ? 0 : AnalyticGaussian.Epsilon(sigma, left);
            (double Epsilon, bool Loose)[] answers = Each(directions, direction => Epsilon(direction, left));
            double worst = answers.Max(answer => answer.Epsilon);
            // Where rounding leaves a direction loose, Rényi divergences may show more.
            return answers.Any(answer => answer.Loose) && worst > 0 ? Math.Min(worst, ByRdp(rdp => rdp.Epsilon(rdp.Divergences(tally, relation), left))) : worst;
        }

        return new(WithDistance(Bound, delta, tally.StatisticalDistance + distance), delta, relation);
    }

    public PrivacyLoss AtEpsilon(IEnumerable<PrivacyEvent> events, double epsilon, NeighboringRelation relation)
    {
        Checked.Epsilon(epsilon);
        EventTally tally = EventTally.Of(events, relation);
        if (tally.HasNoiseless) return new(epsilon, 1, relation);
        (double sigma, List<LossComposition> directions, double distance) = Directions(tally, relation);
        double delta;
        if (directions.Count == 0)
        {
            delta = double.IsPositiveInfinity(sigma) ? 0 : AnalyticGaussian.Delta(sigma, epsilon);
        }
        else
        {
            (double Delta, bool Loose)[] answers = Each(directions, direction => Delta(direction, epsilon));
            delta = answers.Max(answer => answer.Delta);
            if (answers.Any(answer => answer.Loose)) delta = Math.Min(delta, ByRdp(rdp => rdp.Delta(rdp.Divergences(tally, relation), epsilon)));
        }

        return new(epsilon, PlusDistance(delta, epsilon, tally.StatisticalDistance + distance), relation);
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
            epsilon = next * (1 + 1e-8);
        }

        return double.PositiveInfinity;
    }

    internal static double PlusDistance(double delta, double epsilon, double distance) => distance == 0 ? delta : Math.Min(1, delta + ((1 + Math.Exp(epsilon)) * distance));

    /// <summary>Adding and removing at the same time.</summary>
    private static T[] Each<T>(List<LossComposition> directions, Func<LossComposition, T> work)
    {
        T[] results = new T[directions.Count];
        try
        {
            Parallel.For(0, results.Length, i => results[i] = work(directions[i]));
        }
        catch (AggregateException error)
        {
            ExceptionDispatchInfo.Throw(error.InnerExceptions[0]);
        }

        return results;
    }

    private static double ByRdp(Func<RdpAccountant, double> bound)
    {
        try
        {
            return bound(new RdpAccountant());
        }
        catch (UnsupportedEventException)
        {
            return double.PositiveInfinity;
        }
    }

    /// <summary>The compositions whose worst is the answer; with none, one Gaussian of the given noise multiplier says it all. Distance: of the events that were put in others' place from these.</summary>
    private static (double Sigma, List<LossComposition> Directions, double Distance) Directions(EventTally tally, NeighboringRelation relation)
    {
        double precision = 0, distance = 0; // precision: Σ n/σ² of the unsampled Gaussians, whose losses add up to one Gaussian's
        List<(PrivacyEvent Event, double Rate, long Count)> others = [];
        foreach ((PrivacyEvent original, long count) in tally.Counts)
        {
            (PrivacyEvent one, double away) = Simplified(original);
            distance += count * away;
            if (one is GaussianEvent { SamplingRate.Value: 1 } gaussian) precision += count / (gaussian.NoiseMultiplier.Value * gaussian.NoiseMultiplier.Value);
            else others.Add((one, Rate(one), count));
        }

        double sigma = 1 / Math.Sqrt(precision);
        if (others.Count == 0) return (sigma, [], distance);
        if (precision > 0) others.Add((new GaussianEvent(sigma), 1, 1));
        List<(LossPair Pair, double Rate, long Count)> pairs = [.. others.Select(other => (LossPair.Of(other.Event), other.Rate, other.Count))];
        LossComposition Along(LossDirection sampled) => new([.. pairs.Select(part => (new StepLoss(part.Pair, part.Rate, part.Rate == 1 ? LossDirection.Remove : sampled), part.Count))]);
        if (pairs.All(part => part.Rate == 1)) return (sigma, [Along(LossDirection.Remove)], distance);
        return (sigma, relation == NeighboringRelation.AddOrRemoveOne ? [Along(LossDirection.Remove), Along(LossDirection.Add)] : [Along(LossDirection.Replace)], distance);
    }

    /// <summary>
    /// An event that costs at least as much and is easier to compose, with its distance. Noise beyond 10¹² is taken as 10¹². A wide discrete Gaussian of variance σ² is, within 2⁻¹¹¹, a continuous one of variance σ² − 4 and a rounding
    /// (see <see cref="Mechanisms.GridGaussian"/>): it costs no more than that, which for σ² ≥ 10⁶ is 2·10⁻⁶ of ε.
    /// </summary>
    internal static (PrivacyEvent Event, double Distance) Simplified(PrivacyEvent one)
    {
        const double Widest = 1e12;
        switch (one)
        {
            case DiscreteGaussianEvent { Variance: >= WideVariance } discrete:
                double noise = Math.Sqrt(discrete.Variance - DiscreteGaussian.RoundingVariance) / discrete.Sensitivity * (1 - 1e-15);
                return (new GaussianEvent(Math.Min(noise, Widest), discrete.SamplingRate.Value), DiscreteGaussian.RoundingDistance);
            case GaussianEvent { NoiseMultiplier.Value: > Widest } gaussian:
                return (new GaussianEvent(Widest, gaussian.SamplingRate.Value), 0);
            case LaplaceEvent laplace when laplace.Scale / laplace.Sensitivity > Widest:
                return (new LaplaceEvent(Widest, 1, laplace.SamplingRate.Value), 0);
            case DiscreteLaplaceEvent discrete when discrete.Parameter * discrete.Sensitivity < 1 / Widest:
                return (new DiscreteLaplaceEvent(1 / Widest / discrete.Sensitivity, discrete.Sensitivity, discrete.SamplingRate.Value), 0);
            default:
                return (one, 0);
        }
    }

    internal static double Rate(PrivacyEvent one) => one switch
    {
        GaussianEvent gaussian => gaussian.SamplingRate.Value,
        LaplaceEvent laplace => laplace.SamplingRate.Value,
        DiscreteGaussianEvent discrete => discrete.SamplingRate.Value,
        DiscreteLaplaceEvent discrete => discrete.SamplingRate.Value,
        _ => 1,
    };

    private static (double Epsilon, bool Loose) Epsilon(LossComposition composition, double delta)
    {
        if (composition.Direct is { } direct) return (direct.Epsilon(delta), false);
        double best = composition.Infinite <= delta ? composition.Highest : double.PositiveInfinity;
        if (composition.IsTooLong) return (best, true);
        LossPlan plan = composition.PlanForDelta(Math.Log(delta));
        bool loose = true;
        for (int attempt = 0; attempt < Attempts && loose; attempt++)
        {
            // Each attempt's answer is a bound; a better plan only makes it tighter.
            (double Epsilon, bool Loose)? answer = composition.Compose(plan, attempt > 0).Epsilon(delta);
            if (answer is not { } found) continue;
            best = Math.Min(best, found.Epsilon);
            loose = best > 0 && (found.Loose || best <= plan.Epsilon / 4);
            if (best <= plan.Epsilon / 4) plan = composition.PlanForEpsilon(best) with { Scale = best };
        }

        return (best, loose);
    }

    private static (double Delta, bool Loose) Delta(LossComposition composition, double epsilon)
    {
        if (epsilon >= composition.Highest) return (composition.Infinite, false);
        if (composition.Direct is { } direct) return (direct.Delta(epsilon), false);
        if (composition.IsTooLong) return (1, true);
        LossPlan plan = composition.PlanForEpsilon(epsilon);
        (double delta, bool loose) = composition.Compose(plan, whole: false).Delta(epsilon);
        if (!loose) return (delta, false);
        (double again, loose) = composition.Compose(plan, whole: true).Delta(epsilon);
        return (Math.Min(delta, again), loose);
    }
}
