using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning.DifferentialPrivacy;

/// <summary>
/// The clipped sum with one forward and one backward pass: the backward pass asks for the gradients of the layers' outputs alone; norms follow from those and the layers' inputs; then each weight's sum Σ c_u·g_u is one product, as its plain gradient would be.
/// </summary>
/// <remarks>Bu, Wang, Zha, Karypis 2023 (differentially private optimisation on large models at small cost), Algorithm 1, "book-keeping"; the norms: see <see cref="OuterProductPart"/>.</remarks>
internal sealed class BookKeeping : IClippedSum
{
    private readonly GradientBuffer _sums;
    private readonly IReadOnlyList<Layer> _layers;
    private readonly LayerRules _rules;
    private readonly LayerRecorder _recorder;
    private readonly ClippingKind _kind;
    private readonly IReadOnlyList<double> _bounds;
    private readonly double _stability;
    private bool _checked;

    public BookKeeping(GradientBuffer sums, IReadOnlyList<Layer> layers, LayerRules rules, ClippingKind kind, IReadOnlyList<double> bounds, double stability, bool modelIsKnown = false)
    {
        (_sums, _layers, _rules, _kind, _bounds, _stability, _checked) = (sums, layers, rules, kind, bounds, stability, modelIsKnown);
        _recorder = new(layers);
    }

    /// <summary>Until a pass has shown what one record takes, as many as the check of the model does.</summary>
    public int MostRecords { get; private set; } = MostChecked;

    public PrivateFigures Add(Func<Tensor, Tensor> losses, PrivateBatch batch)
    {
        if (!_checked && batch.Records.Count > 0) Check(losses, batch.First(MostChecked));
        PrivateBatch left = batch;
        while (left.Records.Count > 0)
        {
            using IDisposable scope = NewDisposeScope();
            Tensor indices = tensor(left.Records.ToArray(), device: _sums.Flat.device);
            (Tensor values, Tensor weights, List<LayerParts> parts) = Pass(losses, left, indices, null);
            Tensor[] norms = SquaredNorms(parts, left.Units.Count);
            if (Losses.Finite(values, norms, left.Units) is { } finite)
            {
                left = left.Only(finite); // at least one unit fewer
                continue;
            }

            (IReadOnlyList<Tensor> factors, int clipped) = ClipFactors.Of(norms, _kind, _bounds, _stability);
            foreach (LayerParts layer in parts) layer.AddSum(factors[layer.Index], name => _sums[name]);
            return new(batch.Records.Count, batch.Units.Count, Losses.Sum(values, weights), clipped, batch.Units.Count - left.Units.Count);
        }

        return new(batch.Records.Count, batch.Units.Count, 0, 0, batch.Units.Count);
    }

    /// <summary>‖g_u‖ over all layers, before clipping: [U].</summary>
    internal Tensor Norms(Func<Tensor, Tensor> losses, PrivateBatch batch)
    {
        using DisposeScope scope = NewDisposeScope();
        Tensor indices = tensor(batch.Records.ToArray(), device: _sums.Flat.device);
        if (!_checked) Check(losses, batch.First(MostChecked));
        List<LayerParts> parts = Pass(losses, batch, indices, null).Parts;
        return stack(SquaredNorms(parts, batch.Units.Count)).to(ScalarType.Float64).sum(new long[] { 0 }).sqrt().MoveToOuterDisposeScope();
    }

    public void Dispose() => _recorder.Dispose();

    /// <summary>For every layer, also one that this batch did not use.</summary>
    private Tensor[] SquaredNorms(List<LayerParts> parts, int units)
    {
        Tensor[] norms = new Tensor[_layers.Count];
        foreach (LayerParts layer in parts) norms[layer.Index] = layer.SquaredNorms()!;
        for (int i = 0; i < norms.Length; i++) norms[i] ??= zeros(units, device: _sums.Flat.device);
        return norms;
    }

    /// <param name="inspect">Sees losses, weights and recorded outputs while the graph still stands.</param>
    private (Tensor Losses, Tensor Weights, List<LayerParts> Parts) Pass(Func<Tensor, Tensor> losses, PrivateBatch batch, Tensor indices, Action<Tensor, Tensor, IReadOnlyList<RecordedCall>>? inspect)
    {
        (Tensor values, Tensor weights, List<(Layer Layer, LayerCall Call)> calls) = Backward(losses, batch, indices, inspect);
        List<LayerParts> parts = [];
        foreach (IGrouping<Layer, (Layer Layer, LayerCall Call)> layer in calls.GroupBy(pair => pair.Layer))
        {
            LayerCall[] used = [.. layer.Select(pair => pair.Call)];
            if (used.FirstOrDefault(call => call.Input.shape[0] != batch.Records.Count || call.OutputGradient.shape[0] != batch.Records.Count) is { } wrong)
            {
                throw new LearningException($"'{layer.Key.Name}' got an input of shape [{string.Join(", ", wrong.Input.shape)}] for {batch.Records.Count} records; the first dimension must be the record (batch first). {Advice}");
            }

            IReadOnlyList<GradientPart> made = _rules.Parts(new(layer.Key.Module, used, batch.Units, name => layer.Key.Parameters.ContainsKey(name)));
            parts.Add(new(layer.Key, _layers.Index().First(entry => entry.Item == layer.Key).Index, made));
            if (!made.All(part => part is MaterialisedPart)) continue;
            foreach (LayerCall call in used)
            {
                call.Input.Dispose();
                call.OutputGradient.Dispose();
            }
        }

        return (values, weights, parts);
    }

