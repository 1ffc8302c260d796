using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning.DifferentialPrivacy;

/// <summary>One forward and backward pass for each unit: the definition itself, for any model whose losses do not mix units. The plain twin of <see cref="BookKeeping"/>.</summary>
internal sealed class RecordByRecordSum(GradientBuffer sums, IReadOnlyList<Layer> layers, ClippingKind kind, IReadOnlyList<double> bounds, double stability) : IClippedSum
{
    public int MostRecords => int.MaxValue; // one at a time anyway

    public PrivateFigures Add(Func<Tensor, Tensor> losses, PrivateBatch batch)
    {
        PrivateFigures figures = PrivateFigures.None;
        long[] unitOf = batch.Units.Index(CPU).data<long>().ToArray();
        foreach (IGrouping<long, int> unit in Enumerable.Range(0, batch.Records.Count).GroupBy(i => unitOf[i]))
        {
            using IDisposable scope = NewDisposeScope();
            (Dictionary<string, Tensor> gradients, double loss) = Gradients(losses, batch, [.. unit]);
            Tensor[] squares = [.. layers.Select(layer => stack([.. layer.Parameters.Values.Select(name => gradients[name].to(ScalarType.Float64).Squared().sum())]).sum().unsqueeze(0))];
            if (!double.IsFinite(loss) || !stack(squares).to(ScalarType.Float32).isfinite().all().item<bool>())
            {
                figures = figures.Plus(new(unit.Count(), 1, 0, 0, 1));
                continue;
            }

            (IReadOnlyList<Tensor> factors, int clipped) = ClipFactors.Of(squares, kind, bounds, stability);
            for (int i = 0; i < layers.Count; i++)
            {
                foreach (string name in layers[i].Parameters.Values) sums[name].add_(gradients[name] * factors[i], LastingScalars.One);
            }

            figures = figures.Plus(new(unit.Count(), 1, loss, clipped));
        }

        return figures;
    }

    /// <summary>Of one unit, before clipping, by the parameters' names in the model; the loss is finite where all its records' are.</summary>
    internal (Dictionary<string, Tensor> Gradients, double Loss) Gradients(Func<Tensor, Tensor> losses, PrivateBatch batch, int[] places)
    {
        Tensor indices = tensor(places.Select(i => batch.Records[i]).ToArray(), device: sums.Flat.device);
        Tensor values = losses(indices);
        Losses.Check(values, places.Length);
        Tensor weights = Losses.Weights(batch, places, values);
        IList<Tensor> gradients = autograd.grad([values], [.. sums.Parameters], [weights], allow_unused: true);
        Dictionary<string, Tensor> named = [];
        for (int i = 0; i < sums.Names.Count; i++) named[sums.Names[i]] = gradients[i] is { IsInvalid: false } gradient ? EmbeddingRule.Dense(gradient) : zeros_like(sums.Parameters[i]);
        return (named, Losses.Sum(values.detach(), weights));
    }

    public void Dispose()
    {
    }
}
