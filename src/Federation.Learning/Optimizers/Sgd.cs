using System.Numerics;
using System.Runtime.InteropServices;
using Federation.Formats.Runs;
using TorchSharp;

namespace Federation.Learning.Optimizers;

/// <summary>Stochastic gradient descent: g + λw, momentum μ, w − η·g, as PyTorch has it.</summary>
internal sealed class Sgd : InMemoryOptimizer
{
    private readonly float _momentum, _decay;
    private readonly float[]?[] _velocities;

    /// <param name="spec">Of kind sgd.</param>
    public Sgd(torch.nn.Module module, OptimizerSpec spec, GradientCorrection? correction = null)
        : base(module, spec.LearningRate, correction)
    {
        (_momentum, _decay) = ((float)spec.Momentum, (float)spec.WeightDecay);
        _velocities = new float[Count][];
    }

    protected override void Move(int index, Span<float> weights, ReadOnlySpan<float> gradient) =>
        Step(weights, gradient, _momentum == 0 ? [] : _velocities[index] ??= new float[weights.Length], new((float)LearningRate, _momentum, _decay));

    /// <param name="velocity">As many values as the others, changed in place; or none, without momentum.</param>
    internal static void Step(Span<float> weights, ReadOnlySpan<float> gradient, Span<float> velocity, Factors factors)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(gradient.Length, weights.Length);
        if (!velocity.IsEmpty) ArgumentOutOfRangeException.ThrowIfNotEqual(velocity.Length, weights.Length);
        Span<Vector<float>> w = MemoryMarshal.Cast<float, Vector<float>>(weights), v = MemoryMarshal.Cast<float, Vector<float>>(velocity);
        ReadOnlySpan<Vector<float>> g = MemoryMarshal.Cast<float, Vector<float>>(gradient);
        Vector<float> rate = new(factors.Rate), momentum = new(factors.Momentum), decay = new(factors.Decay);
        for (int i = 0; i < w.Length; i++)
        {
            Vector<float> slope = g[i] + (decay * w[i]);
            if (!v.IsEmpty) v[i] = slope = (momentum * v[i]) + slope;
            w[i] -= rate * slope;
        }

        int done = w.Length * Vector<float>.Count;
        StepScalar(weights[done..], gradient[done..], velocity.IsEmpty ? velocity : velocity[done..], factors);
    }

    /// <summary>The plain twin of <see cref="Step"/>.</summary>
    internal static void StepScalar(Span<float> weights, ReadOnlySpan<float> gradient, Span<float> velocity, Factors factors)
    {
        for (int i = 0; i < weights.Length; i++)
        {
            float slope = gradient[i] + (factors.Decay * weights[i]);
            if (!velocity.IsEmpty) velocity[i] = slope = (factors.Momentum * velocity[i]) + slope;
            weights[i] -= factors.Rate * slope;
        }
    }

    /// <param name="Rate">η</param>
    /// <param name="Momentum">μ</param>
    /// <param name="Decay">λ</param>
    internal readonly record struct Factors(float Rate, float Momentum, float Decay);
}
