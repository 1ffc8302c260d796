using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning.DifferentialPrivacy;
using Federation.Learning.Models;
using Federation.Learning.Training;
using Federation.Privacy.Mechanisms;
using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning.Auditing;

/// <summary>All rounds of a private run at one site, by the trainer of real runs, as if no other site had anything to add. Nothing is released.</summary>
internal static class Rehearsal
{
    /// <param name="module">Holds the initial model; holds the trained one afterwards.</param>
    /// <param name="observed">Names of weights; none: nothing is looked at.</param>
    /// <param name="unit">What sums are measured in: the clipping norm.</param>
    /// <param name="opened">Sees, of every release, the noisy sum of clipped gradients of the weights observed.</param>
    public static void Run(
        nn.Module<Tensor, Tensor> module, PrivacyUnits units, Func<Tensor, Tensor> losses, LearningTask task, IReadOnlyList<string> observed, double unit, Action<float[][]> opened, SecureRandom random, CancellationToken cancellationToken)
    {
        RunSpec spec = task.Spec;
        bool shared = spec.Privacy!.Noise == NoiseSource.Shared;
        float perUnit = (float)(spec.Local.BatchSize / unit);
        ModelState model = ModuleState.Of(module);
        for (int round = 1; round <= spec.Rounds; round++)
        {
            ModelState update = PrivateTraining.Run(module, units, losses, task with { Spec = spec.At(round) }, round, model, random, cancellationToken, Stepped).WeightedDelta;
            if (shared)
            {
                update = CoalitionView.Opened(spec, update, random);
                if (observed.Count > 0) opened(Sums(spec, unit, model, update, observed));
            }

            model = Plus(model, update, shared ? spec.Cohort.MinContributors : 1);
        }

        ModuleState.Load(module, model);

        void Stepped(DpTrainer trainer)
        {
            if (observed.Count == 0) return;
            using IDisposable scope = NewDisposeScope();
            using Scalar factor = perUnit;
            opened([.. observed.Select(name => trainer.Released(name).mul(factor).cpu().view(-1).data<float>().ToArray())]);
        }
    }

    /// <summary>Σ of −η/b·Σ − ηλw, as the encoding carries it.</summary>
    private static float[][] Sums(RunSpec spec, double unit, ModelState model, ModelState update, IReadOnlyList<string> observed)
    {
        OptimizerSpec optimizer = spec.Local.Optimizer;
        double scale = -optimizer.LearningRate / spec.Local.BatchSize * unit, decay = -optimizer.LearningRate * optimizer.WeightDecay;
        return [.. observed.Select(name => Values(update, name).Zip(Values(model, name), (moved, weight) => (float)((moved - (weight * decay)) / scale)).ToArray())];
    }

    private static float[] Values(ModelState state, string name) => state.Tensors.Single(tensor => tensor.Name == name).Values;

    private static ModelState Plus(ModelState model, ModelState update, int divisor) =>
        new(model.Tensors.Zip(update.Tensors, (weights, moved) => weights with { Values = [.. weights.Values.Zip(moved.Values, (weight, step) => weight + (step / divisor))] }));
}
