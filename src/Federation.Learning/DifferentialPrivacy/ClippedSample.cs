using Federation.Privacy.Mechanisms;
using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning.DifferentialPrivacy;

/// <summary>Samples units and sums their clipped gradients, for noise that is added elsewhere: by the encoding of secure aggregation. What it gives is private.</summary>
internal sealed class ClippedSample : IDisposable
{
    private readonly PrivacyUnits _units;
    private readonly DpSgdParameters _parameters;
    private readonly SecureRandom _random;
    private readonly PoissonSampler _sampler;
    private readonly GradientBuffer _sums;
    private readonly IClippedSum _clipped;

    /// <exception cref="LearningException">The model cannot be trained this way; says what to do.</exception>
    public ClippedSample(nn.Module model, PrivacyUnits units, DpSgdParameters parameters, SecureRandom random)
    {
        (_units, _parameters, _random) = (units, parameters, random);
        _sampler = new(units.Count, parameters.SamplingRate, random);
        _sums = new(model);
        try
        {
            IReadOnlyList<Layer> layers = ModelLayers.Of(model, _sums);
            IReadOnlyList<double> bounds = parameters.Bounds(layers);
            bool isSlow = parameters.Method == ClippedSumMethod.RecordByRecord || ModelLayers.Unsupported(layers) is not null;
            _clipped = isSlow ? new RecordByRecordSum(_sums, layers, parameters.Clipping, bounds, parameters.Stability) : new BookKeeping(_sums, layers, new(), parameters.Clipping, bounds, parameters.Stability);
        }
        catch
        {
            _sums.Dispose();
            throw;
        }
    }

    /// <summary>By the parameters' names in the model.</summary>
    public IReadOnlyList<string> Names => _sums.Names;

    /// <summary>Σ of the clipped gradients of a fresh sample, each parameter's. Valid until the next call.</summary>
    /// <exception cref="NonFiniteTrainingException">A loss or gradient is not finite.</exception>
    public (Func<string, Tensor> Sum, PrivateFigures Figures) Next(Func<Tensor, Tensor> losses)
    {
        PrivateFigures figures = PrivateFigures.None;
        _sums.Flat.zero_();
        foreach (PrivateBatch batch in _units.Batches(_sampler.Next(), _parameters.PhysicalBatchSize, _random)) figures = figures.Plus(_clipped.Add(losses, batch));
        return (name => _sums[name], figures);
    }

    public void Dispose()
    {
        _sums.Flat.zero_();
        _clipped.Dispose();
        _sums.Dispose();
    }
}
