using Federation.Privacy.Mechanisms;
using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning.DifferentialPrivacy;

/// <summary>The first half of a DP-SGD step: samples units and sums their clipped gradients. The noise is added by <see cref="DpTrainer"/>, or by the encoding of secure aggregation; until then what is here is private.</summary>
internal sealed class ClippedSample : IDisposable
{
    private readonly nn.Module _model;
    private readonly PrivacyUnits _units;
    private readonly DpSgdParameters _parameters;
    private readonly SecureRandom _random;
    private readonly PoissonSampler _sampler;
    private readonly IClippedSum _clipped;
    private readonly RecordByRecordSum _plain;
    private bool _checked;

    /// <param name="modelIsKnown">That it mixes no records and has right rules: of the project's own. It is not tried on the first records then, where weights chosen by another could make rounding look like a fault for some records and not for others.</param>
    /// <exception cref="LearningException">The model cannot be trained this way; says what to do.</exception>
    public ClippedSample(nn.Module model, PrivacyUnits units, DpSgdParameters parameters, SecureRandom random, LayerRules? rules = null, bool modelIsKnown = false)
    {
        ModelCheck.Require(model);
        (_model, _units, _parameters, _random, _checked) = (model, units, parameters, random, modelIsKnown);
        _sampler = new(units.Count, parameters.SamplingRate, random);
        Sums = new(model);
        try
        {
            IReadOnlyList<Layer> layers = ModelLayers.Of(model, Sums);
            IReadOnlyList<double> bounds = parameters.Bounds(layers);
            Sensitivity = bounds.Count == 1 ? bounds[0] : Clipping.Sensitivity([.. bounds]);
            MethodReason = parameters.Method == ClippedSumMethod.RecordByRecord ? "It was asked for." : ModelLayers.Unsupported(layers);
            _plain = new(Sums, layers, parameters.Clipping, bounds, parameters.Stability);
            _clipped = MethodReason is null ? new BookKeeping(Sums, layers, rules ?? new(), parameters.Clipping, bounds, parameters.Stability, modelIsKnown) : _plain;
        }
        catch
        {
            Sums.Dispose();
            throw;
        }
    }

    /// <summary>Of the sample that was taken last.</summary>
    public GradientBuffer Sums { get; }

    /// <summary>C: how far one unit more or less moves the sum, in L2 norm.</summary>
    public double Sensitivity { get; }

    /// <summary>Why each unit has a pass of its own; null: it has not.</summary>
    public string? MethodReason { get; }

    /// <summary>A fresh sample's sum, into <see cref="Sums"/>.</summary>
    /// <param name="drawn">Called when all that is random about the sample is drawn, before any gradient.</param>
    public PrivateFigures Take(Func<Tensor, Tensor> losses, Action? drawn = null)
    {
        Clear();
        PrivateBatch[] batches = [.. _units.Batches(_sampler.Next(), _parameters.PhysicalBatchSize, _random)];
        drawn?.Invoke();
        if (!_checked && batches.Length > 0)
        {
            RecordCheck.Require(_model, losses, batches[0], Sums.Flat.device);
            _checked = true;
        }

        PrivateFigures figures = PrivateFigures.None;
        foreach (PrivateBatch batch in batches)
        {
            // The first pass shows how many records the next may hold.
            for (int first = 0, count; first < batch.Units.Count; first += count)
            {
                count = batch.UnitsWithin(first, _clipped.MostRecords);
                figures = figures.Plus(_clipped.Add(losses, batch.Range(first, count)));
            }
        }

        using Tensor total = Sums.Flat.sum();
        if (float.IsFinite(total.item<float>())) return figures;
        // A layer's places of one record may overflow in opposite directions, whose norm is small: taken one by one, such a unit's gradient shows, and is left out.
        Clear();
        return batches.Aggregate(PrivateFigures.None, (sum, batch) => sum.Plus(_plain.Add(losses, batch)));
    }

    public void Clear() => Sums.Flat.zero_();

    public void Dispose()
    {
        Clear();
        _clipped.Dispose();
        Sums.Dispose();
    }
}
