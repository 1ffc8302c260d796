using static TorchSharp.torch;

namespace Federation.Learning.DifferentialPrivacy;

/// <summary>What a batch's losses must be.</summary>
internal static class Losses
{
    /// <exception cref="LearningException">Not one loss for each record.</exception>
    /// <exception cref="NonFiniteTrainingException">A loss is NaN or ∞.</exception>
    public static void Check(Tensor losses, int records)
    {
        CheckShape(losses, records);
        if (losses.dtype != ScalarType.Float32) throw new LearningException($"The losses are {losses.dtype}; float32 is needed.");
        if (!losses.requires_grad) throw new LearningException("The losses do not depend on any parameter that requires a gradient.");
        if (!losses.detach().isfinite().all().item<bool>()) throw new NonFiniteTrainingException("A training loss is not finite: nothing was released. A lower learning rate helps.");
    }

    /// <exception cref="LearningException">Not one loss for each record.</exception>
    public static void CheckShape(Tensor losses, int records)
    {
        if (losses.dim() != 1 || losses.shape[0] != records)
        {
            throw new LearningException($"{records} records gave losses of shape [{string.Join(", ", losses.shape)}]; one loss for each record is needed (reduction: Reduction.None), not their mean.");
        }
    }

    public static Tensor Weights(PrivateBatch batch, IEnumerable<int> places, Tensor losses) =>
        batch.Weights is { } weights ? tensor(places.Select(i => weights[i]).ToArray(), device: losses.device) : ones_like(losses);
}
