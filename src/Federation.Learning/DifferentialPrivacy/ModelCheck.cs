using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Federation.Learning.DifferentialPrivacy;

/// <summary>Why a model cannot be trained with differential privacy.</summary>
/// <param name="Layer">Its path in the model.</param>
/// <param name="Reason">A sentence.</param>
/// <param name="Repair">A sentence.</param>
public sealed record ModelProblem(string Layer, string Reason, string Repair)
{
    public override string ToString() => $"'{Layer}': {Reason} {Repair}";
}

/// <summary>Finds modules that mix records, or that keep something of them in the model without noise.</summary>
public static class ModelCheck
{
    /// <summary>All problems; none where the model can be trained. The weights stay as they are.</summary>
    public static IReadOnlyList<ModelProblem> Problems(nn.Module model) =>
        [.. ModelLayers.Modules(model).Select(entry => Problem(entry.Path, entry.Module)).OfType<ModelProblem>()];

    /// <exception cref="LearningException">Names every problem and its repair.</exception>
    public static void Require(nn.Module model)
    {
        IReadOnlyList<ModelProblem> problems = Problems(model);
        if (problems.Count > 0) throw new LearningException($"The model cannot be trained with differential privacy. {string.Join(" ", problems)}");
    }

    private static ModelProblem? Problem(string layer, nn.Module module) => module switch
    {
        BatchNorm => new(layer, "BatchNorm makes each record's output depend on the whole batch, so no record's influence can be bounded, and its running statistics would be released without noise.", "Use GroupNorm (ModelFixer.Fix swaps it), LayerNorm or InstanceNorm without running statistics."),
        InstanceNorm { track_running_stats: true } => new(layer, "InstanceNorm with running statistics keeps means of the records in the model, without noise.", "Use track_running_stats: false (ModelFixer.Fix sets it)."),
        Embedding embedding => Problem(layer, embedding),
        _ => null,
    };

    /// <summary>TorchSharp's module does not tell how it was made, but it shows.</summary>
    private static ModelProblem? Problem(string layer, Embedding module)
    {
        Tensor weight = module.weight!;
        using IDisposable scope = NewDisposeScope(), off = no_grad();
        Tensor kept = weight.select(0, 0).clone(), word = zeros(1, dtype: ScalarType.Int64, device: weight.device);
        try
        {
            weight.select(0, 0).fill_(1e15f); // longer than any sensible limit
            _ = module.forward(word);
            if (weight.select(0, 0).ne(1e15f).any().item<bool>()) return new(layer, "An Embedding with max_norm changes the rows of the words that records hold, without noise.", "Leave max_norm out.");
        }
        finally
        {
            weight.select(0, 0).copy_(kept);
        }

        if (!weight.requires_grad) return null;
        using IDisposable on = enable_grad();
        // The last two words once and the first two twice: whichever is padding, one of two shows whether repetition counts.
        long words = weight.shape[0];
        Tensor repeated = tensor(new[] { 0, 0, Math.Min(1, words - 1), Math.Min(1, words - 1) }, device: weight.device);
        Tensor output = module.forward(repeated), gradient = EmbeddingRule.Dense(autograd.grad([output], [weight], [ones_like(output)])[0]);
        return gradient.max().item<float>() is > 0 and < 2
            ? new(layer, "An Embedding with scale_grad_by_freq divides a record's gradient by how often others in the batch use the same word.", "Leave scale_grad_by_freq out.")
            : null;
    }
}
