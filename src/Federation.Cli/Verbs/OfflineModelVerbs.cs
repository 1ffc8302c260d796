using System.CommandLine;
using System.Globalization;
using Federation.Cli.CommandLine;
using Federation.Cli.Results;
using Federation.Cli.Terminal;
using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Formats.Data;
using Federation.Learning.Data;
using Federation.Learning.Evaluation;

namespace Federation.Cli.Verbs;

/// <summary><c>fed model evaluate</c> and <c>predict</c>: a model file on a table of one's own; nothing leaves the machine.</summary>
internal static class OfflineModelVerbs
{
    private static readonly Argument<string> ModelFile = new("MODEL") { Description = "A safetensors file, from `fed model export` or a node's state folder." };

    private static readonly Option<string> Data = new("--data") { Description = "The CSV file.", HelpName = "x.csv", Required = true };

    private static readonly Option<string?> Split = new("--split") { Description = "CSV `line,set`; only the lines of set test are evaluated.", HelpName = "split.csv" };

    private static readonly Option<bool> TestRows = new("--test-rows") { Description = "Only the rows that a node holds out for testing, by the schema's testFraction." };

    private static readonly Option<string?> Scores = new("--output", "-o") { Description = "Write the predictions to this CSV file instead of stdout.", HelpName = "scores.csv" };

    public static Verb Evaluate() => new Verb("evaluate", "Measure a model on a CSV file: every row that has a label, or the test rows.", "fed model evaluate model.safetensors --spec run.yaml --data heart.csv", "model-evaluate")
        .With(ModelFile, CommonOptions.Spec, Data, Split, TestRows).Does(EvaluateAsync);

    public static Verb Predict() => new Verb("predict", "Class probabilities for each row of a CSV file; labels are not needed.", "fed model predict model.safetensors --spec run.yaml --data new.csv -o scores.csv", "model-predict")
        .With(ModelFile, CommonOptions.Spec, Data, Scores, CommonOptions.Force).Does(PredictAsync);

    private static Task<int> EvaluateAsync(Invocation invocation)
    {
        TabularFiles files = TabularFiles.Load(invocation.Get(CommonOptions.Spec)!);
        string path = invocation.Get(Data)!;
        string? split = invocation.Get(Split);
        bool testOnly = split is not null || invocation.Get(TestRows);
        Rows rows = testOnly
            ? TabularDataSet.Load(new DataSource(files.Schema.Name, path, Split: split), files.Schema, files.Data, files.Task).Test
            : Labelled(LoadAll(invocation, files));
        if (rows.Count == 0) throw new InvalidInputException(new Problem(testOnly ? "No row of the file is a test row." : "No row of the file has a label.", path, Repair: testOnly ? "Leave --test-rows and --split out to evaluate every row, or set the schema's testFraction." : "Evaluation needs labels; `fed model predict` does not."));
        (string sha256, IReadOnlyList<double[]> probabilities) = files.Score(invocation.Get(ModelFile), rows);
        var metrics = MetricValues.Of(Prediction.Sums(probabilities, rows, files.Task.Kind).ToMetrics());
        var result = new ModelEvaluation(sha256, Path.GetFullPath(path), testOnly ? "test" : "all", metrics);
        invocation.Output.Result(
            result,
            TextTable.Lines(["rows", ">examples", ">accuracy", ">auc", ">log-loss", ">brier"], [[result.Rows, $"{metrics.Examples}", Text.Metric(metrics.Accuracy), Text.Metric(metrics.Auc), Text.Metric(metrics.LogLoss), Text.Metric(metrics.Brier)]]));
        return Task.FromResult(ExitCode.Done);
    }

    private static async Task<int> PredictAsync(Invocation invocation)
    {
        OutputFile? file = invocation.Get(Scores) is { } target ? OutputFile.Claim(target, invocation.Get(CommonOptions.Force)) : null;
        TabularFiles files = TabularFiles.Load(invocation.Get(CommonOptions.Spec)!);
        string path = invocation.Get(Data)!;
        Rows rows = LoadAll(invocation, files);
        (string sha256, IReadOnlyList<double[]> probabilities) = files.Score(invocation.Get(ModelFile), rows);
        string[] classes = [.. TabularDataSet.LabelOf(files.Schema, files.Task).Categories.Select(values => values[0])];
        PredictedRow[] predictions = [.. rows.Lines.Zip(probabilities, (line, row) => new PredictedRow(line, classes[MostProbable(row)], row))];
        IEnumerable<string> csv = predictions.Select(row => string.Join(',', [$"{row.Line}", Field(row.Class), .. row.Probabilities.Select(probability => probability.ToString("R", CultureInfo.InvariantCulture))]))
            .Prepend(string.Join(',', ["line", "class", .. classes.Select(name => Field($"p({name})"))]));
        if (file is not null)
        {
            await file.WriteAsync(async stream =>
            {
                await using var writer = new StreamWriter(stream, leaveOpen: true);
                foreach (string line in csv) await writer.WriteLineAsync(line.AsMemory(), invocation.Cancellation);
            });
            csv = [$"{invocation.Get(Scores)}: {Text.Count((ulong)predictions.Length, "prediction")}"];
        }

        invocation.Output.Result(new ModelPredictions(sha256, Path.GetFullPath(path), predictions.Length, file?.Path, file is null ? predictions : null), csv);
        return ExitCode.Done;
    }

    private static Rows LoadAll(Invocation invocation, TabularFiles files) =>
        SpecProblems.Place(invocation.Get(CommonOptions.Spec)!, () => TabularDataSet.LoadForPrediction(invocation.Get(Data)!, files.Schema, files.Data, files.Task).Test);

    private static Rows Labelled(Rows rows) => rows.Select([.. Enumerable.Range(0, rows.Count).Where(index => rows.Labels[index] >= 0)]);

    /// <summary>As evaluation counts it: a binary score of exactly one half is class 1.</summary>
    private static int MostProbable(double[] row) => row.Length == 2 ? (row[1] >= 0.5 ? 1 : 0) : Array.IndexOf(row, row.Max());

    private static string Field(string text) => text.AsSpan().ContainsAny(",\"\r\n") ? $"\"{text.Replace("\"", "\"\"", StringComparison.Ordinal)}\"" : text;
}
