using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Formats.Data;
using Federation.Formats.Runs;

namespace Federation.Learning.Data;

/// <summary>A table as features and labels, row-major float32.</summary>
public sealed class TabularDataSet
{
    private const int MostProblems = 20;

    private TabularDataSet(IReadOnlyList<string> featureNames, Rows train, Rows test, int withoutLabel, IReadOnlyList<ColumnCounts> counts, IReadOnlyList<Problem>? leftOut = null) =>
        (FeatureNames, Train, Test, RowsWithoutLabel, Counts, LeftOut) = (featureNames, train, test, withoutLabel, counts, leftOut ?? []);

    public IReadOnlyList<string> FeatureNames { get; }

    public Rows Train { get; }

    public Rows Test { get; }

    /// <summary>Rows left out because their label is missing.</summary>
    public int RowsWithoutLabel { get; }

    /// <summary>Why rows of a private run were left out, up to 20, then their number. For this site alone.</summary>
    public IReadOnlyList<Problem> LeftOut { get; }

    /// <summary>Over the rows of both sets, one entry a feature column.</summary>
    public IReadOnlyList<ColumnCounts> Counts { get; }

    /// <summary>Reads and checks a site's file for training.</summary>
    /// <param name="key">The column that says whose a row is; null: nobody asks.</param>
    /// <param name="leaveOutUnfit">
    /// For differentially private runs: a row that does not fit the schema is left out, and a table without rows is none to refuse.
    /// The schema is the run's to choose, so that an error about rows would answer any question about single ones.
    /// </param>
    /// <exception cref="InvalidInputException">Every problem (up to 20, then their number): file, line, column, and what would be right.</exception>
    public static TabularDataSet Load(DataSource source, DataSchema schema, DataSpec spec, TaskSpec task, string? key = null, bool leaveOutUnfit = false)
    {
        RowSplit split = source.Split is { } path ? RowSplit.ByFile(path) : RowSplit.ByHash(schema.TestFraction);
        TabularDataSet set = Read(source.Path, schema, spec, LabelOf(schema, task), split, labelRequired: true, key, leaveOutUnfit);
        if (set.Train.Count == 0 && !leaveOutUnfit) throw new InvalidInputException(new Problem("The file has no training row.", source.Path, Repair: "Rows need a label, and the split must leave some to train on."));
        if (spec.Scaling == Scaling.PerSite) Standardise(set);
        return set;
    }

    /// <summary>Reads a file whose rows need no label (then it is −1), all as test rows, for prediction and evaluation.</summary>
    /// <exception cref="InvalidInputException">Every problem, or scaling per site, which a single file cannot repeat.</exception>
    public static TabularDataSet LoadForPrediction(string path, DataSchema schema, DataSpec spec, TaskSpec task)
    {
        if (spec.Scaling == Scaling.PerSite)
        {
            throw new InvalidInputException(new Problem("Features scaled per site need that site's training rows.", Field: "data.scaling", Repair: "Use scaling: public-ranges for models that serve new records."));
        }

        TabularDataSet set = Read(path, schema, spec, LabelOf(schema, task), RowSplit.ByHash(0), labelRequired: false);
        if (set.Train.Count == 0) throw new InvalidInputException(new Problem("The file has no row.", path));
        return new TabularDataSet(set.FeatureNames, Rows.None(set.FeatureNames.Count), set.Train, set.RowsWithoutLabel, set.Counts);
    }

    /// <summary>Several sites' tables as one, each already scaled in its own way.</summary>
    /// <exception cref="ArgumentException">They do not have the same features.</exception>
    public static TabularDataSet Concat(IReadOnlyList<TabularDataSet> sets)
    {
        if (sets.Any(set => !set.FeatureNames.SequenceEqual(sets[0].FeatureNames))) throw new ArgumentException("The tables do not have the same features.", nameof(sets));
        return new TabularDataSet(
            sets[0].FeatureNames, sets.Select(set => set.Train).Aggregate((a, b) => a.Concat(b)), sets.Select(set => set.Test).Aggregate((a, b) => a.Concat(b)), sets.Sum(set => set.RowsWithoutLabel), []);
    }

    /// <summary>The schema's label column of that name.</summary>
    /// <exception cref="InvalidInputException">There is none; names the nearest.</exception>
    public static Column LabelOf(DataSchema schema, TaskSpec task)
    {
        Column[] labels = [.. schema.Columns.Where(column => column.Kind == ColumnKind.Label)];
        Column label = labels.FirstOrDefault(column => column.Name == task.Label)
            ?? throw new InvalidInputException(new Problem($"The schema has no label '{task.Label}'.", Field: "task.label", Repair: Nearest.Repair(task.Label, [.. labels.Select(column => column.Name)])));
        if (task.Kind == TaskKind.BinaryClassification && label.Categories.Count != 2)
        {
            throw new InvalidInputException(new Problem($"The label '{label.Name}' has {label.Categories.Count} classes.", Field: "task.kind", Repair: "Binary classification needs 2; group values in lists, or write multiclass-classification."));
        }

        return label;
    }

