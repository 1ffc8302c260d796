using Federation.Formats.Evaluation;
using Federation.Formats.Models;
using Federation.Learning.Evaluation;
using Federation.Learning.Models;
using Federation.Learning.Training;
using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning;

/// <summary>Examples in memory: inputs [n, …] and targets [n, …], on the device that trains. Owned by the learner.</summary>
public sealed record Examples(Tensor Inputs, Tensor Targets);

/// <summary>Trains a module of the user's own on the user's own data and loss, for runs with <c>model: { kind: custom }</c>.</summary>
/// <param name="createModule">An untrained module; every site's must have the same layout.</param>
/// <param name="train">This site's training examples.</param>
/// <param name="loss">Mean loss of a batch from (output, target).</param>
/// <param name="test">Held-out examples; without them this site evaluates nothing.</param>
/// <param name="evaluate">Sums from (outputs, targets) of the test examples; needed where they are neither [n] or [n, 1] logits of class 1 with targets 0/1, nor [n, k] logits with int64 targets [n].</param>
public sealed class ModuleLearner(
    Func<nn.Module<Tensor, Tensor>> createModule,
    Examples train,
    Func<Tensor, Tensor, Tensor> loss,
    Examples? test = null,
    Func<Tensor, Tensor, EvaluationSums>? evaluate = null) : ILocalLearner
{
    private nn.Module<Tensor, Tensor>? _module;

    private nn.Module<Tensor, Tensor> Module => _module ??= createModule().to(train.Inputs.device);

    public IReadOnlyList<string> Check(LearningTask task, ModelState initial)
    {
        List<string> mismatches = [];
        if (task.Schema is not null) mismatches.Add("The run trains on tables; this node's program holds a custom model. Submit a spec with model: { kind: custom }.");
        if (task.Spec.Privacy is not null) mismatches.Add("The run asks for differential privacy; a module of one's own is trained that way by DpTrainer in one's own loop, and not by ModuleLearner in this version.");
        if (train.Inputs.shape[0] == 0) mismatches.Add("This site has no training example.");
        if (train.Inputs.shape[0] != train.Targets.shape[0]) mismatches.Add($"This site has {train.Inputs.shape[0]} inputs and {train.Targets.shape[0]} targets.");
        mismatches.AddRange(ModuleState.Differences(Module, initial).Select(difference => $"The run's model is not this program's: {difference}"));
        return mismatches;
    }

    public TrainingResult Train(LearningTask task, int round, ModelState start, CancellationToken cancellationToken) =>
        LocalTraining.Run(Module, train.Inputs, train.Targets, loss, task, round, start, cancellationToken);

    public EvaluationSums Evaluate(LearningTask task, ModelState model, CancellationToken cancellationToken)
    {
        if (test is null) return new EvaluationSums { Examples = 0, Correct = 0, LogLossSum = 0, BrierSum = 0 };
        ModuleState.Load(Module, model);
        using IDisposable scope = NewDisposeScope();
        using IDisposable noGrad = no_grad();
        Module.eval();
        Tensor outputs = Module.call(test.Inputs);
        return (evaluate ?? Classification)(outputs, test.Targets);
    }

    public void Dispose()
    {
        _module?.Dispose();
        train.Inputs.Dispose();
        train.Targets.Dispose();
        test?.Inputs.Dispose();
        test?.Targets.Dispose();
    }

    private static EvaluationSums Classification(Tensor outputs, Tensor targets)
    {
        long count = targets.shape[0];
        int[] labels = [.. targets.cpu().to(ScalarType.Int64).reshape(-1).data<long>().Select(label => (int)label)];
        Tensor logits = outputs.to(ScalarType.Float64).cpu();
        if (outputs.numel() == count && labels.Length == count && labels.All(label => label is 0 or 1))
        {
            return ClassificationSums.Binary([.. logits.reshape(-1).sigmoid().data<double>()], labels);
        }

        if (outputs.dim() == 2 && targets.dim() == 1 && targets.dtype == ScalarType.Int64 && labels.All(label => label >= 0 && label < outputs.shape[1]))
        {
            int classes = (int)outputs.shape[1];
            return ClassificationSums.Multiclass([.. logits.softmax(1).contiguous().data<double>().ToArray().Chunk(classes)], labels);
        }

        throw new LearningException($"Outputs of shape [{string.Join(", ", outputs.shape)}] with targets of shape [{string.Join(", ", targets.shape)}] are no classification; give ModuleLearner an evaluate function.");
    }
}
