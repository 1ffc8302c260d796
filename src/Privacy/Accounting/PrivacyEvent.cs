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
