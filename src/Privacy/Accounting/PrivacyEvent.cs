namespace Federation.Privacy.Accounting;

/// <summary>One use of a mechanism: what was released, not what it costs. Accountants say what it costs, or refuse an event that they cannot bound.</summary>
public abstract record PrivacyEvent;

/// <summary>f(D) + N(0, σ²·Δ²), Δ the L2 sensitivity; the units sampled at a rate before.</summary>
/// <remarks>Dwork and Roth 2014, Appendix A; sampled: Abadi et al. 2016.</remarks>
public sealed record GaussianEvent(NoiseMultiplier NoiseMultiplier, SamplingRate SamplingRate) : PrivacyEvent
{
    public GaussianEvent(double noiseMultiplier, double samplingRate = 1)
        : this(new NoiseMultiplier(noiseMultiplier), new SamplingRate(samplingRate))
    {
    }
}

/// <summary>f(D) + Laplace(b), b over the L1 sensitivity; the units sampled at a rate before.</summary>
/// <remarks>Dwork, McSherry, Nissim, Smith 2006.</remarks>
public sealed record LaplaceEvent : PrivacyEvent
{
    /// <param name="scale">b, in [0, ∞); 0 is no noise.</param>
    /// <param name="sensitivity">L1 sensitivity, positive.</param>
    /// <exception cref="ArgumentOutOfRangeException">A value is out of range or NaN.</exception>
    public LaplaceEvent(double scale, double sensitivity = 1, double samplingRate = 1)
    {
        if (scale is not (>= 0 and < double.PositiveInfinity)) throw new ArgumentOutOfRangeException(nameof(scale), scale, "A scale must be in [0, ∞).");
        if (sensitivity is not (> 0 and < double.PositiveInfinity)) throw new ArgumentOutOfRangeException(nameof(sensitivity), sensitivity, "A sensitivity must be in (0, ∞).");
        (Scale, Sensitivity, SamplingRate) = (scale, sensitivity, new SamplingRate(samplingRate));
    }

    public double Scale { get; }

    public double Sensitivity { get; }

    public SamplingRate SamplingRate { get; }
}

/// <summary>f(D) + discrete Gaussian noise, Pr[x] ∝ e^(−x²/(2σ²)) on the integers, f an integer.</summary>
/// <remarks>Canonne, Kamath, Steinke 2020.</remarks>
public sealed record DiscreteGaussianEvent : PrivacyEvent
{
    /// <param name="variance">The parameter σ², in [0, ∞); 0 is no noise.</param>
    /// <param name="sensitivity">Of f, a positive integer.</param>
    /// <exception cref="ArgumentOutOfRangeException">A value is out of range or NaN.</exception>
    public DiscreteGaussianEvent(double variance, long sensitivity = 1, double samplingRate = 1)
    {
        if (variance is not (>= 0 and < double.PositiveInfinity)) throw new ArgumentOutOfRangeException(nameof(variance), variance, "A variance must be in [0, ∞).");
        if (sensitivity <= 0) throw new ArgumentOutOfRangeException(nameof(sensitivity), sensitivity, "A sensitivity must be a positive integer.");
        (Variance, Sensitivity, SamplingRate) = (variance, sensitivity, new SamplingRate(samplingRate));
    }

    public double Variance { get; }

    public long Sensitivity { get; }

    public SamplingRate SamplingRate { get; }
}

/// <summary>f(D) + discrete Laplace noise, Pr[x] ∝ e^(−λ|x|) on the integers, f an integer.</summary>
/// <remarks>Ghosh, Roughgarden, Sundararajan 2009 (the geometric mechanism).</remarks>
public sealed record DiscreteLaplaceEvent : PrivacyEvent
{
    /// <param name="parameter">λ, in (0, ∞]; ∞ is no noise.</param>
    /// <param name="sensitivity">Of f, a positive integer.</param>
    /// <exception cref="ArgumentOutOfRangeException">A value is out of range or NaN.</exception>
    public DiscreteLaplaceEvent(double parameter, long sensitivity = 1, double samplingRate = 1)
    {
        if (parameter is not > 0) throw new ArgumentOutOfRangeException(nameof(parameter), parameter, "The parameter must be in (0, ∞].");
        if (sensitivity <= 0) throw new ArgumentOutOfRangeException(nameof(sensitivity), sensitivity, "A sensitivity must be a positive integer.");
        (Parameter, Sensitivity, SamplingRate) = (parameter, sensitivity, new SamplingRate(samplingRate));
    }

