using System.Globalization;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Learning.DifferentialPrivacy;
using Federation.Privacy.Accounting;
using Federation.Privacy.Mechanisms;
using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Benchmarks;

/// <summary>
/// DP-SGD steps of several sites that share one noise, as in a run with <c>noise: shared</c>: each site samples and clips its own records, and the encoder of real runs adds its part of the noise; what is opened is the sum of all. Only the encryption between is left out.
/// The optimizer's step, its momentum and its rate come after the opening: post-processing.
/// </summary>
internal sealed class MnistSites : IDisposable
{
    private readonly nn.Module<Tensor, Tensor> _model;
    private readonly optim.Optimizer _optimizer;
    private readonly List<(Tensor Images, Tensor Labels, ClippedSample Sample)> _sites = [];
    private readonly EncodedSum _sum;
    private readonly SecureRandom _random = new();

    /// <param name="batch">Expected, of all sites together.</param>
    public MnistSites(int sites, nn.Module<Tensor, Tensor> model, optim.Optimizer optimizer, Tensor images, Tensor labels, double batch, double clip, double epsilon, double delta, long steps)
    {
        (_model, _optimizer) = (model, optimizer);
        long rows = images.shape[0] / sites;
        double rate = batch / sites / rows;
        Spec = RunSpec.Parse(string.Create(CultureInfo.InvariantCulture, $$"""
            name: mnist
            model: { kind: custom, initial: start.safetensors }
            rounds: {{steps}}
            seed: 1
            cohort: { minContributors: {{sites}}, deadline: 1h }
            local: { optimizer: { kind: sgd, learningRate: 1 }, batchSize: {{Math.Round(batch / sites)}} }
            strategy: { kind: fedavg }
            privacy: { unit: record, noise: shared, clip: {{clip}}, samplingRate: {{rate}}, delta: {{delta}}, noiseMultiplier: auto, maxEpsilon: {{epsilon}} }
            """), "mnist.yaml");
        int values = checked((int)model.parameters().Sum(parameter => parameter.numel()));
        _sum = new(SecureEncoding.Of(Spec, values, sites));
        Event = PrivacyCost.OfRound(Spec, values, sites);
        DpSgdParameters parameters = new DpSgdOptions
        {
            Clipping = ClippingKind.Flat, ClippingNorm = clip, NoiseMultiplier = Spec.Sigma, SamplingRate = rate, ExpectedBatchSize = Spec.Local.BatchSize, PhysicalBatchSize = 1024,
        }.ToParameters();
        for (int site = 0; site < sites; site++)
        {
            _sites.Add((images.slice(0, site * rows, (site + 1) * rows, 1), labels.slice(0, site * rows, (site + 1) * rows, 1), new(model, PrivacyUnits.Records((int)rows), parameters, _random)));
        }
    }

    public RunSpec Spec { get; }

    /// <summary>What a step costs each record, whoever else of the sites is honest as the spec says.</summary>
    public PrivacyEvent Event { get; }

    public void Step()
    {
        using IDisposable scope = NewDisposeScope();
        foreach ((Tensor images, Tensor labels, ClippedSample sample) in _sites)
        {
            sample.Take(MnistData.Losses(_model, images, labels));
            // As a node sends it: −η/b·Σ with η = 1.
            float[] update = [.. sample.Sums.Flat.data<float>()];
            for (int i = 0; i < update.Length; i++) update[i] /= -Spec.Local.BatchSize;
            _sum.Add(update, _random);
        }

        Tensor gradient = tensor(_sum.Open()) * (-1.0 / _sites.Count);
        long start = 0;
        foreach (Tensor parameter in _sites[0].Sample.Sums.Parameters)
        {
            parameter.grad = gradient.slice(0, start, start + parameter.numel(), 1).view(parameter.shape).DetachFromDisposeScope();
            start += parameter.numel();
        }

        _optimizer.step();
    }

    public void Dispose()
    {
        foreach ((Tensor images, Tensor labels, ClippedSample sample) in _sites)
        {
            sample.Dispose();
            images.Dispose();
            labels.Dispose();
        }

        _random.Dispose();
    }
}
