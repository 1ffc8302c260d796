using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Formats.Data;
using Federation.Formats.Evaluation;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning.Data;
using Federation.Learning.DifferentialPrivacy;
using Federation.Learning.Evaluation;
using Federation.Learning.Models;
using Federation.Learning.Training;
using Federation.Privacy.Mechanisms;
using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning;

/// <summary>Trains the spec's model on a table of <c>node.yaml</c>: the one whose id is the schema's name.</summary>
public sealed class TabularLearner(IReadOnlyList<DataSource> sources, Device device) : ILocalLearner
{
    private readonly TabularDataSet? _given;
    private (string RunId, TabularDataSet Data, nn.Module<Tensor, Tensor> Module)? _loaded;

    /// <summary>On a table that is in memory already.</summary>
    public TabularLearner(TabularDataSet data, Device device)
        : this([], device) => _given = data;

    public IReadOnlyList<string> Check(LearningTask task, ModelState initial)
    {
        if (task.Schema is null || task.Spec.Data is null || task.Spec.Task is null) return ["The run trains a custom model; this node is set up for tables. Start the program that holds the model."];
        List<string> mismatches = [];
        if (SourceOf(task).Schema is { } own) mismatches.AddRange(SchemaComparison.Mismatches(DataSchema.Load(own), task.Schema));
        // A file that is described otherwise is not read: what a wrong separator or heading makes of it would be said.
        IReadOnlyList<Problem> problems = mismatches.Count > 0 ? [] : ProblemsOf(() => Load(task));
        using nn.Module<Tensor, Tensor> module = TabularModel.Create(task.Spec, task.Schema, 0);
        mismatches.AddRange(ModuleState.Differences(module, initial).Select(difference => $"The run's model does not fit its spec and schema: {difference}"));
        return problems.Count == 0 ? mismatches : throw new InvalidInputException([.. mismatches.Select(mismatch => new Problem(mismatch)), .. problems]);
    }

    public IReadOnlyList<string> NotesOn(LearningTask task) => task.Spec.Statistics is null && Load(task).Data.LeftOut is [_, ..] leftOut ? ["Rows that do not fit the run's schema are left out:", .. leftOut.Select(problem => problem.ToString())] : [];

    public TrainingResult Train(LearningTask task, int round, ModelState start, CancellationToken cancellationToken)
    {
        (TabularDataSet data, nn.Module<Tensor, Tensor> module) = Load(task);
        using IDisposable scope = NewDisposeScope();
        Rows rows = data.Train;
        if (rows.Count == 0 && task.Spec.Privacy is { Unit: DpUnit.Site }) return TrainingResult.Nothing(start);
        Tensor inputs = tensor(rows.Features, [rows.Count, rows.Width], device: device);
        bool binary = task.Spec.Task!.Kind == TaskKind.BinaryClassification;
        if (task.RecordPrivacy is not null) return TrainPrivately(task, round, start, module, rows, inputs, binary, cancellationToken);
        Tensor targets = binary
            ? tensor(rows.Labels.Select(label => (float)label).ToArray(), [rows.Count, 1], device: device)
            : tensor(rows.Labels.Select(label => (long)label).ToArray(), [rows.Count], device: device);
        return LocalTraining.Run(
            module,
            inputs,
            targets,
            (output, target) => binary ? nn.functional.binary_cross_entropy_with_logits(output, target) : nn.functional.cross_entropy(output, target),
            task,
            round,
            start,
            cancellationToken);
    }

    private static TrainingResult TrainPrivately(LearningTask task, int round, ModelState start, nn.Module<Tensor, Tensor> module, Rows rows, Tensor inputs, bool binary, CancellationToken cancellationToken)
    {
        PrivacyUnits units = rows.Persons is { } persons ? PrivacyUnits.ByKey(persons, task.Spec.Privacy!.MaxUnitRecords) : PrivacyUnits.Records(rows.Count);
        using SecureRandom random = task.NoiseOf("training", round);
        return PrivateTraining.Run(module, units, RowLosses.Of(module, rows, inputs, binary), task, round, start, random, cancellationToken);
    }

    public EvaluationSums Evaluate(LearningTask task, ModelState model, CancellationToken cancellationToken)
    {
        (TabularDataSet data, nn.Module<Tensor, Tensor> module) = Load(task);
        ModuleState.Load(module, model);
        TaskKind kind = task.Spec.Task!.Kind;
        // A person may move the sums of a private run by no more than a record would.
        Rows rows = data.Test.FirstOfEachPerson();
        return Prediction.Sums(Prediction.Probabilities(module, rows, kind, device), rows, kind);
    }

    public void Dispose() => _loaded?.Module.Dispose();

    private (TabularDataSet Data, nn.Module<Tensor, Tensor> Module) Load(LearningTask task)
    {
        if (_loaded is not { } loaded || loaded.RunId != task.RunId)
        {
            _loaded?.Module.Dispose();
            _loaded = null;
            TabularDataSet data = _given ?? TabularDataSet.Load(SourceOf(task), task.Schema!, task.Spec.Data!, task.Spec.Task!, task.Spec.Privacy?.Key, leaveOutUnfit: task.Spec.Privacy is not null);
            nn.Module<Tensor, Tensor> module = TabularModel.Create(task.Spec, task.Schema!, 0);
            module.to(device);
            loaded = (task.RunId, data, module);
            _loaded = loaded;
        }

        return (loaded.Data, loaded.Module);
    }

    private DataSource SourceOf(LearningTask task) => sources.FirstOrDefault(source => source.Id == task.Schema!.Name)
        ?? throw new InvalidInputException(new Problem($"This node has no data set '{task.Schema!.Name}'.", Repair: sources.Count == 0 ? "Its node.yaml names none." : $"Its node.yaml names {string.Join(", ", sources.Select(source => $"'{source.Id}'"))}."));

    private static IReadOnlyList<Problem> ProblemsOf(Action load)
    {
        try
        {
            load();
            return [];
        }
        catch (InvalidInputException error)
        {
            return error.Problems;
        }
    }
}
