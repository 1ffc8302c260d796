using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Federation.Learning.DifferentialPrivacy;

/// <summary>y = w∘x̂ + b, x̂ normalised within the record: w's gradient is Σ g∘x̂ and b's Σ g over the places that share a weight. As small as the layer, so they are held.</summary>
internal static class NormalizationRule
{
    public static IReadOnlyList<GradientPart> Parts(LayerCalls<LayerNorm> calls) => LayerRules.Materialised(calls.Calls.Select(call =>
    {
        long[] shape = calls.Module.normalized_shape;
        return Gradients(call, nn.functional.layer_norm(call.Input, shape, null, null, calls.Module.eps), all => all.reshape([all.shape[0], -1, .. shape]).sum(new long[] { 1 }), calls.Trains);
    }), calls.Units, calls.Trains);

    public static IReadOnlyList<GradientPart> Parts(LayerCalls<GroupNorm> calls) => LayerRules.Materialised(calls.Calls.Select(call =>
        Gradients(call, nn.functional.group_norm(call.Input, calls.Module.num_groups, null, null, calls.Module.eps), all => all.reshape(all.shape[0], all.shape[1], -1).sum(new long[] { 2 }), calls.Trains)), calls.Units, calls.Trains);

    public static IReadOnlyList<GradientPart> Parts(LayerCalls<ChannelNorm> calls) => LayerRules.Materialised(calls.Calls.Select(call =>
        Gradients(call, calls.Module.Normalized(call.Input), all => all.reshape(all.shape[0], all.shape[1], -1).sum(new long[] { 2 }), calls.Trains)), calls.Units, calls.Trains);

    private static Dictionary<string, Tensor> Gradients(LayerCall call, Tensor normalized, Func<Tensor, Tensor> perRecord, Func<string, bool> trains)
    {
        Dictionary<string, Tensor> gradients = [];
        if (trains("weight")) gradients["weight"] = perRecord(call.OutputGradient * normalized);
        if (trains("bias")) gradients["bias"] = perRecord(call.OutputGradient);
        return gradients;
    }
}
