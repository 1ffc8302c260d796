using Federation.Learning.DifferentialPrivacy;
using Federation.Privacy.Mechanisms;
using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning.Tests.DifferentialPrivacy;

/// <summary>A model with records, and both ways to its clipped sum.</summary>
internal sealed class Twins : IDisposable
{
    private readonly nn.Module<Tensor, Tensor> _model;
    private readonly Tensor _inputs;
    private readonly GradientBuffer _sums;
    private readonly Func<Tensor, Tensor>? _factors;

    static Twins() => set_num_threads(1); // thousands of passes over a few values each

    /// <param name="factors">From indices to what each loss is multiplied by.</param>
    public Twins(nn.Module<Tensor, Tensor> model, Tensor inputs, LayerRules? rules = null, Func<Tensor, Tensor>? factors = null)
    {
        (_model, _inputs, _sums, Rules, _factors) = (model, inputs, new(model), rules ?? new(), factors);
        Layers = ModelLayers.Of(model, _sums);
    }

    public IReadOnlyList<Layer> Layers { get; }

    public LayerRules Rules { get; }

    public int Records => (int)_inputs.shape[0];

    /// <summary>Of every record, some sizes apart, so that some are clipped and some are not.</summary>
    public Tensor Losses(Tensor indices)
    {
        Tensor outputs = _model.call(_inputs.index_select(0, indices));
        Tensor scale = indices.to(ScalarType.Float32) * 0.7f + 0.1f;
        Tensor losses = ((outputs.reshape(indices.shape[0], -1) - 0.3f).square() + outputs.reshape(indices.shape[0], -1).sin()).sum(new long[] { 1 }) * scale;
        return _factors is null ? losses : losses * _factors(indices);
    }

    public double[] Norms(PrivateBatch batch)
    {
        using BookKeeping fast = new(_sums, Layers, Rules, ClippingKind.Flat, [1.0], 0.01);
        using Tensor norms = fast.Norms(Losses, batch);
        return norms.data<double>().ToArray();
    }

    /// <summary>One backward pass for each unit.</summary>
    public double[] ReferenceNorms(PrivateBatch batch)
    {
        using RecordByRecordSum slow = new(_sums, Layers, ClippingKind.Flat, [1.0], 0.01);
        long[] units = batch.Units.Index(CPU).data<long>().ToArray();
        return [.. Enumerable.Range(0, batch.Units.Count).Select(unit =>
        {
            using IDisposable scope = NewDisposeScope();
            int[] places = [.. Enumerable.Range(0, batch.Records.Count).Where(i => units[i] == unit)];
            return Math.Sqrt(slow.Gradients(Losses, batch, places).Gradients.Values.Sum(gradient => gradient.to(ScalarType.Float64).square().sum().item<double>()));
        })];
    }

    public float[] Sum(PrivateBatch batch, ClippingKind kind, double[] bounds)
    {
        using BookKeeping fast = new(_sums, Layers, Rules, kind, bounds, 0.01);
        return Run(fast, batch);
    }

    public float[] ReferenceSum(PrivateBatch batch, ClippingKind kind, double[] bounds)
    {
        using RecordByRecordSum slow = new(_sums, Layers, kind, bounds, 0.01);
        return Run(slow, batch);
    }

    public void AssertEqual(PrivateBatch? given = null)
    {
        PrivateBatch batch = given ?? PrivateBatch.OneEach([.. Enumerable.Range(0, Records).Select(i => (long)i)]);
        double[] expected = ReferenceNorms(batch), norms = Norms(batch);
        Assert.Equal(expected.Length, norms.Length);
        for (int i = 0; i < norms.Length; i++) Assert.Equal(expected[i], norms[i], (1e-4 * expected[i]) + 1e-12);
        double floor = Math.Max(1e-6, 2 * BatchingError(batch));
        double middle = expected.Order().ElementAt(expected.Length / 2) + 1e-6;
        foreach (ClippingKind kind in Enum.GetValues<ClippingKind>())
        {
            double[] bounds = kind == ClippingKind.PerLayer ? [.. Layers.Select((_, i) => middle / (i + 1.5))] : [middle];
            float[] sum = Sum(batch, kind, bounds), reference = ReferenceSum(batch, kind, bounds);
            // Of the vectors, and of what single values may lose to cancellation between records.
            double length = Math.Sqrt(reference.Sum(value => (double)value * value)), off = Math.Sqrt(sum.Zip(reference).Sum(pair => Math.Pow(pair.First - (double)pair.Second, 2)));
            Assert.True(off <= floor * Math.Max(length, batch.Units.Count * Clipping.Sensitivity(bounds)), $"{kind}: {off:G3} of {length:G3}, {string.Join(", ", Layers.Select(layer => layer.Module.GetName()))}");
        }
    }

    /// <summary>How far one record's gradient, relative, is from itself when others go through the model beside it: float32's own loss, in the worst conditioned record.</summary>
    private double BatchingError(PrivateBatch batch)
    {
        using IDisposable scope = NewDisposeScope();
        using RecordByRecordSum slow = new(_sums, Layers, ClippingKind.Flat, [1.0], 0.01);
        Tensor units = batch.Units.Index(CPU), losses = Losses(tensor(batch.Records.ToArray()));
        Tensor weights = batch.Weights is { } given ? tensor(given.ToArray()) : ones_like(losses);
        double worst = 0;
        for (int unit = 0; unit < batch.Units.Count; unit++)
        {
            IList<Tensor> together = autograd.grad([losses], [.. _sums.Parameters], [weights * (units == unit)], retain_graph: true, allow_unused: true);
            Dictionary<string, Tensor> alone = slow.Gradients(Losses, batch, [.. Enumerable.Range(0, batch.Records.Count).Where(i => units[i].item<long>() == unit)]).Gradients;
            double off = 0, length = 0;
            for (int i = 0; i < together.Count; i++)
            {
                Tensor one = alone[_sums.Names[i]].to(ScalarType.Float64);
                length += one.square().sum().item<double>();
                if (together[i] is { IsInvalid: false } other) off += (other.to(ScalarType.Float64) - one).square().sum().item<double>();
            }

            if (length > 0) worst = Math.Max(worst, Math.Sqrt(off / length));
        }

        return worst;
    }

    public void Dispose()
    {
        _sums.Dispose();
        _model.Dispose();
        _inputs.Dispose();
    }

    /// <summary>Of the last sum.</summary>
    public PrivateFigures Figures { get; private set; } = PrivateFigures.None;

    private float[] Run(IClippedSum sum, PrivateBatch batch)
    {
        _sums.Flat.zero_();
        Figures = sum.Add(Losses, batch);
        return _sums.Flat.data<float>().ToArray();
    }
}
