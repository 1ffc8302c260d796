using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning.DifferentialPrivacy;
using Federation.Learning.Models;
using Federation.Learning.Optimizers;
using Federation.Privacy.Canonical;
using Federation.Privacy.Mechanisms;
using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning.Training;

/// <summary>One round at one site under differential privacy: steps with noise of its own, or one clipped sum whose noise the encoding adds. Every site's update counts as 1.</summary>
internal static class PrivateTraining
{
    /// <param name="module">Holds the global model; holds the trained one afterwards.</param>
    /// <param name="losses">From record indices [B] (int64) to the records' losses [B].</param>
    /// <param name="stepped">Sees the trainer after each step with noise of one's own, when what was released lies in it.</param>
    /// <returns>Finite whatever the records are, before the noise of the encoding; with noise of one's own, see the exception.</returns>
    /// <exception cref="LearningException">The model cannot be trained this way, or a weight is not finite after a step's noise, which tells no more than the noisy steps.</exception>
    public static TrainingResult Run(
        nn.Module<Tensor, Tensor> module, PrivacyUnits units, Func<Tensor, Tensor> losses, LearningTask task, int round, ModelState start, SecureRandom random, CancellationToken cancellationToken, Action<DpTrainer>? stepped = null)
    {
        PrivacySpec privacy = task.Spec.Privacy ?? throw new ArgumentException("The run has no differential privacy.", nameof(task));
        ModuleState.Load(module, start);
        // Dropout of own modules may draw from Torch's generator; noise and sampling do not.
        torch.random.manual_seed(unchecked((long)DerivedSeed.For(task.Spec.Seed, "module", (ulong)round, task.Site)));
        module.train();
        DpSgdParameters parameters = Parameters(task.Spec, privacy);
        bool modelIsKnown = task.Schema is not null; // a model that the spec names
        try
        {
            return privacy.Noise == NoiseSource.Shared
                ? Sum(module, units, losses, task.Spec, parameters, start, random, modelIsKnown)
                : Steps(module, units, losses, task, parameters, round, start, random, modelIsKnown, stepped, cancellationToken);
        }
        catch (NonFiniteTrainingException error)
        {
            throw new LearningException(error.Message);
        }
    }

    private static TrainingResult Steps(
        nn.Module module, PrivacyUnits units, Func<Tensor, Tensor> losses, LearningTask task, DpSgdParameters parameters, int round, ModelState start, SecureRandom random, bool modelIsKnown, Action<DpTrainer>? stepped, CancellationToken cancellationToken)
    {
        PrivateFigures last = PrivateFigures.None;
        long nonFinite = 0;
        // What the correction adds, after the noise, depends on noisy steps alone.
        using optim.Optimizer optimizer = LocalTraining.CreateOptimizer(module, task.Spec.Local.Optimizer, GradientCorrection.Of(module, task, start));
        using WeightAverage? average = WeightAverage.Of(module, task.Spec.Local);
        var rates = new StepRates(task.Spec, round, task.Spec.Privacy!.Steps);
        using (DpTrainer trainer = new(module, optimizer, units, parameters, random, rules: null, modelIsKnown))
        {
            for (int step = 0; step < task.Spec.Privacy.Steps; step++)
            {
                cancellationToken.ThrowIfCancellationRequested();
                rates.Set(optimizer, step);
                last = trainer.Step(losses);
                average?.Add();
                nonFinite += last.NonFinite;
                stepped?.Invoke(trainer);
            }
        }

        average?.Apply(); // of weights after noisy steps: post-processing, at no cost

        return new(LocalTraining.WeightedDelta(start, ModuleState.Of(module), weight: 1, round), 1, last.MeanLoss) { NonFinite = nonFinite };
    }

    /// <summary>−η/b·Σ − ηλw, η the learning rate, b the batch that is expected and λ the weight decay of the global model w, which is public: what the model moves by once the mean over the sites and their noise is taken.</summary>
    private static TrainingResult Sum(nn.Module module, PrivacyUnits units, Func<Tensor, Tensor> losses, RunSpec spec, DpSgdParameters parameters, ModelState start, SecureRandom random, bool modelIsKnown)
    {
        using IDisposable scope = NewDisposeScope();
        using ClippedSample sample = new(module, units, parameters, random, rules: null, modelIsKnown);
        OptimizerSpec optimizer = spec.Local.Optimizer;
        double scale = -optimizer.LearningRate / spec.Local.BatchSize, decay = -optimizer.LearningRate * optimizer.WeightDecay;
        PrivateFigures figures = sample.Take(losses);
        var delta = new ModelState(start.Tensors.Select(tensor => tensor with { Values = sample.Sums.Holds(tensor.Name) ? Moved(tensor, sample.Sums[tensor.Name]) : new float[tensor.Values.Length] }));
        return new(delta, 1, figures.MeanLoss) { NonFinite = figures.NonFinite };

        float[] Moved(NamedTensor weights, Tensor gradients) => [.. gradients.cpu().data<float>().Select((value, i) => Rounded((value * scale) + (weights.Values[i] * decay)))];

        // A great learning rate must not make ∞ of some records' sum and not of others': an error would tell.
        static float Rounded(double value) => (float)Math.Clamp(value, -float.MaxValue, float.MaxValue);
    }

    private static DpSgdParameters Parameters(RunSpec spec, PrivacySpec privacy) => new DpSgdOptions
    {
        PhysicalBatchSize = spec.Local.MicroBatchSize ?? DpSgdOptions.UsualPhysicalBatchSize,
        ClippingNorm = privacy.Clip,
        Clipping = privacy.Clipping switch { GradientClipping.PerLayer => ClippingKind.PerLayer, GradientClipping.Automatic => ClippingKind.Automatic, _ => ClippingKind.Flat },
        NoiseMultiplier = spec.Sigma,
        SamplingRate = privacy.SamplingRate,
        ExpectedBatchSize = spec.Local.BatchSize,
    }.ToParameters();
}
