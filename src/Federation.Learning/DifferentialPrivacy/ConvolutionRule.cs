using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Federation.Learning.DifferentialPrivacy;

/// <summary>
/// Conv1d and Conv2d: a linear layer at each place of the output, its input the patch under the kernel, within each group.
/// Stride, padding (zeros, reflected, replicated, circular, "same"), dilation and groups as the module has them.
/// </summary>
/// <remarks>Bu, Mao, Xu 2022 (scalable and efficient training of large convolutional neural networks with differential privacy), equation 2.5.</remarks>
internal static class ConvolutionRule
{
    public static IReadOnlyList<GradientPart> Parts(Convolution module, IReadOnlyList<LayerCall> calls, BatchUnits units, Func<string, bool> trains)
    {
        if (calls.FirstOrDefault(call => call.Input.dim() != module.kernel_size.Length + 2) is { } wrong)
        {
            throw new LearningException($"A convolution got an input of shape [{string.Join(", ", wrong.Input.shape)}]; its first dimension must be the record.");
        }

        List<GradientPart> parts = [];
        Tensor[] gradients = [.. calls.Select(call => call.OutputGradient.reshape(call.OutputGradient.shape[0], call.OutputGradient.shape[1], -1))]; // [B, O, T]
        if (trains("weight"))
        {
            ConvolutionPatches patches = ConvolutionPatches.Of(module);
            // [U, m, …], m the most records of one unit.
            (Tensor Input, Tensor Gradient, long[] Shape, long Positions)[] used = [.. calls.Zip(gradients, (call, gradient) => (PerUnit(units, call.Input), PerUnit(units, gradient), call.Input.shape, gradient.shape[2]))];
            OuterProductShape shape = new(units.Count, module.groups, used.Sum(call => call.Gradient.shape[1] * call.Positions), patches.Width, module.out_channels / module.groups);
            parts.Add(new OuterProductPart(
                "weight", shape,
                (first, count) => (
                    Joined(used.Select(call => patches.Of(Slice(call.Input, first, count).reshape([-1, .. call.Shape[1..]]), count))),
                    Joined(used.Select(call => Gradients(Slice(call.Gradient, first, count), shape, call.Positions)))),
                patches.Arranged));
        }

        if (trains("bias")) parts.Add(new MaterialisedPart("bias", units.Sum(gradients.Select(gradient => gradient.sum(new long[] { 2 })).Aggregate((a, b) => a.Plus(b)))));
        return parts;
    }

    private static Tensor PerUnit(BatchUnits units, Tensor perRecord) => units.Concatenate(perRecord.reshape(perRecord.shape[0], 1, -1));

    private static Tensor Slice(Tensor all, int first, int count) => count == all.shape[0] ? all : all.slice(0, first, first + count, 1);

    /// <summary>[n, m, O·T] → [n·G, p, m·T]</summary>
    private static Tensor Gradients(Tensor perUnit, OuterProductShape shape, long positions) => perUnit.shape[1] == 1
        ? perUnit.reshape(-1, shape.Outputs, positions)
        : perUnit.view(perUnit.shape[0], perUnit.shape[1], shape.Groups, shape.Outputs, positions).permute(0, 2, 3, 1, 4).reshape(perUnit.shape[0] * shape.Groups, shape.Outputs, -1);

    private static Tensor Joined(IEnumerable<Tensor> calls)
    {
        Tensor[] all = [.. calls];
        return all.Length == 1 ? all[0] : cat(all, 2);
    }
}
