using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Federation.Learning.DifferentialPrivacy;

/// <summary>y = W·x + b at each position: W's gradient is Σ_t g_t·x_tᵀ, b's is Σ_t g_t.</summary>
internal static class LinearRule
{
    public static IReadOnlyList<GradientPart> Parts(LayerCalls<Linear> calls) => Parts("weight", "bias", calls.Calls, calls.Units, calls.Trains);

    /// <param name="calls">Inputs [B, …, d], output gradients [B, …, p].</param>
    public static IReadOnlyList<GradientPart> Parts(string weight, string bias, IReadOnlyList<LayerCall> calls, BatchUnits units, Func<string, bool> trains)
    {
        List<GradientPart> parts = [];
        // [U, T, ·]: calls and a unit's records are further positions.
        Tensor g = units.Concatenate(Positions(calls.Select(call => call.OutputGradient)));
        if (trains(weight))
        {
            Tensor a = units.Concatenate(Positions(calls.Select(call => call.Input)));
            parts.Add(new OuterProductPart(weight, new(units.Count, 1, a.shape[1], a.shape[2], g.shape[2]), (first, count) => (Slice(a, first, count), Slice(g, first, count))));
        }

        if (trains(bias)) parts.Add(new MaterialisedPart(bias, g.shape[1] == 1 ? g.view(g.shape[0], g.shape[2]) : g.sum(new long[] { 1 })));
        return parts;
    }

    private static Tensor Positions(IEnumerable<Tensor> calls)
    {
        Tensor[] flat = [.. calls.Select(call => call.reshape(call.shape[0], -1, call.shape[^1]))];
        return flat.Length == 1 ? flat[0] : cat(flat, 1);
    }

    private static Tensor Slice(Tensor all, int first, int count) => (count == all.shape[0] ? all : all.slice(0, first, first + count, 1)).transpose(1, 2);
}
