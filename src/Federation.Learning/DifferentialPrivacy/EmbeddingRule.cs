using System.Runtime.CompilerServices;
using TorchSharp.Modules;
using static TorchSharp.torch;

namespace Federation.Learning.DifferentialPrivacy;

/// <summary>Embedding: a unit's gradient has rows for the words it holds alone, each the sum over the word's places. Those rows are all that is ever held: as many values as the layer's output.</summary>
internal static class EmbeddingRule
{
    private static readonly ConditionalWeakTable<Embedding, StrongBox<long?>> s_padding = [];

    public static IReadOnlyList<GradientPart> Parts(LayerCalls<Embedding> calls)
    {
        if (!calls.Trains("weight")) return [];
        Tensor[] units = [.. calls.Calls.Select(call => Repeated(calls.Units.Index(call.Input.device), call.Input))];
        Tensor words = cat([.. calls.Calls.Select(call => call.Input.reshape(-1))]), unit = cat(units);
        Tensor gradients = cat([.. calls.Calls.Select(call => call.OutputGradient.reshape(-1, call.OutputGradient.shape[^1]))]);
        if (Padding(calls.Module) is { } padding)
        {
            Tensor kept = (words != padding).nonzero().view(-1);
            (words, unit, gradients) = (words.index_select(0, kept), unit.index_select(0, kept), gradients.index_select(0, kept));
        }

        return [new RowsPart("weight", calls.Units.Count, calls.Module.weight!.shape[0], words, unit, gradients)];
    }

    /// <summary>The word whose row is never trained, which TorchSharp's module does not tell: it shows in gradients.</summary>
    internal static long? Padding(Embedding module) => s_padding.GetValue(module, static one =>
    {
        using IDisposable scope = NewDisposeScope();
        using IDisposable on = enable_grad();
        // One column of the layer's output for each word would do; the module gives them all.
        Tensor words = arange(one.weight!.shape[0], dtype: ScalarType.Int64, device: one.weight.device);
        Tensor output = one.forward(words);
        Tensor gradient = autograd.grad([output], [one.weight], [ones_like(output)])[0];
        Tensor still = Dense(gradient).select(1, 0).logical_not().nonzero().view(-1);
        return new(still.numel() == 0 ? null : still[0].item<long>());
    }).Value;

    internal static Tensor Dense(Tensor gradient) => gradient.is_sparse ? gradient.to_dense() : gradient;

    /// <summary>[B] → [B·T]: each of a record's places has the record's unit.</summary>
    private static Tensor Repeated(Tensor unitOf, Tensor input) => unitOf.view(-1, 1).expand(unitOf.shape[0], input.numel() / Math.Max(1, input.shape[0])).reshape(-1);

    /// <summary>Rows of a weight [V, d], by unit and row.</summary>
    private sealed class RowsPart : GradientPart
    {
        private readonly string _weight;
        private readonly int _units;
        private readonly Tensor _row, _unit, _sums;

        public RowsPart(string weight, int units, long vocabulary, Tensor row, Tensor unit, Tensor gradients)
        {
            using TorchSharp.Scalar words = vocabulary;
            (Tensor keys, Tensor? place, _) = unit.mul(words).Plus(row).unique(sorted: true, return_inverse: true);
            (_weight, _units) = (weight, units);
            (_unit, _row) = (keys.div(words, RoundingMode.floor), keys.remainder(words));
            _sums = zeros([keys.shape[0], gradients.shape[1]], dtype: gradients.dtype, device: gradients.device).index_add_(0, place!, gradients, LastingScalars.One);
        }

        public override Tensor SquaredNorms() => zeros([_units], device: _sums.device).index_add_(0, _unit, RowNorms.Squared(_sums), LastingScalars.One);

        public override void AddSum(Tensor factors, Func<string, Tensor> sums) => sums(_weight).index_add_(0, _row, _sums * factors.index_select(0, _unit).unsqueeze(1), LastingScalars.One);
    }
}
