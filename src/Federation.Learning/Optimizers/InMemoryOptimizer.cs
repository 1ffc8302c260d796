using System.Runtime.InteropServices;
using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Federation.Learning.Optimizers;

/// <summary>
/// An optimizer of float32 parameters in main memory, written out over their values. Torch's own would do; but each of their steps hands native code short-lived scalars
/// that the garbage collector may free while they are read, which on a busy machine ends a run.
/// </summary>
/// <remarks>A step takes each value by itself through additions, multiplications, divisions and square roots that are each rounded once, so its bytes depend neither on the number of threads nor on the width of vectors.</remarks>
internal abstract class InMemoryOptimizer : optim.Optimizer
{
    private readonly Parameter[] _parameters;
    private readonly GradientCorrection? _correction;

    /// <param name="module">One that <see cref="CanTake"/>; its parameters stay where they are from then on.</param>
    /// <param name="learningRate">η of the first step.</param>
    /// <param name="correction">Added to each gradient; null: nothing is.</param>
    protected InMemoryOptimizer(nn.Module module, double learningRate, GradientCorrection? correction)
        : base(IntPtr.Zero) => (_parameters, LearningRate, _correction) = ([.. module.parameters()], learningRate, correction);

    /// <summary>η of the next step.</summary>
    public double LearningRate { get; set; }

    /// <summary>How many parameters there are.</summary>
    protected int Count => _parameters.Length;

    /// <summary>Whether all of a module's parameters are dense float32 in main memory, none of 2 GiB or more.</summary>
    public static bool CanTake(nn.Module module) => module.parameters().All(parameter =>
        parameter.device_type == DeviceType.CPU && parameter.dtype == ScalarType.Float32 && parameter.is_contiguous() && parameter.numel() <= int.MaxValue / sizeof(float));

    public override IEnumerable<Parameter> parameters() => _parameters;

    /// <summary>Takes all gradients away: a parameter that the next loss does not depend on is then left alone.</summary>
    public override void zero_grad()
    {
        foreach (Parameter parameter in _parameters) parameter.grad = null;
    }

    /// <summary>Moves each parameter that has a gradient.</summary>
    public override Tensor? step(Func<Tensor>? closure = null)
    {
        Tensor? loss = closure?.Invoke();
        for (int i = 0; i < _parameters.Length; i++)
        {
            using Tensor? gradient = _parameters[i].grad;
            if (gradient is null) continue;
            using Tensor dense = gradient.is_sparse ? gradient.to_dense() : gradient.contiguous();
            Span<float> weights = MemoryMarshal.Cast<byte, float>(_parameters[i].bytes);
            ReadOnlySpan<float> slope = MemoryMarshal.Cast<byte, float>(dense.bytes);
            if (_correction is null)
            {
                Move(i, weights, slope);
                continue;
            }

            float[] corrected = slope.ToArray(); // the gradient itself may be what was released
            _correction.Add(i, weights, corrected);
            Move(i, weights, corrected);
        }

        return loss;
    }

    /// <param name="index">Of the parameter, from 0.</param>
    /// <param name="weights">Its values; changed in place.</param>
    /// <param name="gradient">As many values.</param>
    protected abstract void Move(int index, Span<float> weights, ReadOnlySpan<float> gradient);
}
