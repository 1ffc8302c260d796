using Federation.Formats.Evaluation;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Learning.DataSets;
using Federation.Learning.DifferentialPrivacy;
using Federation.Learning.Evaluation;
using Federation.Learning.Models;
using Federation.Learning.Strategies;
using Federation.Learning.Training;
using Federation.Privacy.Canonical;
using Federation.Privacy.Mechanisms;
using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Simulation;

/// <summary>One model instance, which trains one client after another by the code of real nodes. For one thread.</summary>
internal sealed class ClientWorker(SimulationInput input) : IDisposable
{
    private readonly nn.Module<Tensor, Tensor> _module = Create(input);

    /// <summary>The run's initial model, by its seed; of a module of one's own, as it is made.</summary>
    public static ModelState Initial(SimulationInput input)
    {
        using nn.Module<Tensor, Tensor> module = Create(input);
        return ModuleState.Of(module);
    }

    /// <summary>A client's update as it would leave it.</summary>
    /// <param name="task">Of the client; its spec is as it is in the round.</param>
    /// <param name="examples">The client's.</param>
    /// <exception cref="LearningException">Training gave what is not finite.</exception>
    public TrainingResult Update(LearningTask task, int round, ModelState start, IReadOnlyList<int> examples, UpdateShape shape, CancellationToken cancellationToken)
    {
        TrainingResult trained;
        try
        {
            trained = Train(task, round, start, examples, cancellationToken);
        }
        catch (LearningException) when (task.Spec.Privacy is { Noise: not NoiseSource.Own })
        {
            trained = TrainingResult.Nothing(start); // as a node does: a failure would say something of its records
        }

        TrainingResult update = SiteUpdate.Of(task, trained, shape);
        return task.Spec.Privacy is { IsCentral: true } ? update.AsOne() : update;
    }

    /// <summary>Sums over some examples of the test set.</summary>
    public EvaluationSums Evaluate(ModelState model, ExampleSet test, int first, int count)
    {
        using IDisposable scope = NewDisposeScope();
        using IDisposable noGrad = no_grad();
        int[] indices = [.. Enumerable.Range(first, count)];
        ModuleState.Load(_module, model);
        _module.eval();
        Tensor logits = _module.call(Inputs(test, indices)).to(ScalarType.Float64).cpu();
        int[] labels = [.. indices.Select(test.Label)];
        return input.IsBinary
            ? ClassificationSums.Binary([.. logits.reshape(-1).sigmoid().data<double>()], labels)
            : ClassificationSums.Multiclass([.. logits.softmax(1).contiguous().data<double>().ToArray().Chunk(test.Classes)], labels);
    }

    public void Dispose() => _module.Dispose();

    private TrainingResult Train(LearningTask task, int round, ModelState start, IReadOnlyList<int> examples, CancellationToken cancellationToken)
    {
        using IDisposable scope = NewDisposeScope();
        Tensor inputs = Inputs(input.Train, examples);
        Tensor labels = input.IsBinary
            ? tensor(examples.Select(index => (float)input.Train.Label(index)).ToArray(), [examples.Count, 1])
            : tensor(examples.Select(index => (long)input.Train.Label(index)).ToArray(), [examples.Count]);
        if (task.RecordPrivacy is null) return LocalTraining.Run(_module, inputs, labels, (output, target) => Loss(output, target, nn.Reduction.Mean), task, round, start, cancellationToken);
        using SecureRandom random = task.NoiseOf("training", round);
        return PrivateTraining.Run(
            _module,
            PrivacyUnits.Records(examples.Count),
            records => Loss(_module.call(inputs.index_select(0, records)), labels.index_select(0, records), nn.Reduction.None).reshape(-1),
            task,
            round,
            start,
            random,
            cancellationToken);
    }

    private Tensor Loss(Tensor output, Tensor target, nn.Reduction reduction) => input.IsBinary
        ? nn.functional.binary_cross_entropy_with_logits(output, target, reduction: reduction)
        : nn.functional.cross_entropy(output, target, reduction: reduction);

    private Tensor Inputs(ExampleSet set, IReadOnlyList<int> examples)
    {
        int each = set.Values;
        float[] values = new float[checked(examples.Count * each)];
        for (int i = 0; i < examples.Count; i++) set.Read(examples[i], values.AsSpan(i * each, each));
        // The spec's own models take an example as a row.
        long[] shape = input.Spec.Model.Kind == ModelKind.Custom ? [examples.Count, .. set.Shape.Select(size => (long)size)] : [examples.Count, each];
        return tensor(values, shape);
    }

    private static nn.Module<Tensor, Tensor> Create(SimulationInput input) => input.Spec.Model.Kind == ModelKind.Custom
        ? input.CreateModule!()
        : TabularModel.Create(input.Spec.Model, input.Train.Values, input.IsBinary ? 1 : input.Train.Classes, DerivedSeed.For(input.Spec.Seed, "initial-weights"));
}
