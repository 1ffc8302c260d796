using Federation.Privacy.Accounting;

namespace Federation.Privacy.Mechanisms;

/// <summary>A clipping norm that follows a quantile of the updates' norms. Each step releases one noisy count, which is a privacy event of its own.</summary>
/// <remarks>
/// Andrew, Thakkar, McMahan, Ramaswamy 2021, Algorithm 1, geometric update. Each contributor votes +1 if its norm is at most C and −1 if not, which is twice the paper's bᵢ − 1/2;
/// the sum gets discrete Gaussian noise of variance (2σ_b)², so the count is exact integers and its event is a <see cref="DiscreteGaussianEvent"/>.
/// </remarks>
public sealed class AdaptiveClipping
{
    private const double SmallestNorm = 1e-30, LargestNorm = 1e30; // noise must not drive C to where it cannot come back from
    private readonly double _learningRate, _variance;
    private readonly DiscreteGaussianSampler? _sampler;

    /// <param name="initialNorm">C of the first round, positive.</param>
    /// <param name="quantile">γ, the fraction of norms to end up at or below C, in [0, 1]; the paper's choice is 0.5.</param>
    /// <param name="learningRate">η_C, positive; the paper's choice is 0.2.</param>
    /// <param name="countNoise">σ_b, the noise of the paper's count, not negative; its choice is a twentieth of the contributors. 0 is no privacy.</param>
    /// <exception cref="ArgumentOutOfRangeException">A value is out of range or NaN.</exception>
    public AdaptiveClipping(double initialNorm, double quantile, double learningRate, double countNoise, SecureRandom random)
    {
        if (initialNorm is not (> 0 and < double.PositiveInfinity)) throw new ArgumentOutOfRangeException(nameof(initialNorm), initialNorm, "A clipping norm must be in (0, ∞).");
        if (quantile is not (>= 0 and <= 1)) throw new ArgumentOutOfRangeException(nameof(quantile), quantile, "A quantile must be in [0, 1].");
        if (learningRate is not (> 0 and < double.PositiveInfinity)) throw new ArgumentOutOfRangeException(nameof(learningRate), learningRate, "A learning rate must be in (0, ∞).");
        if (countNoise is not (>= 0 and < double.PositiveInfinity)) throw new ArgumentOutOfRangeException(nameof(countNoise), countNoise, "Noise must be in [0, ∞).");
        double variance = 4 * countNoise * countNoise;
        (Norm, Quantile, _learningRate, _variance) = (initialNorm, quantile, learningRate, variance);
        if (variance > 0) _sampler = new(variance, random);
    }

    /// <summary>C, for the coming round.</summary>
    public double Norm { get; private set; }

    /// <summary>γ.</summary>
    public double Quantile { get; }

    /// <summary>What one <see cref="Update"/> costs. A contributor more or less moves the sum by 1, another in its place by 2.</summary>
    /// <param name="samplingRate">With which each contributor was drawn into the round. Count and update then share one sample: to account for both as one event, take <see cref="UpdateNoiseMultiplier"/> instead of this.</param>
    public PrivacyEvent Event(NeighboringRelation relation, double samplingRate = 1) =>
        new InexactEvent(new DiscreteGaussianEvent(_variance, relation == NeighboringRelation.ReplaceOne ? 2 : 1, samplingRate), _sampler?.StatisticalDistance ?? 0);

    /// <summary>A contributor's vote about its own norm.</summary>
    public int Vote(double norm) => norm <= Norm ? 1 : -1;

    /// <summary>C ← C·e^(−η(b̃ − γ)), b̃ the noisy fraction at or below C.</summary>
    /// <param name="votes">The sum of the votes.</param>
    /// <param name="contributors">Their expected number, which is public, positive.</param>
    /// <exception cref="ArgumentOutOfRangeException">The number is not positive.</exception>
    public void Update(long votes, long contributors)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(contributors);
        double fraction = 0.5 + ((votes + (_sampler?.Next() ?? 0)) / (2.0 * contributors));
        Norm = Math.Clamp(Norm * Math.Exp(-_learningRate * (fraction - Quantile)), SmallestNorm, LargestNorm);
    }

    /// <summary>The noise multiplier left to the updates so that they and the count together cost what z alone would: (z⁻² − s⁻²)^(−1/2), s the count's own.</summary>
    /// <remarks>
    /// Andrew et al. 2021, Theorem 1, with s = 2σ_b. Its count has continuous noise, ours has discrete noise, which may cost more where it is narrow; but a discrete Gaussian of variance (2σ_b)² is at least as private as
    /// a continuous one of variance (2σ_b)² − 4 (as for <see cref="GridGaussian"/>, within 2⁻¹¹¹), so s = √((2σ_b)² − 4). Under ReplaceOne the count moves by 2, and s is half of that.
    /// </remarks>
    /// <param name="noiseMultiplier">z, positive: noise over sensitivity under the same relation.</param>
    /// <exception cref="ArgumentOutOfRangeException">A value is out of range or NaN, or the count alone costs more than z.</exception>
    public static double UpdateNoiseMultiplier(double noiseMultiplier, double countNoise, NeighboringRelation relation)
    {
        if (noiseMultiplier is not (> 0 and < double.PositiveInfinity)) throw new ArgumentOutOfRangeException(nameof(noiseMultiplier), noiseMultiplier, "A noise multiplier must be in (0, ∞) here.");
        double square = (4 * countNoise * countNoise) - DiscreteGaussian.RoundingVariance, count = Math.Sqrt(square) / (relation == NeighboringRelation.ReplaceOne ? 2 : 1);
        if (!(count > noiseMultiplier)) throw new ArgumentOutOfRangeException(nameof(countNoise), countNoise, $"The count's noise is too small for a noise multiplier of {noiseMultiplier}: it alone costs more.");
        return Math.Pow(Math.Pow(noiseMultiplier, -2) - Math.Pow(count, -2), -0.5);
    }
}
