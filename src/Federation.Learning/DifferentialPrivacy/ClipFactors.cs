using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning.DifferentialPrivacy;

public enum ClippingKind
{
    /// <summary>The whole gradient to L2 norm at most C: g·min(1, C/‖g‖).</summary>
    /// <remarks>Abadi et al. 2016, Algorithm 1.</remarks>
    Flat,

    /// <summary>Each of L layers to a bound of its own, C/√L if none are given; the whole is at most √ΣC_l².</summary>
    /// <remarks>McMahan et al. 2018, section 2.3.</remarks>
    PerLayer,

    /// <summary>The whole gradient scaled to just below C: g·C/(‖g‖ + γ). No bound needs tuning: C and the learning rate are one parameter.</summary>
    /// <remarks>Bu, Wang, Zha, Karypis 2023, equation 4.1 (AUTO-S), times C.</remarks>
    Automatic,
}

/// <summary>From norms to factors.</summary>
internal static class ClipFactors
{
    // Float32 norms are off by a few 2⁻²⁴ of themselves, factors by one more; so much is left free.
    private const double Margin = 1 - (1.0 / (1 << 21));

    /// <param name="squaredNorms">Of each layer, [U]; finite.</param>
    /// <param name="bounds">C of each layer for <see cref="ClippingKind.PerLayer"/>, else one C.</param>
    /// <param name="stability">γ</param>
    /// <returns>For each layer, float32 [U]; and how many units were shortened in any.</returns>
    public static (IReadOnlyList<Tensor> Factors, int Clipped) Of(IReadOnlyList<Tensor> squaredNorms, ClippingKind kind, IReadOnlyList<double> bounds, double stability)
    {
        if (kind != ClippingKind.PerLayer)
        {
            (Tensor factor, int clipped) = Of(stack(squaredNorms).to(ScalarType.Float64).sum(new long[] { 0 }).sqrt(), kind, bounds[0], stability);
            return ([.. squaredNorms.Select(_ => factor)], clipped);
        }

        List<Tensor> factors = [];
        Tensor? any = null;
        for (int layer = 0; layer < squaredNorms.Count; layer++)
        {
            (Tensor factor, _) = Of(squaredNorms[layer].to(ScalarType.Float64).sqrt(), kind, bounds[layer], stability);
            factors.Add(factor);
            Tensor shortened = factor.lt(LastingScalars.One);
            any = any is null ? shortened : any | shortened;
        }

        return (factors, (int)any!.sum().item<long>());
    }

    private static (Tensor Factors, int Clipped) Of(Tensor norms, ClippingKind kind, double bound, double stability)
    {
        using Scalar top = bound * Margin, gamma = stability;
        Tensor factors = kind == ClippingKind.Automatic ? norms.add(gamma).reciprocal().mul(top) : norms.reciprocal().mul(top).clamp_max(LastingScalars.One);
        Tensor rounded = factors.to(ScalarType.Float32);
        return (rounded, kind == ClippingKind.Automatic ? (int)norms.shape[0] : (int)rounded.lt(LastingScalars.One).sum().item<long>());
    }
}
