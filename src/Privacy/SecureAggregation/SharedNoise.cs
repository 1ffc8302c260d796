using Federation.Privacy.Accounting;
using Federation.Privacy.Mechanisms;

namespace Federation.Privacy.SecureAggregation;

/// <summary>A noise that several sites share: each adds a discrete Gaussian of its own to its vector of whole numbers, and the opened sum has all of them.</summary>
/// <remarks>Kairouz, Liu, Steinke 2021 (the distributed discrete Gaussian mechanism), accounted as a continuous Gaussian and what it is away from it.</remarks>
public static class SharedNoise
{
    /// <summary>What one opening costs, for accountants: a continuous Gaussian, its units sampled before, and how far the opened sum is at most from one.</summary>
    /// <param name="noisySites">n, that surely added their part: the minimum of contributors against everybody outside, less c against c colluding ones. Never the number that came.</param>
    /// <param name="deviation">s, of one site's part.</param>
    /// <param name="sensitivity">Δ₂: by so much one unit moves the vector, in its whole numbers.</param>
    /// <param name="dimension">d, numbers in the vector.</param>
    /// <param name="samplingRate">With which each unit entered its site's vector.</param>
    /// <param name="otherDistance">In total variation: of the samplers and of whatever else is not quite the mechanism.</param>
    /// <remarks>
    /// In each coordinate the sum of n discrete Gaussians of variance s² is within e^τ of one of variance ns² (Theorem 1 of the paper), which around integers is, within 2⁻¹¹¹, the continuous one of variance ns² − 4 and a discrete one around its outcome: post-processing, as for <see cref="GridGaussian"/>.
    /// </remarks>
    public static PrivacyEvent Event(int noisySites, double deviation, double sensitivity, int dimension, SamplingRate samplingRate, double otherDistance)
    {
        double variance = (noisySites * deviation * deviation) - DiscreteGaussian.RoundingVariance;
        if (!(variance > 0)) return new NonPrivateEvent();
        double multiplier = Math.Sqrt(variance) / (sensitivity * RoundedUp);
        double distance = (dimension * (Math.Exp(Tau(noisySites, deviation)) - 1 + DiscreteGaussian.RoundingDistance)) + otherDistance;
        return new InexactEvent(new GaussianEvent(new NoiseMultiplier(multiplier), samplingRate), Math.Min(1, distance * RoundedUp));
    }

    /// <summary>τ = 10·Σ_{k=1}^{n−1} e^(−2π²s²·k/(k+1)), a coordinate.</summary>
    internal static double Tau(int noisySites, double deviation)
    {
        double tau = 0;
        for (int k = 1; k < noisySites; k++) tau += 10 * Math.Exp(-2 * Math.PI * Math.PI * deviation * deviation * k / (k + 1));
        return tau;
    }

    /// <summary>More than a chain of a few roundings loses.</summary>
    internal const double RoundedUp = 1 + 1e-13;
}
