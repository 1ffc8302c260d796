using System.Runtime.InteropServices;
using Federation.Formats.Runs;
using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning.Training;

/// <summary>
/// Stochastic gradient descent on parameters in main memory, written out: g + λw, momentum, w − η·g.
/// Torch's own would do; but each of its steps hands native code short-lived scalars that the garbage collector may free while they are read, which on a busy machine ends a run.
/// </summary>
internal sealed class SgdStep(IReadOnlyList<Tensor> parameters, OptimizerSpec spec)
{
    private readonly float _rate = (float)spec.LearningRate, _momentum = (float)spec.Momentum, _decay = (float)spec.WeightDecay;
    private readonly float[]?[] _velocities = new float[]?[parameters.Count];

    /// <summary>Whether all of a module's parameters are float32 in main memory.</summary>
    public static bool CanTake(nn.Module module) => module.parameters().All(parameter => parameter.device_type == DeviceType.CPU && parameter.dtype == ScalarType.Float32 && parameter.is_contiguous());

    public void Zero()
    {
        foreach (Tensor parameter in parameters) parameter.grad = null;
    }

    public void Take()
    {
        for (int i = 0; i < parameters.Count; i++)
        {
            using Tensor? gradient = parameters[i].grad;
            if (gradient is null) continue;
            using Tensor dense = gradient.contiguous();
            Span<float> weights = MemoryMarshal.Cast<byte, float>(parameters[i].bytes);
            ReadOnlySpan<float> slopes = MemoryMarshal.Cast<byte, float>(dense.bytes);
            float[]? velocity = _momentum == 0 ? null : _velocities[i];
            if (_momentum != 0 && velocity is null) velocity = _velocities[i] = new float[weights.Length];
            for (int j = 0; j < weights.Length; j++)
            {
                float slope = slopes[j] + (_decay * weights[j]);
                if (velocity is not null) slope = velocity[j] = (_momentum * velocity[j]) + slope;
                weights[j] -= _rate * slope;
            }
        }
    }
}
