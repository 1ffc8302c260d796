using Federation.Learning.Data;
using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning.Training;

/// <summary>What private training minimises on a table: each row's loss, of that row alone.</summary>
internal static class RowLosses
{
    /// <param name="inputs">The rows' features [n, width], on the device that trains.</param>
    /// <param name="binary">One logit of class 1; else a logit for each class.</param>
    /// <returns>From row indices [B] (int64) to losses [B]. It lives as long as the scope it is made in.</returns>
    public static Func<Tensor, Tensor> Of(nn.Module<Tensor, Tensor> module, Rows rows, Tensor inputs, bool binary)
    {
        Tensor targets = binary ? tensor(rows.Labels.Select(label => (float)label).ToArray(), device: inputs.device) : tensor(rows.Labels.Select(label => (long)label).ToArray(), device: inputs.device);
        return records =>
        {
            Tensor outputs = module.call(inputs.index_select(0, records)), own = targets.index_select(0, records);
            return binary
                ? nn.functional.binary_cross_entropy_with_logits(outputs.squeeze(1), own, reduction: nn.Reduction.None)
                : nn.functional.cross_entropy(outputs, own, reduction: nn.Reduction.None);
        };
    }
}
