namespace Federation.Privacy.Accounting;

/// <summary>(ε, δ)-DP: Pr[M(D)∈S] ≤ e^ε·Pr[M(D′)∈S] + δ for all neighbours D, D′ and all S.</summary>
/// <remarks>Dwork and Roth 2014, Definition 2.4.</remarks>
// A class: default(struct) would be (0, 0), a claim of perfect privacy.
public sealed record PrivacyLoss
{
    /// <exception cref="ArgumentOutOfRangeException">ε or δ is out of range or NaN.</exception>
    public PrivacyLoss(double epsilon, double delta, NeighboringRelation relation)
    {
        // Patterns refuse NaN; ThrowIfNegative and ThrowIfGreaterThan can let it through.
        if (epsilon is not >= 0) throw new ArgumentOutOfRangeException(nameof(epsilon), epsilon, "Must be in [0, ∞].");
        if (delta is not (>= 0 and <= 1)) throw new ArgumentOutOfRangeException(nameof(delta), delta, "Must be in [0, 1].");
        (Epsilon, Delta, Relation) = (epsilon, delta, relation);
    }

    /// <summary>In [0, ∞]; ∞ means no guarantee.</summary>
    public double Epsilon { get; }

    /// <summary>In [0, 1].</summary>
    public double Delta { get; }

    public NeighboringRelation Relation { get; }

    /// <summary>The same promise for k units that change together, such as a family: (kε, δ·(e^(kε) − 1)/(e^ε − 1)).</summary>
    /// <remarks>Vadhan 2017, Lemma 2.2.</remarks>
    /// <exception cref="ArgumentOutOfRangeException">The size is not positive.</exception>
    public PrivacyLoss ForGroup(int size)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(size);
        // Σ_{i<k} e^(iε), which is k at ε = 0.
        double factor = Epsilon == 0 ? size : Delta == 0 ? 0 : Precise.Expm1(size * Epsilon) / Precise.Expm1(Epsilon);
        return new(size * Epsilon, double.IsNaN(factor) ? 1 : Math.Min(1, Delta * factor), Relation);
    }
}

/// <summary>Noise standard deviation over L2 sensitivity, in [0, ∞); 0 is no noise, hence no privacy.</summary>
public sealed record NoiseMultiplier
{
    /// <exception cref="ArgumentOutOfRangeException">Negative, infinite or NaN.</exception>
    public NoiseMultiplier(double value)
    {
        if (value is not (>= 0 and < double.PositiveInfinity)) throw new ArgumentOutOfRangeException(nameof(value), value, "A noise multiplier must be in [0, ∞).");
        Value = value;
    }

    public double Value { get; }
}

/// <summary>Probability with which each unit enters a sample, independently of the others (Poisson sampling), in (0, 1].</summary>
public sealed record SamplingRate
{
    public static readonly SamplingRate All = new(1);

    /// <exception cref="ArgumentOutOfRangeException">Not in (0, 1], or NaN.</exception>
    public SamplingRate(double value)
    {
        if (value is not (> 0 and <= 1)) throw new ArgumentOutOfRangeException(nameof(value), value, "A sampling rate must be in (0, 1].");
        Value = value;
    }

    public double Value { get; }
}
