using Federation.Formats.Evaluation;
using Federation.Formats.Models;
using Federation.Learning;
using Federation.Learning.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Federation.EndToEnd.Tests;

/// <summary>A model of one vector, for tests about sizes.</summary>
internal static class OneVector
{
    public static string Spec(int rounds, int least, string secure = "none", string deadline = "60s") => $$"""
        name: one-vector
        model: { kind: custom }
        rounds: {{rounds}}
        seed: 1
        cohort: { sites: all, minContributors: {{least}}, deadline: {{deadline}} }
        local: { optimizer: { kind: sgd, learningRate: 0.1 }, batchSize: 4, epochs: 1 }
        privacy: none
        secureAggregation: {{secure}}
        """;

    public static ModelState Initial(int values)
    {
        using nn.Module<Tensor, Tensor> module = Module(values);
        return ModuleState.Of(module);
    }

    public static ModuleLearner Learner(int values) => Learner(values, ones(4, values));

    /// <summary>Whose updates do not compress.</summary>
    public static ModuleLearner ManifoldLearner(int values)
    {
        using Generator seeded = new(1);
        return Learner(values, rand(4, values, generator: seeded));
    }

    private static ModuleLearner Learner(int values, Tensor targets) =>
        new(() => Module(values), new Examples(ones(4, 1), targets), (output, target) => nn.functional.mse_loss(output, target));

    private static nn.Module<Tensor, Tensor> Module(int values)
    {
        TorchSharp.Modules.Linear linear = nn.Linear(1, values, hasBias: false);
        using IDisposable noGrad = no_grad();
        nn.init.zeros_(linear.weight!);
        return linear;
    }
}

/// <summary>Holds one round's training until it is released.</summary>
internal sealed class GatedLearner(ILocalLearner inner, int heldRound) : ILocalLearner
{
    private readonly TaskCompletionSource _started = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly ManualResetEventSlim _gate = new();

    public Task Started => _started.Task;

    public void Release() => _gate.Set();

    public IReadOnlyList<string> Check(LearningTask task, ModelState initial) => inner.Check(task, initial);

    public TrainingResult Train(LearningTask task, int round, ModelState start, CancellationToken cancellationToken)
    {
        if (round == heldRound)
        {
            _started.TrySetResult();
            _gate.Wait(cancellationToken);
        }

        return inner.Train(task, round, start, cancellationToken);
    }

    public EvaluationSums Evaluate(LearningTask task, ModelState model, CancellationToken cancellationToken) => inner.Evaluate(task, model, cancellationToken);

    public void Dispose()
    {
        inner.Dispose();
        _gate.Dispose();
    }
}

/// <summary>Holds one of its evaluations until it is released.</summary>
/// <param name="held">Counted from 1; the first is of the model that round 1 starts from.</param>
internal sealed class GatedEvaluation(ILocalLearner inner, int held) : ILocalLearner
{
    private readonly ManualResetEventSlim _gate = new();
    private int _evaluations;

    public void Release() => _gate.Set();

    public IReadOnlyList<string> Check(LearningTask task, ModelState initial) => inner.Check(task, initial);

    public TrainingResult Train(LearningTask task, int round, ModelState start, CancellationToken cancellationToken) => inner.Train(task, round, start, cancellationToken);

    public EvaluationSums Evaluate(LearningTask task, ModelState model, CancellationToken cancellationToken)
    {
        if (Interlocked.Increment(ref _evaluations) == held) _gate.Wait(cancellationToken);
        return inner.Evaluate(task, model, cancellationToken);
    }

    public void Dispose()
    {
        inner.Dispose();
        _gate.Dispose();
    }
}

/// <summary>Cannot train in these rounds.</summary>
internal sealed class FailingLearner(ILocalLearner inner, params int[] rounds) : ILocalLearner
{
    public IReadOnlyList<string> Check(LearningTask task, ModelState initial) => inner.Check(task, initial);

    public TrainingResult Train(LearningTask task, int round, ModelState start, CancellationToken cancellationToken) =>
        rounds.Contains(round) ? throw new LearningException("Out of memory.") : inner.Train(task, round, start, cancellationToken);

    public EvaluationSums Evaluate(LearningTask task, ModelState model, CancellationToken cancellationToken) => inner.Evaluate(task, model, cancellationToken);

    public void Dispose() => inner.Dispose();
}

/// <summary>Counts how often it trained.</summary>
internal sealed class CountingLearner(ILocalLearner inner) : ILocalLearner
{
    private int _trained;

    public int Trained => _trained;

    public IReadOnlyList<string> Check(LearningTask task, ModelState initial) => inner.Check(task, initial);

    public TrainingResult Train(LearningTask task, int round, ModelState start, CancellationToken cancellationToken)
    {
        Interlocked.Increment(ref _trained);
        return inner.Train(task, round, start, cancellationToken);
    }

    public EvaluationSums Evaluate(LearningTask task, ModelState model, CancellationToken cancellationToken) => inner.Evaluate(task, model, cancellationToken);

    public void Dispose() => inner.Dispose();
}

/// <summary>Moves every value by the same step, over so many examples.</summary>
internal sealed class WeightyLearner(float step, ulong examples) : ILocalLearner
{
    public IReadOnlyList<string> Check(LearningTask task, ModelState initial) => [];

    public TrainingResult Train(LearningTask task, int round, ModelState start, CancellationToken cancellationToken) =>
        new(new ModelState(start.Tensors.Select(tensor => tensor with { Values = [.. tensor.Values.Select(_ => step * examples)] })), examples, 0);

    public EvaluationSums Evaluate(LearningTask task, ModelState model, CancellationToken cancellationToken) => new() { Examples = 0, Correct = 0, LogLossSum = 0, BrierSum = 0 };

    public void Dispose()
    {
    }
}