    /// <summary>Keeps of the pass what the layers' rules need, and lets the rest go.</summary>
    private (Tensor Losses, Tensor Weights, List<(Layer Layer, LayerCall Call)> Calls) Backward(Func<Tensor, Tensor> losses, PrivateBatch batch, Tensor indices, Action<Tensor, Tensor, IReadOnlyList<RecordedCall>>? inspect)
    {
        using DisposeScope scope = NewDisposeScope();
        (Tensor values, IReadOnlyList<RecordedCall> calls) = _recorder.Record(() => losses(indices));
        foreach (RecordedCall call in calls) scope.Attach(call.Input, call.Output);
        MostRecords = (int)Math.Clamp(MostHeld / Math.Max(1, calls.Sum(call => call.Input.numel() + (2 * call.Output.numel())) / batch.Records.Count), 1, int.MaxValue);
        Losses.Check(values, batch.Records.Count);
        Tensor weights = Losses.Weights(batch, Enumerable.Range(0, batch.Records.Count), values);
        inspect?.Invoke(values, weights, calls);
        IList<Tensor> gradients = calls.Count == 0 ? [] : autograd.grad([values], [.. calls.Select(call => call.Output)], [weights], allow_unused: true);
        List<(Layer, LayerCall)> used = [];
        foreach ((RecordedCall call, Tensor gradient) in calls.Zip(gradients))
        {
            if (gradient is { IsInvalid: false }) used.Add((call.Layer, new(call.Input.MoveToOuterDisposeScope(), gradient.MoveToOuterDisposeScope())));
        }

        return (values.detach().MoveToOuterDisposeScope(), weights.MoveToOuterDisposeScope(), used);
    }

    private const int MostChecked = 8; // units: it takes more memory than a step
    private const long MostHeld = 1L << 27; // values of layers' inputs, outputs and outputs' gradients, which a pass holds all at once

    private const string Advice = "DpSgdOptions.Method = RecordByRecord is right for any model, and slow.";

    /// <summary>
    /// Once, on real records: the unclipped sum must be the plain gradient (a weight used outside its module, tied weights and changes in place would show), and no layer's output may carry gradients of another unit's loss.
    /// </summary>
    private void Check(Func<Tensor, Tensor> losses, PrivateBatch given)
    {
        using IDisposable scope = NewDisposeScope();
        PrivateBatch batch = Finite(losses, given);
        if (batch.Records.Count == 0) return; // another batch will show it
        Tensor indices = tensor(batch.Records.ToArray(), device: _sums.Flat.device);
        string? problem = Problem(losses, batch, indices, out bool finite);
        if (problem is not null && !_recorder.CopiesOutputs)
        {
            _recorder.CopiesOutputs = true;
            problem = Problem(losses, batch, indices, out finite);
        }

        if (problem is not null) throw new LearningException($"{problem} {Advice}");
        _checked = finite && batch.Units.Count > 1; // one unit alone cannot show mixing
    }

    /// <summary>The units that a check can be made on: NaN equals nothing, and would look like a fault of the model.</summary>
    private PrivateBatch Finite(Func<Tensor, Tensor> losses, PrivateBatch batch)
    {
        while (batch.Records.Count > 0)
        {
            using IDisposable scope = NewDisposeScope();
            (Tensor values, _, List<LayerParts> parts) = Pass(losses, batch, tensor(batch.Records.ToArray(), device: _sums.Flat.device), null);
            if (Losses.Finite(values, SquaredNorms(parts, batch.Units.Count), batch.Units) is not { } finite) return batch;
            batch = batch.Only(finite);
        }

        return batch;
    }

