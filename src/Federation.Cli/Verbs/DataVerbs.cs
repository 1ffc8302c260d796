using System.CommandLine;
using Federation.Cli.CommandLine;
using Federation.Cli.Results;
using Federation.Cli.Terminal;
using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Formats.Data;
using Federation.Formats.Runs;
using Federation.Learning.Data;

namespace Federation.Cli.Verbs;

/// <summary><c>fed data</c>: a site's records before any run.</summary>
internal static class DataVerbs
{
    private static readonly Argument<string> File = new("FILE") { Description = "The CSV file." };

    // The verb's own option stands before the general one of the same name, which takes no value.
    private static readonly Option<string?> SchemaFile = new("--schema")
    {
        Description = "The data schema; default: the one that --spec names. Without a file: print the JSON schema of the --json output.",
        HelpName = "schema.yaml",
        Arity = ArgumentArity.ZeroOrOne,
    };

    private static readonly Option<string?> SpecFile = new("--spec") { Description = "A run spec: its label, scaling and missing-value indicators are used.", HelpName = "run.yaml" };

    private static readonly Option<string?> Split = new("--split") { Description = "CSV `line,set` with set train, test or unused.", HelpName = "split.csv" };

    public static Verb Create() => new Verb("data", "Look at a site's records, and at sums over all sites' records.", "fed data check heart.csv --schema heart-disease.schema.yaml")
        .With(new Verb("check", "Check a CSV file against a schema; nothing leaves the machine: rows, classes, missing and clipped values, features, or everything that is wrong.", "fed data check heart.csv --schema heart-disease.schema.yaml", "data-check")
            .With(File, SchemaFile, SpecFile, Split).Does(CheckAsync))
        .With(StatisticsVerb.Create());

    /// <summary>Reads the file as a node would.</summary>
    /// <exception cref="InvalidInputException">Everything that is wrong.</exception>
    public static DataReport Report(DataSource source, DataSchema schema, DataSpec data, TaskSpec task)
    {
        var set = TabularDataSet.Load(source, schema, data, task);
        Column label = TabularDataSet.LabelOf(schema, task);
        ClassCount[] classes = [.. label.Categories.Select((values, index) => new ClassCount(values[0], set.Train.Labels.Count(row => row == index), set.Test.Labels.Count(row => row == index)))];
        ColumnReport[] columns = [.. set.Counts.Select(counts => new ColumnReport(counts.Column, counts.Missing, counts.Clipped))];
        return new DataReport(source.Path, schema.Name, set.Train.Count + set.Test.Count, set.Train.Count, set.Test.Count, set.RowsWithoutLabel, classes, columns, set.FeatureNames);
    }

    /// <summary>The schema's only label, where no spec names one.</summary>
    /// <exception cref="InvalidInputException">It has none, or several.</exception>
    public static TaskSpec OnlyTask(DataSchema schema, string path)
    {
        Column[] labels = [.. schema.Columns.Where(column => column.Kind == ColumnKind.Label)];
        if (labels is not [var label]) throw new InvalidInputException(new Problem($"The schema has {labels.Length} labels; without a spec exactly one is right.", path, Field: "columns", Repair: "Name a run spec with --spec."));
        return new TaskSpec(label.Categories.Count == 2 ? TaskKind.BinaryClassification : TaskKind.MulticlassClassification, label.Name);
    }

    private static Task<int> CheckAsync(Invocation invocation)
    {
        string path = invocation.Get(File);
        string? schemaPath = invocation.Get(SchemaFile), specPath = invocation.Get(SpecFile);
        if (schemaPath is null && specPath is null) throw new InvalidInputException(new Problem("There is nothing to check the file against.", Field: SchemaFile.Name, Repair: "Name a schema with --schema, or a run spec with --spec."));
        TabularFiles? files = specPath is null ? null : TabularFiles.Load(specPath);
        DataSchema schema = schemaPath is null ? files!.Schema : DataSchema.Load(schemaPath);
        TaskSpec task = files?.Task ?? OnlyTask(schema, schemaPath!);
        DataReport report = Report(new DataSource(schema.Name, path, Split: invocation.Get(Split)), schema, files?.Data ?? new DataSpec(schemaPath!), task) with { File = Path.GetFullPath(path) };
        invocation.Output.Result(report, Lines(path, report));
        return Task.FromResult(ExitCode.Done);
    }

    private static IEnumerable<string> Lines(string path, DataReport report)
    {
        yield return $"{path} fits the schema '{report.Schema}'.";
        yield return $"Rows: {report.Rows} ({report.TrainRows} train, {report.TestRows} test); without a label: {report.RowsWithoutLabel}. Features: {report.Features.Count}.";
        yield return "";
        foreach (string line in TextTable.Lines(["class", ">train", ">test"], report.Classes.Select(entry => (string[])[entry.Class, $"{entry.TrainRows}", $"{entry.TestRows}"]))) yield return line;
        yield return "";
        foreach (string line in TextTable.Lines(["column", ">missing", ">clipped"], report.Columns.Select(column => (string[])[column.Column, $"{column.Missing}", $"{column.Clipped}"]))) yield return line;
    }
}
