using System.Globalization;
using Federation.Formats.Data;
using Federation.Formats.Runs;

namespace Federation.Learning.Data;

/// <summary>What was met while encoding one column.</summary>
public sealed record ColumnCounts(string Column)
{
    public int Missing { get; internal set; }

    /// <summary>Numbers outside the public range, moved to its nearer end.</summary>
    public int Clipped { get; internal set; }
}

/// <summary>
/// Turns a row's raw values into features by the schema alone: a row's features depend on no other row (DESIGN.md, rule 8).
/// Number: [low, high] → [−1, 1], clipped; category: one feature each but the reference; missing: zeros, and 1 in the column's indicator.
/// </summary>
internal sealed class FeatureEncoder
{
    private readonly List<(Column Column, int Field, ColumnCounts Counts)> _inputs = [];
    private readonly bool _indicators;

    /// <param name="fieldOf">Where each used column stands in a row; by <see cref="Column.Name"/>.</param>
    public FeatureEncoder(DataSchema schema, DataSpec spec, IReadOnlyDictionary<string, int> fieldOf)
    {
        _indicators = spec.MissingIndicators;
        foreach (Column column in schema.Columns.Where(column => column.Kind is ColumnKind.Number or ColumnKind.Category))
        {
            _inputs.Add((column, fieldOf[column.Name], new ColumnCounts(column.Name)));
        }

        FeatureNames = NamesOf(schema, spec);
    }

    public IReadOnlyList<string> FeatureNames { get; }

    public IReadOnlyList<ColumnCounts> Counts => [.. _inputs.Select(input => input.Counts)];

    /// <summary>The features that a schema gives, in order.</summary>
    public static IReadOnlyList<string> NamesOf(DataSchema schema, DataSpec spec)
    {
        List<string> names = [];
        foreach (Column column in schema.Columns)
        {
            if (column.Kind == ColumnKind.Number) names.Add(column.Name);
            else if (column.Kind == ColumnKind.Category) names.AddRange(Encoded(column).Select(index => $"{column.Name}={column.Categories[index][0]}"));
            else continue;
            if (spec.MissingIndicators && column.Missing.Count > 0) names.Add($"{column.Name}.missing");
        }

        return names;
    }

    /// <summary>Appends the row's features; returns false and says what is wrong where a value fits no rule.</summary>
    public bool TryEncode(IReadOnlyList<string> fields, List<float> features, List<(string Column, string Message, string Repair)> wrong)
    {
        int before = wrong.Count;
        foreach ((Column column, int field, ColumnCounts counts) in _inputs)
        {
            string raw = fields[field];
            bool missing = IsMissing(column, raw);
            if (missing) counts.Missing++;
            if (column.Kind == ColumnKind.Number) EncodeNumber(column, raw, missing, counts, features, wrong);
            else EncodeCategory(column, raw, missing, features, wrong);
            if (_indicators && column.Missing.Count > 0) features.Add(missing ? 1 : 0);
        }

        return wrong.Count == before;
    }

    public static bool IsMissing(Column column, string raw)
    {
        if (column.Missing.Count == 0) return false;
        string canonical = RawValue.Canonical(raw);
        return column.Missing.Any(marker => RawValue.Canonical(marker) == canonical);
    }

    private static void EncodeNumber(Column column, string raw, bool missing, ColumnCounts counts, List<float> features, List<(string, string, string)> wrong)
    {
        (double low, double high) = column.Range!.Value;
        double value = (low + high) / 2;
        if (!missing && !RawValue.TryNumber(raw.Trim(), out value))
        {
            wrong.Add((column.Name, $"'{raw}' is no number.", MissingRepair(column)));
            value = low;
        }

        double clipped = Math.Clamp(value, low, high);
        if (clipped != value) counts.Clipped++;
        features.Add((float)((2 * (clipped - low) / (high - low)) - 1));
    }

    private static void EncodeCategory(Column column, string raw, bool missing, List<float> features, List<(string, string, string)> wrong)
    {
        int? category = missing ? null : column.CategoryOf(raw);
        if (!missing && category is null)
        {
            string known = string.Join(", ", column.Categories.Select(values => string.Join("/", values)));
            wrong.Add((column.Name, $"'{raw}' is none of the categories.", $"Known: {known}. {MissingRepair(column)}"));
        }

        foreach (int index in Encoded(column)) features.Add(index == category ? 1 : 0);
    }

    private static IEnumerable<int> Encoded(Column column)
    {
        int? reference = column.Reference is { } value ? column.CategoryOf(value) : null;
        return Enumerable.Range(0, column.Categories.Count).Where(index => index != reference);
    }

    public static string MissingRepair(Column column) => column.Missing.Count > 0
        ? string.Create(CultureInfo.InvariantCulture, $"Missing values are written {string.Join(" or ", column.Missing.Select(marker => $"'{marker}'"))}.")
        : "The schema names no marker for missing values here.";
}