    /// <param name="finite">False: sums overflow although norms do not, so that nothing can be said of these records. Then the batch's sum overflows too, and <see cref="ClippedSample"/> takes its units one by one.</param>
    private string? Problem(Func<Tensor, Tensor> losses, PrivateBatch batch, Tensor indices, out bool finite)
    {
        finite = true;
        using IDisposable scope = NewDisposeScope();
        IList<Tensor> plain = [];
        string? mixing = null;
        (_, _, List<LayerParts> parts) = Pass(losses, batch, indices, (values, weights, calls) =>
        {
            plain = [.. autograd.grad([values], [.. _sums.Parameters], [weights], retain_graph: true, allow_unused: true).Select(gradient => gradient is { IsInvalid: false } ? gradient.MoveToOuterDisposeScope() : gradient)];
            mixing = batch.Units.Count < 2 || calls.Count == 0 ? null : Mixing(values, batch.Units.Index(values.device).logical_not(), calls);
        });
        if (mixing is not null) return mixing;
        Dictionary<string, Tensor> sums = [];
        Dictionary<string, double> scale = [];
        Layer? wrongNorms = null;
        foreach (LayerParts layer in parts)
        {
            Tensor squares = layer.SquaredNorms() ?? zeros(batch.Units.Count, device: indices.device);
            double norms = squares.sqrt().sum().item<float>();
            if (_rules.IsOwn(layer.Layer.Module.GetType()) && WrongNorms(layer, squares)) wrongNorms ??= layer.Layer;
            layer.AddSum(ones(batch.Units.Count, device: indices.device), name => sums.TryGetValue(name, out Tensor? sum) ? sum : sums[name] = zeros_like(_sums[name]));
            foreach (string name in layer.Layer.Parameters.Values) scale[name] = norms;
        }

        for (int i = 0; i < _sums.Names.Count; i++)
        {
            string name = _sums.Names[i];
            Tensor expected = plain[i] is { IsInvalid: false } gradient ? EmbeddingRule.Dense(gradient) : zeros_like(_sums.Parameters[i]);
            double off = (sums.TryGetValue(name, out Tensor? sum) ? sum.Minus(expected) : expected).norm().item<float>();
            finite &= double.IsFinite(off);
            if (finite && off > 1e-3 * scale.GetValueOrDefault(name)) return $"The records' gradients of '{name}' do not add up to its gradient: it is used outside its module, shared by two, changed in place, or its module is random.";
        }

        return finite && wrongNorms is { } own ? $"The rule for {own.Module.GetType().Name} gives '{own.Name}' squared norms that are not those of the gradients in its sums: on them rests how much one record may add." : null;
    }

    /// <summary>Whether what the sum holds of one unit alone is longer or shorter than its norm says: then it would be clipped to another bound.</summary>
    private bool WrongNorms(LayerParts layer, Tensor squaredNorms)
    {
        using IDisposable scope = NewDisposeScope();
        float[] norms = [.. squaredNorms.cpu().data<float>()];
        double[] squares = [.. norms.Select((_, unit) =>
        {
            Dictionary<string, Tensor> alone = [];
            layer.AddSum((arange(norms.Length, device: squaredNorms.device) == unit).to(ScalarType.Float32), name => alone.TryGetValue(name, out Tensor? sum) ? sum : alone[name] = zeros_like(_sums[name]));
            return alone.Values.Sum(sum => sum.to(ScalarType.Float64).Squared().sum().item<double>());
        })];
        // Where a unit's places cancel, float32 leaves something of the longest.
        double floor = 1e-8 * squares.Max();
        return squares.Zip(norms).Any(unit => Math.Abs(unit.First - unit.Second) > floor + (1e-3 * unit.First));
    }

    private static string? Mixing(Tensor losses, Tensor first, IReadOnlyList<RecordedCall> calls)
    {
        IList<Tensor> gradients = autograd.grad([losses], [.. calls.Select(call => call.Output)], [first.to(ScalarType.Float32)], retain_graph: true, allow_unused: true);
        foreach ((RecordedCall call, Tensor gradient) in calls.Zip(gradients))
        {
            if (gradient is not { IsInvalid: false } || gradient.shape[0] != first.shape[0]) continue;
            if (gradient[first.logical_not()].count_nonzero().item<long>() != 0) return $"The loss of one record depends on others through '{call.Layer.Name}': records must not be mixed.";
        }

        return null;
    }

    private sealed record LayerParts(Layer Layer, int Index, IReadOnlyList<GradientPart> Parts)
    {
        /// <summary>Null where the rule gives no part.</summary>
        public Tensor? SquaredNorms()
        {
            Tensor? sum = null;
            foreach (GradientPart part in Parts) sum = sum is null ? part.SquaredNorms() : sum.Plus(part.SquaredNorms());
            return sum;
        }

        public void AddSum(Tensor factors, Func<string, Tensor> sums)
        {
            foreach (GradientPart part in Parts) part.AddSum(factors, name => sums(Layer.Parameters.TryGetValue(name, out string? full) ? full : throw LayerRules.Unknown(Layer.Module, name, [.. Layer.Parameters.Keys])));
        }
    }
}