    private static TabularDataSet Read(string path, DataSchema schema, DataSpec spec, Column label, RowSplit split, bool labelRequired, string? key = null, bool leaveOutUnfit = false)
    {
        List<CsvRow> rows = [.. CsvRows.Read(TextFile.Read(path))];
        if (rows.Count == 0) throw new InvalidInputException(new Problem("The file is empty.", path));
        var problems = new ProblemList(path, MostProblems);
        (Dictionary<string, int> fieldOf, int width) = ColumnPlaces.Of(rows[0], schema, column => column.Name == key || column.Kind != ColumnKind.Ignore && (column.Name == label.Name ? labelRequired : column.Kind != ColumnKind.Label), problems);
        if (key is not null && !fieldOf.ContainsKey(key)) throw new InvalidInputException(new Problem("The column is missing: the run says that it tells whose a record is.", path, Field: key, Repair: Nearest.Repair(key, [.. fieldOf.Keys])));
        ProblemList unfit = leaveOutUnfit ? new ProblemList(path, MostProblems) : problems;
        var encoder = new FeatureEncoder(schema, spec, fieldOf);
        RowList train = new(), test = new();
        List<float> features = [];
        int withoutLabel = 0;
        foreach (CsvRow row in schema.Header ? rows.Skip(1) : rows)
        {
            RowSet set = split.SetOf(row);
            if (set == RowSet.Unused) continue;
            int before = unfit.Count;
            if (!unfit.TryFields(row, schema.Separator, width, out List<string> fields)) continue;
            int? target = ReadLabel(label, fieldOf, fields, row.Line, labelRequired, unfit);
            if (target is null)
            {
                withoutLabel++;
                continue;
            }

            features.Clear();
            List<(string Column, string Message, string Repair)> wrong = [];
            if (!encoder.TryEncode(fields, features, wrong)) unfit.Add(row.Line, wrong);
            string? person = key is null ? null : RawValue.Canonical(fields[fieldOf[key]]);
            if (person is "") unfit.Add(row.Line, [(key!, "The row has no key: nobody can say whose record it is.", "Fill it in, or leave the row out by a split file.")]);
            if (unfit.Count == before) (set == RowSet.Train ? train : test).Add(features, target.Value, row.Line, person);
        }

        int[] beyond = [.. split.LinesBeyond(rows[^1].Line)];
        if (beyond.Length > 0) problems.Add(rows[^1].Line, [("split", $"The split file names line {beyond[0]}; the data file ends here.", "Make the split file anew.")]);
        problems.ThrowIfAny();
        return new TabularDataSet(encoder.FeatureNames, train.ToRows(encoder.FeatureNames.Count, key), test.ToRows(encoder.FeatureNames.Count, key), withoutLabel, encoder.Counts, unfit.Any ? unfit.ToException().Problems : []);
    }

    private static int? ReadLabel(Column label, Dictionary<string, int> fieldOf, List<string> fields, int line, bool required, ProblemList problems)
    {
        if (!fieldOf.TryGetValue(label.Name, out int field)) return -1;
        string raw = fields[field];
        if (FeatureEncoder.IsMissing(label, raw)) return required ? null : -1;
        if (label.CategoryOf(raw) is { } category) return category;
        if (!required && string.IsNullOrWhiteSpace(raw)) return -1;
        string known = string.Join(", ", label.Categories.Select(values => string.Join("/", values)));
        problems.Add(line, [(label.Name, $"'{raw}' is no class of the label.", $"Known: {known}.")]);
        return 0;
    }

    /// <summary>FLamby's way: every feature by the mean and population deviation of the site's own training rows. Not private: one record moves every feature.</summary>
    private static void Standardise(TabularDataSet set)
    {
        int width = set.FeatureNames.Count;
        for (int j = 0; j < width; j++)
        {
            double sum = 0, squares = 0;
            for (int i = 0; i < set.Train.Count; i++) sum += set.Train.Features[(i * width) + j];
            double mean = sum / set.Train.Count;
            for (int i = 0; i < set.Train.Count; i++) squares += Math.Pow(set.Train.Features[(i * width) + j] - mean, 2);
            double deviation = Math.Sqrt(squares / set.Train.Count);
            foreach (Rows rows in new[] { set.Train, set.Test })
            {
                for (int i = j; i < rows.Features.Length; i += width) rows.Features[i] = (float)((rows.Features[i] - mean) / (deviation > 0 ? deviation : 1));
            }
        }
    }
}
