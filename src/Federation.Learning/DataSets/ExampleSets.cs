using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Formats.Data;
using Federation.Formats.Runs;
using Federation.Learning.Data;

namespace Federation.Learning.DataSets;

/// <param name="Train">Dealt out to the clients.</param>
/// <param name="Test">Public, for measuring the global model.</param>
public sealed record LoadedExamples(ExampleSet Train, ExampleSet Test);

/// <summary>The examples that a simulation names.</summary>
public static class ExampleSets
{
    /// <param name="folder">The spec's, which its paths are relative to.</param>
    /// <param name="column">csv: the column whose values become <see cref="ExampleSet.Groups"/>; null: none.</param>
    /// <exception cref="InvalidInputException">Every problem found: the file, what is wrong with it, and what would be right.</exception>
    public static LoadedExamples Load(SimulatedData data, string folder, string? column = null)
    {
        if (column is not null && data.Kind != SimulatedDataKind.Csv) throw new InvalidInputException(new Problem("Only a table has columns.", Field: "simulation.partition.column", Repair: "Write simulation.data.kind: csv, or another kind of partition."));
        return data.Kind switch
        {
            SimulatedDataKind.Mnist => MnistFiles.Load(FolderOf(data, folder, "mnist"), "mnist", data.Normalization),
            SimulatedDataKind.FashionMnist => MnistFiles.Load(FolderOf(data, folder, "fashion-mnist"), "fashion-mnist", data.Normalization),
            SimulatedDataKind.Cifar10 => Cifar10Files.Load(FolderOf(data, folder, "cifar10"), data.Normalization),
            SimulatedDataKind.Npz => NpzFile.Load(Path.Combine(folder, data.Path!), data.Classes!.Value, data.Normalization),
            SimulatedDataKind.Csv => LoadTable(data, folder, column),
            _ => SyntheticExamples.Load(data),
        };
    }

    private static string FolderOf(SimulatedData data, string folder, string name) => data.Path is { } path ? Path.Combine(folder, path) : Path.Combine(PublicDataFolder.Path, name);

    private static LoadedExamples LoadTable(SimulatedData data, string folder, string? column)
    {
        string schemaPath = data.Schema ?? throw Missing("schema", "data.schema"), label = data.Label ?? throw Missing("label", "task.label");
        var schema = DataSchema.Load(Path.Combine(folder, schemaPath));
        string path = Path.Combine(folder, data.Path!);
        var task = new TaskSpec(TaskKind.MulticlassClassification, label);
        int classes = TabularDataSet.LabelOf(schema, task).Categories.Count;
        TabularDataSet table = TabularDataSet.Load(new DataSource(schema.Name, path), schema, new DataSpec(schemaPath, MissingIndicators: data.MissingIndicators), task, column);
        if (table.Test.Count == 0) throw new InvalidInputException(new Problem("No row is held out to measure the model on.", path, Repair: $"Write testFraction: 0.2 in {schemaPath}."));
        return new(new TableExamples(schema.Name, table.Train, classes), new TableExamples($"{schema.Name} test", table.Test, classes));
    }

    private static InvalidInputException Missing(string field, string run) => new(new Problem("is missing.", Field: $"simulation.data.{field}", Repair: $"Write it there, or {run} in the run spec."));
}
