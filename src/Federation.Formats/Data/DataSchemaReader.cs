using Federation.Formats.Yaml;

namespace Federation.Formats.Data;

public sealed partial record DataSchema
{
    private const int MostColumns = 100_000;

    private static readonly Dictionary<string, ColumnKind> Kinds = new()
    {
        ["number"] = ColumnKind.Number, ["category"] = ColumnKind.Category, ["label"] = ColumnKind.Label, ["ignore"] = ColumnKind.Ignore,
    };

    /// <exception cref="InvalidInputException">Every problem: file, line, field, and what would be right.</exception>
    public static DataSchema Load(string path) => Parse(TextFile.Read(path), path);

    /// <param name="file">Named in errors.</param>
    /// <exception cref="InvalidInputException">Every problem: file, line, field, and what would be right.</exception>
    public static DataSchema Parse(string yaml, string file)
    {
        List<Problem> problems = [];
        var fields = new FieldReader(YamlReader.Read(yaml, file), file, problems);
        string separator = fields.Text("separator", ",");
        if (separator.Length != 1 || separator[0] is '"' or '\r' or '\n') fields.Add("separator", "must be one character, and no quote or line end.");
        var schema = new DataSchema
        {
            Name = fields.Text("name", Names.IsSiteName, Names.Rule),
            Version = fields.Has("version") ? fields.Text("version", version => version.Length is > 0 and <= 100, "1 to 100 characters are right") : null,
            Header = fields.Boolean("header", true),
            Separator = separator.Length == 1 ? separator[0] : ',',
            TestFraction = fields.Number("testFraction", fraction => fraction is >= 0 and < 1, "in [0, 1)", 0),
            Columns = ReadColumns(fields),
        };
        fields.Close();
        return problems.Count == 0 ? schema : throw new InvalidInputException([.. problems.OrderBy(problem => problem.Line)]);
    }

    /// <summary>The column of that name, or null.</summary>
    public Column? Find(string name) => Columns.FirstOrDefault(column => column.Name == name);

    private static List<Column> ReadColumns(FieldReader fields)
    {
        List<Column> columns = [];
        IReadOnlyList<YamlValue> entries = fields.List("columns", required: true);
        if (fields.Has("columns") && entries.Count is 0 or > MostColumns) fields.Add("columns", $"{entries.Count} columns are not allowed; 1 to {MostColumns} are right.");
        for (int i = 0; i < entries.Count; i++)
        {
            if (fields.Entry("columns", i, entries[i]) is not { } entry) continue;
            columns.Add(ReadColumn(entry));
            entry.Close();
        }

        foreach (string name in columns.GroupBy(column => column.Name).Where(group => group.Count() > 1).Select(group => group.Key))
        {
            fields.Add("columns", $"'{name}' names two columns.");
        }

        return columns;
    }

    private static Column ReadColumn(FieldReader entry)
    {
        ColumnKind kind = entry.Choice("kind", Kinds);
        var column = new Column
        {
            Name = entry.Text("name", name => name.Length is > 0 and <= 200, "1 to 200 characters are right"),
            Kind = kind,
            Unit = entry.OptionalText("unit"),
            Range = ReadRange(entry, kind),
            Categories = ReadCategories(entry, kind),
            Reference = entry.OptionalText("reference"),
            Missing = entry.Texts("missing"),
        };
        if (column.Reference is { } reference)
        {
            if (kind != ColumnKind.Category) entry.Add("reference", "only a category has a reference.", "Remove it.");
            else if (column.CategoryOf(reference) is null) entry.Add("reference", $"'{reference}' is none of the categories.");
        }

        return column;
    }

    private static (double Low, double High)? ReadRange(FieldReader entry, ColumnKind kind)
    {
        if (entry.Value("range") is not { } value)
        {
            if (kind == ColumnKind.Number) entry.Add("range", "is missing: a number needs public bounds.", "Write range: [lowest, highest], from knowledge that everybody has, not from the records.");
            return null;
        }

        if (kind != ColumnKind.Number) entry.Add("range", "only a number has a range.", "Remove it.");
        if (value is YamlList { Items: [YamlScalar low, YamlScalar high] } && YamlText.TryNumber(low.Text, out double a) && YamlText.TryNumber(high.Text, out double b) && a < b) return (a, b);
        entry.Add("range", "must be [lowest, highest], two different numbers in this order.");
        return null;
    }

    private static List<IReadOnlyList<string>> ReadCategories(FieldReader entry, ColumnKind kind)
    {
        bool needed = kind is ColumnKind.Category or ColumnKind.Label;
        List<IReadOnlyList<string>> categories = [];
        foreach (YamlValue value in entry.List("categories", required: needed))
        {
            IReadOnlyList<string>? raw = value switch
            {
                YamlScalar scalar => [scalar.Text],
                YamlList { Items.Count: > 0 } list when list.Items.All(item => item is YamlScalar) => [.. list.Items.Cast<YamlScalar>().Select(item => item.Text)],
                _ => null,
            };
            if (raw is null) entry.Add("categories", "each entry must be a value or a list of values.");
            else categories.Add(raw);
        }

        if (!needed && entry.Has("categories")) entry.Add("categories", "only a category or a label has categories.", "Remove them.");
        if (needed && entry.Has("categories") && categories.Count is < 2 or > 10_000) entry.Add("categories", $"{categories.Count} categories are not allowed; 2 to 10000 are right.");
        if (categories.SelectMany(category => category).Select(RawValue.Canonical).GroupBy(text => text).FirstOrDefault(group => group.Count() > 1) is { } twice)
        {
            entry.Add("categories", $"'{twice.Key}' stands twice.");
        }

        return categories;
    }
}
