using static TorchSharp.torch;

namespace Federation.Learning.DifferentialPrivacy;

/// <summary>What a batch's losses must be.</summary>
internal static class Losses
{
    /// <exception cref="LearningException">Not one loss for each record.</exception>
    public static void Check(Tensor losses, int records)
    {
        CheckShape(losses, records);
        if (losses.dtype != ScalarType.Float32) throw new LearningException($"The losses are {losses.dtype}; float32 is needed.");
        if (!losses.requires_grad) throw new LearningException("The losses do not depend on any parameter that requires a gradient.");
    }

    /// <exception cref="LearningException">Not one loss for each record.</exception>
    public static void CheckShape(Tensor losses, int records)
    {
        if (losses.dim() != 1 || losses.shape[0] != records)
        {
            throw new LearningException($"{records} records gave losses of shape [{string.Join(", ", losses.shape)}]; one loss for each record is needed (reduction: Reduction.None), not their mean.");
        }
    }

    /// <summary>Which units' losses and norms are all finite; null: every unit's. One look at the device where they are.</summary>
    /// <param name="losses">[B]</param>
    /// <param name="squaredNorms">Of each layer, float32 [U].</param>
    public static bool[]? Finite(Tensor losses, IReadOnlyList<Tensor> squaredNorms, BatchUnits units)
    {
        Tensor norms = stack(squaredNorms);
        // In double precision no sum of finite float32 values overflows.
        if (losses.sum(ScalarType.Float64).Plus(norms.sum(ScalarType.Float64)).isfinite().item<bool>()) return null;
        Tensor wrong = units.Sum(losses.isfinite().logical_not().to(ScalarType.Int64)).Plus(norms.isfinite().logical_not().to(ScalarType.Int64).sum(new long[] { 0 }));
        return [.. wrong.cpu().data<long>().Select(count => count == 0)];
    }

    /// <summary>Weighted, in double precision.</summary>
    public static double Sum(Tensor losses, Tensor weights) => losses.to(ScalarType.Float64).mul(weights).sum().item<double>();

    public static Tensor Weights(PrivateBatch batch, IEnumerable<int> places, Tensor losses) =>
        batch.Weights is { } weights ? tensor(places.Select(i => weights[i]).ToArray(), device: losses.device) : ones_like(losses);
}
