namespace Federation.Privacy.Accounting;

/// <summary>What a sequence of events amounts to: how often each happened. Order does not matter to the accountants here.</summary>
internal sealed class EventTally
{
    private const double LargestLoss = 1e12;
    private readonly Dictionary<PrivacyEvent, long> _counts = [];

    /// <summary>Simple events, none of them repeated or composed, with their counts.</summary>
    public IReadOnlyDictionary<PrivacyEvent, long> Counts => _counts;

    /// <summary>Σ of the statistical distances between the noise that was added and the exact one.</summary>
    public double StatisticalDistance { get; private set; }

    /// <summary>Some event was released without noise, or with so little that one loss may reach 10¹².</summary>
    public bool HasNoiseless { get; private set; }

    /// <exception cref="OverflowException">More than 2⁶³ − 1 repetitions.</exception>
    /// <exception cref="UnsupportedEventException">An event means nothing under this relation.</exception>
    public static EventTally Of(IEnumerable<PrivacyEvent> events, NeighboringRelation relation)
    {
        EventTally tally = new();
        tally.Add(events, relation);
        return tally;
    }

    /// <exception cref="OverflowException">More than 2⁶³ − 1 repetitions.</exception>
    /// <exception cref="UnsupportedEventException">An event means nothing under this relation.</exception>
    public void Add(IEnumerable<PrivacyEvent> events, NeighboringRelation relation)
    {
        foreach (PrivacyEvent one in events) Add(one, 1, relation);
    }

    private void Add(PrivacyEvent one, long count, NeighboringRelation relation)
    {
        switch (one)
        {
            case RepeatedEvent repeated:
                Add(repeated.Event, Multiply(count, repeated.Count), relation);
                return;
            case ComposedEvent composed:
                foreach (PrivacyEvent part in composed.Events) Add(part, count, relation);
                return;
            case InexactEvent inexact:
                StatisticalDistance += count * inexact.StatisticalDistance;
                Add(inexact.Exact, count, relation);
                return;
            case DiscreteGaussianEvent { Variance: >= PldAccountant.WideVariance, SamplingRate.Value: < 1 } wide when !IsNoiseless(wide):
                (PrivacyEvent continuous, double distance) = PldAccountant.Simplified(wide);
                StatisticalDistance += count * distance;
                Add(continuous, count, relation);
                return;
            case RandomizedResponseEvent when relation != NeighboringRelation.ReplaceOne:
                throw new UnsupportedEventException("Randomised response hides which category a unit has, not whether the unit is there: account for it under ReplaceOne.");
        }

        if (IsNoiseless(one)) HasNoiseless = true;
        if (IsFree(one) || one is NonPrivateEvent) return;
        if (_counts.TryGetValue(one, out long before) && before > long.MaxValue - count) throw TooMany();
        _counts[one] = before + count;
    }

    private static bool IsNoiseless(PrivacyEvent one) => one switch
    {
        NonPrivateEvent => true,
        GaussianEvent gaussian => gaussian.NoiseMultiplier.Value < 1e-6,
        LaplaceEvent laplace => laplace.Scale / laplace.Sensitivity < 1 / LargestLoss,
        DiscreteGaussianEvent discrete => (double)discrete.Sensitivity * discrete.Sensitivity > LargestLoss * discrete.Variance,
        DiscreteLaplaceEvent discrete => discrete.Parameter * discrete.Sensitivity > LargestLoss,
        RandomizedResponseEvent response => response.NoiseParameter / response.Categories < 1e-300,
        _ => false,
    };

    private static bool IsFree(PrivacyEvent one) => one is RandomizedResponseEvent { NoiseParameter: 1 };

    private static long Multiply(long a, long b) => a <= long.MaxValue / b ? a * b : throw TooMany();

    private static OverflowException TooMany() => new("An event is repeated more than 9.2e18 times.");
}
