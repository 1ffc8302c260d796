using Federation.Formats.Evaluation;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning.DifferentialPrivacy;
using Federation.Learning.Evaluation;
using Federation.Learning.Models;
using Federation.Learning.Training;
using Federation.Privacy.Mechanisms;
using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning;

/// <summary>Examples in memory: inputs [n, …] and targets [n, …], on the device that trains. Owned by the learner.</summary>
public sealed record Examples(Tensor Inputs, Tensor Targets);

/// <summary>Trains a module of the user's own on the user's own data and loss, for runs with <c>model: { kind: custom }</c>.</summary>
/// <param name="createModule">An untrained module; every site's must have the same layout.</param>
/// <param name="train">This site's training examples.</param>
/// <param name="loss">Mean loss of a batch from (output, target).</param>
/// <param name="test">Held-out examples; without them this site evaluates nothing. A run that evaluates under differential privacy is refused where there are any: nothing bounds what one of them moves.</param>
/// <param name="recordLosses">Losses [B] of a batch's records from (output, target), each of its own record alone; needed where a run asks for differential privacy.</param>
/// <param name="persons">Whose each training example is; needed where a run's privacy unit is a person.</param>
/// <param name="evaluate">Sums from (outputs, targets) of the test examples; needed where they are neither [n] or [n, 1] logits of class 1 with targets 0/1, nor [n, k] logits with int64 targets [n].</param>
public sealed class ModuleLearner(
    Func<nn.Module<Tensor, Tensor>> createModule,
    Examples train,
    Func<Tensor, Tensor, Tensor> loss,
    Examples? test = null,
    Func<Tensor, Tensor, EvaluationSums>? evaluate = null,
    Func<Tensor, Tensor, Tensor>? recordLosses = null,
    IReadOnlyList<string>? persons = null) : ILocalLearner
{
    private nn.Module<Tensor, Tensor>? _module;

    private nn.Module<Tensor, Tensor> Module => _module ??= createModule().to(train.Inputs.device);

    public IReadOnlyList<string> Check(LearningTask task, ModelState initial)
    {
        List<string> mismatches = [];
        if (task.Schema is not null) mismatches.Add("The run trains on tables; this node's program holds a custom model. Submit a spec with model: { kind: custom }.");
        if (task.Spec.Privacy is { Unit: not DpUnit.Site } privacy) mismatches.AddRange(PrivateMismatches(privacy, task.Spec.Evaluate is not null));
        // How many there are is said to nobody, and of a private run not even that there are none.
        if (train.Inputs.shape[0] == 0 && task.Spec.Privacy is null) mismatches.Add("This site has no training example.");
        if (train.Inputs.shape[0] != train.Targets.shape[0]) mismatches.Add("This site's program gives inputs and targets of different number.");
        mismatches.AddRange(ModuleState.Differences(Module, initial).Select(difference => $"The run's model is not this program's: {difference}"));
        return mismatches;
    }

    public TrainingResult Train(LearningTask task, int round, ModelState start, CancellationToken cancellationToken)
    {
        if (train.Inputs.shape[0] == 0 && task.Spec.Privacy is { Unit: DpUnit.Site }) return TrainingResult.Nothing(start);
        if (task.RecordPrivacy is not { } privacy) return LocalTraining.Run(Module, train.Inputs, train.Targets, loss, task, round, start, cancellationToken);
        if (PrivateMismatches(privacy, evaluates: false) is [var missing, ..]) throw new LearningException(missing);
        PrivacyUnits units = privacy.Unit == DpUnit.Person ? PrivacyUnits.ByKey(persons!, privacy.MaxUnitRecords) : PrivacyUnits.Records((int)train.Inputs.shape[0]);
        using SecureRandom random = task.NoiseOf("training", round);
        return PrivateTraining.Run(Module, units, records => recordLosses!(Module.call(train.Inputs.index_select(0, records)), train.Targets.index_select(0, records)), task, round, start, random, cancellationToken);
    }

    private List<string> PrivateMismatches(PrivacySpec privacy, bool evaluates)
    {
        List<string> mismatches = [];
        if (recordLosses is null) mismatches.Add("The run asks for differential privacy, which needs each record's own loss; this node's program gives ModuleLearner no recordLosses.");
        if (privacy.Unit == DpUnit.Person && persons?.Count != train.Inputs.shape[0]) mismatches.Add($"The run's privacy unit is a person; this node's program gives ModuleLearner {(persons is null ? "no persons" : "not one for each example")}.");
        if (evaluates && test is not null) mismatches.Add("The run evaluates under differential privacy. Its noise is for figures that one record or person moves by 1 at most, and of what a program of one's own makes of its test examples nobody can say that. Remove evaluate from the run's spec, and let each site measure for itself.");
        mismatches.AddRange(ModelCheck.Problems(Module).Select(problem => problem.ToString()));
        return mismatches;
    }

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