    public double Parameter { get; }

    public long Sensitivity { get; }

    public SamplingRate SamplingRate { get; }
}

/// <summary>A unit's category, replaced with probability p by one drawn evenly from all. Defined under <see cref="NeighboringRelation.ReplaceOne"/> only.</summary>
/// <remarks>Warner 1965; k categories: Kairouz, Oh, Viswanath 2014.</remarks>
public sealed record RandomizedResponseEvent : PrivacyEvent
{
    /// <param name="noiseParameter">p, in [0, 1]; 0 is no noise.</param>
    /// <param name="categories">k, at least 2.</param>
    /// <exception cref="ArgumentOutOfRangeException">A value is out of range or NaN.</exception>
    public RandomizedResponseEvent(double noiseParameter, int categories = 2)
    {
        if (noiseParameter is not (>= 0 and <= 1)) throw new ArgumentOutOfRangeException(nameof(noiseParameter), noiseParameter, "A noise parameter must be in [0, 1].");
        if (categories < 2) throw new ArgumentOutOfRangeException(nameof(categories), categories, "There must be at least 2 categories.");
        (NoiseParameter, Categories) = (noiseParameter, categories);
    }

    public double NoiseParameter { get; }

    public int Categories { get; }
}

/// <summary>A mechanism whose output is not quite the exact one's.</summary>
public sealed record InexactEvent : PrivacyEvent
{
    /// <param name="exact">The mechanism that was meant.</param>
    /// <param name="statisticalDistance">At most this far, in total variation, is what was really released; in [0, 1]. Accountants add (1 + e^ε) times it to δ.</param>
    /// <exception cref="ArgumentOutOfRangeException">The distance is out of range or NaN.</exception>
    public InexactEvent(PrivacyEvent exact, double statisticalDistance)
    {
        if (statisticalDistance is not (>= 0 and <= 1)) throw new ArgumentOutOfRangeException(nameof(statisticalDistance), statisticalDistance, "A statistical distance must be in [0, 1].");
        (Exact, StatisticalDistance) = (exact, statisticalDistance);
    }

    public PrivacyEvent Exact { get; }

    public double StatisticalDistance { get; }
}

/// <summary>A release without any noise: whoever sees it may learn everything. ε is infinite from then on.</summary>
public sealed record NonPrivateEvent : PrivacyEvent;

/// <summary>Something of which only the Rényi divergences are known. The RDP accountant takes it; no other can.</summary>
public sealed record RenyiEvent : PrivacyEvent
{
    /// <param name="divergences">An upper bound at each of <see cref="RdpAccountant.DefaultOrders"/>, in [0, ∞].</param>
    /// <exception cref="ArgumentException">Not one for each order.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A divergence is negative or NaN.</exception>
    public RenyiEvent(IEnumerable<double> divergences)
    {
        double[] values = [.. divergences];
        if (values.Length != RdpAccountant.DefaultOrders.Count) throw new ArgumentException($"There are {values.Length} divergences for {RdpAccountant.DefaultOrders.Count} orders.", nameof(divergences));
        foreach (double value in values)
        {
            if (value is not >= 0) throw new ArgumentOutOfRangeException(nameof(divergences), value, "A divergence must be in [0, ∞].");
        }

        Divergences = values;
    }

    public IReadOnlyList<double> Divergences { get; }

    /// <summary>The bound at any order: that of the next listed one, because divergences do not fall with the order; beyond the last, ∞.</summary>
    internal double At(double order)
    {
        for (int i = 0; i < Divergences.Count; i++)
        {
            if (RdpAccountant.DefaultOrders[i] >= order) return Divergences[i];
        }

        return double.PositiveInfinity;
    }
}

/// <summary>An event that happened several times, independently.</summary>
public sealed record RepeatedEvent : PrivacyEvent
{
    /// <exception cref="ArgumentOutOfRangeException">The count is not positive.</exception>
    public RepeatedEvent(PrivacyEvent repeated, long count)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(count);
        (Event, Count) = (repeated, count);
    }

    public PrivacyEvent Event { get; }

    public long Count { get; }
}

/// <summary>Several events, the later ones chosen knowing the earlier results.</summary>
public sealed record ComposedEvent(IReadOnlyList<PrivacyEvent> Events) : PrivacyEvent;

/// <summary>An accountant cannot bound this event, under this relation.</summary>
public sealed class UnsupportedEventException(string message) : NotSupportedException(message);
