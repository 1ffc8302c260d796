using TorchSharp;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Federation.Learning.DifferentialPrivacy;

/// <summary>
/// Conv1d and Conv2d: a linear layer at each place of the output, its input the patch under the kernel (unfolded), within each group.
/// Stride, padding (zeros, reflected, replicated, circular, "same"), dilation and groups as the module has them.
/// </summary>
/// <remarks>Bu, Mao, Xu 2022 (scalable and efficient training of large convolutional neural networks with differential privacy), equation 2.5. Sums of large weights are the convolution's own weight gradient, from the graph that is still there.</remarks>
internal static class ConvolutionRule
{
    public static IReadOnlyList<GradientPart> Parts(Convolution module, IReadOnlyList<LayerCall> calls, BatchUnits units, Func<string, bool> trains)
    {
        int dimensions = module.kernel_size.Length;
        if (calls.FirstOrDefault(call => call.Input.dim() != dimensions + 2) is { } wrong)
        {
            throw new LearningException($"A convolution got an input of shape [{string.Join(", ", wrong.Input.shape)}]; its first dimension must be the record.");
        }

        List<GradientPart> parts = [];
        Tensor[] gradients = [.. calls.Select(call => call.OutputGradient.reshape(call.OutputGradient.shape[0], call.OutputGradient.shape[1], -1))]; // [B, O, T]
        if (trains("weight"))
        {
            Geometry geometry = Geometry.Of(module);
            // [U, m, …], m the most records of one unit.
            (Tensor Input, Tensor Gradient, long[] Shape)[] used = [.. calls.Zip(gradients, (call, gradient) =>
            {
                Tensor input = geometry.Padded(call.Input);
                return (PerUnit(units, input), PerUnit(units, gradient), input.shape);
            })];
            OuterProductShape shape = new(
                units.Count, module.groups, used.Select((call, i) => call.Gradient.shape[1] * gradients[i].shape[2]).Sum(),
                module.in_channels / module.groups * geometry.Kernel.Height * geometry.Kernel.Width, module.out_channels / module.groups);
            parts.Add(new OuterProductPart("weight", shape, (first, count) => (
                Joined(used.Select(call => Positions(geometry.Unfolded(Slice(call.Input, first, count).reshape([-1, .. call.Shape[1..]])), count))),
                Joined(used.Select(call => Positions(Slice(call.Gradient, first, count).reshape(-1, module.out_channels, call.Gradient.shape[2] / module.out_channels), count)))),
                calls.All(call => call.Output is not null) ? factors => Sum(module, calls, factors.index_select(0, units.Index(factors.device))) : null));
        }

        if (trains("bias")) parts.Add(new MaterialisedPart("bias", units.Sum(gradients.Select(gradient => gradient.sum(new long[] { 2 })).Aggregate((a, b) => a + b))));
        return parts;
    }

    private static Tensor Sum(Convolution module, IReadOnlyList<LayerCall> calls, Tensor factors) =>
        calls.Select(call => call.ParameterGradient(module.weight!, call.OutputGradient * factors.view([-1, .. Enumerable.Repeat(1L, (int)call.OutputGradient.dim() - 1)]))).Aggregate((a, b) => a + b);

    private static Tensor PerUnit(BatchUnits units, Tensor perRecord) => units.Concatenate(perRecord.reshape(perRecord.shape[0], 1, -1));

    private static Tensor Slice(Tensor all, int first, int count) => count == all.shape[0] ? all : all.slice(0, first, first + count, 1);

    /// <summary>[n·m, d, T] → [n, d, m·T]</summary>
    private static Tensor Positions(Tensor perRecord, int count)
    {
        long records = perRecord.shape[0] / count, width = perRecord.shape[1];
        return records == 1 ? perRecord : perRecord.view(count, records, width, -1).transpose(1, 2).reshape(count, width, -1);
    }

    private static Tensor Joined(IEnumerable<Tensor> calls)
    {
        Tensor[] all = [.. calls];
        return all.Length == 1 ? all[0] : cat(all, 2);
    }

    /// <summary>Of a Conv2d; a Conv1d is one of height 1.</summary>
    private sealed record Geometry((long Height, long Width) Kernel, (long, long) Stride, (long, long) Dilation, (long, long) Padding, long[] Outside, PaddingModes Mode)
    {
        public static Geometry Of(Convolution module)
        {
            long[] kernel = module.kernel_size, dilation = module.dilation;
            (long Before, long After)[] padding = [.. kernel.Select((size, i) =>
            {
                if (module.padding_type == TorchSharp.Padding.Valid) return (0L, 0L);
                if (module.padding_type != TorchSharp.Padding.Same) return (module.padding![i], module.padding[i]); // given where there is no type
                long total = dilation[i] * (size - 1);
                return (total / 2, total - (total / 2));
            })];
            // Unfolding pads by zeros, alike on both sides; all else is done before.
            bool before = module.padding_mode != PaddingModes.Zeros || padding.Any(side => side.Before != side.After);
            return new(
                Pair(kernel, 1), Pair(module.stride, 1), Pair(dilation, 1), before ? (0, 0) : Pair([.. padding.Select(side => side.Before)], 0),
                before ? [.. padding.Reverse().SelectMany(side => new[] { side.Before, side.After })] : [], module.padding_mode);
        }

        public Tensor Padded(Tensor input) => Outside.All(width => width == 0) ? input : nn.functional.pad(input, Outside, Mode == PaddingModes.Zeros ? PaddingModes.Constant : Mode, 0);

        /// <summary>[n, C, (H,) W] → [n, C·kernel, T]</summary>
        public Tensor Unfolded(Tensor input) => nn.functional.unfold(input.dim() == 3 ? input.unsqueeze(2) : input, Kernel, Dilation, Padding, Stride);

        private static (long, long) Pair(long[] values, long otherwise) => values.Length == 1 ? (otherwise, values[0]) : (values[0], values[1]);
    }
}
