using System.Numerics;
using System.Runtime.InteropServices;
using Federation.Formats.Runs;
using TorchSharp;

namespace Federation.Learning.Optimizers;

/// <summary>Adam, and AdamW, which takes its weight decay off the weights and not through the gradient. β₁ = 0.9, β₂ = 0.999, ε = 10⁻⁸, as PyTorch has them.</summary>
/// <remarks>Kingma and Ba 2015, Algorithm 1, in the order of its section 2: α·m̂/(√v̂ + ε) = α√(1 − β₂ᵗ)/(1 − β₁ᵗ) · m/(√v + ε√(1 − β₂ᵗ)). Loshchilov and Hutter 2019, Algorithm 2.</remarks>
internal sealed class Adam : InMemoryOptimizer
{
    private const double Beta1 = 0.9, Beta2 = 0.999, Epsilon = 1e-8;
    private readonly bool _isDecoupled;
    private readonly double _decay;
    private readonly Moments?[] _moments;

    /// <param name="spec">Of kind adam or adamw.</param>
    public Adam(torch.nn.Module module, OptimizerSpec spec, GradientCorrection? correction = null)
        : base(module, spec.LearningRate, correction)
    {
        (_isDecoupled, _decay) = (spec.Kind == OptimizerKind.AdamW, spec.WeightDecay);
        _moments = new Moments[Count];
    }

    protected override void Move(int index, Span<float> weights, ReadOnlySpan<float> gradient)
    {
        Moments moments = _moments[index] ??= new(weights.Length);
        moments.Steps++;
        double correction = Math.Sqrt(1 - Math.Pow(Beta2, moments.Steps));
        (float decay, float kept) = _isDecoupled ? (0f, (float)(1 - (LearningRate * _decay))) : ((float)_decay, 1f);
        Factors factors = new((float)(LearningRate * correction / (1 - Math.Pow(Beta1, moments.Steps))), (float)(Epsilon * correction), decay, kept);
        Step(weights, gradient, moments.First, moments.Second, factors);
    }

    /// <param name="first">m: as many values as the others, changed in place.</param>
    /// <param name="second">v: likewise.</param>
    internal static void Step(Span<float> weights, ReadOnlySpan<float> gradient, Span<float> first, Span<float> second, Factors factors)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(gradient.Length, weights.Length);
        ArgumentOutOfRangeException.ThrowIfNotEqual(first.Length, weights.Length);
        ArgumentOutOfRangeException.ThrowIfNotEqual(second.Length, weights.Length);
        Span<Vector<float>> w = MemoryMarshal.Cast<float, Vector<float>>(weights), m = MemoryMarshal.Cast<float, Vector<float>>(first), v = MemoryMarshal.Cast<float, Vector<float>>(second);
        ReadOnlySpan<Vector<float>> g = MemoryMarshal.Cast<float, Vector<float>>(gradient);
        Vector<float> rate = new(factors.Rate), epsilon = new(factors.Epsilon), decay = new(factors.Decay), kept = new(factors.Kept);
        Vector<float> beta1 = new((float)Beta1), beta2 = new((float)Beta2), rest1 = new((float)(1 - Beta1)), rest2 = new((float)(1 - Beta2));
        for (int i = 0; i < w.Length; i++)
        {
            Vector<float> slope = g[i] + (decay * w[i]), mean = (beta1 * m[i]) + (rest1 * slope), square = (beta2 * v[i]) + (rest2 * slope * slope);
            (m[i], v[i]) = (mean, square);
            w[i] = (kept * w[i]) - (rate * mean / (Vector.SquareRoot(square) + epsilon));
        }

        int done = w.Length * Vector<float>.Count;
        StepScalar(weights[done..], gradient[done..], first[done..], second[done..], factors);
    }

    /// <summary>The plain twin of <see cref="Step"/>.</summary>
    internal static void StepScalar(Span<float> weights, ReadOnlySpan<float> gradient, Span<float> first, Span<float> second, Factors factors)
    {
        const float rest1 = (float)(1 - Beta1), rest2 = (float)(1 - Beta2);
        for (int i = 0; i < weights.Length; i++)
        {
            float slope = gradient[i] + (factors.Decay * weights[i]);
            first[i] = ((float)Beta1 * first[i]) + (rest1 * slope);
            second[i] = ((float)Beta2 * second[i]) + (rest2 * slope * slope);
            weights[i] = (factors.Kept * weights[i]) - (factors.Rate * first[i] / (MathF.Sqrt(second[i]) + factors.Epsilon));
        }
    }

    /// <param name="Rate">α√(1 − β₂ᵗ)/(1 − β₁ᵗ)</param>
    /// <param name="Epsilon">ε√(1 − β₂ᵗ)</param>
    /// <param name="Decay">λ of Adam; 0 for AdamW.</param>
    /// <param name="Kept">1 − αλ of AdamW; 1 for Adam.</param>
    internal readonly record struct Factors(float Rate, float Epsilon, float Decay, float Kept);

    /// <summary>m and v of one parameter, and t.</summary>
    private sealed class Moments(int length)
    {
        public float[] First { get; } = new float[length];

        public float[] Second { get; } = new float[length];

        public long Steps { get; set; }
    }
}
