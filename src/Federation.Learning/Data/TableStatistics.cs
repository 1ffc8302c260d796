using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Formats.Data;
using Federation.Formats.Statistics;

namespace Federation.Learning.Data;

/// <summary>A site's sums for a statistics query, over all rows of its table that are used, labelled or not.</summary>
public static class TableStatistics
{
    private const int MostProblems = 20;

    /// <param name="unfitIsMissing">For private statistics: a value that does not fit the run's schema counts as missing, and a row that cannot be read not at all, instead of an answer about single rows.</param>
    /// <exception cref="InvalidInputException">Every problem (up to 20, then their number): file, line, column, and what would be right.</exception>
    public static TableSums Of(DataSource source, DataSchema schema, StatisticsQuery query, bool unfitIsMissing = false)
    {
        RowSplit split = source.Split is { } path ? RowSplit.ByFile(path) : RowSplit.ByHash(0);
        List<CsvRow> rows = [.. CsvRows.Read(TextFile.Read(source.Path))];
        if (rows.Count == 0) throw new InvalidInputException(new Problem("The file is empty.", source.Path));
        var problems = new ProblemList(source.Path, MostProblems);
        (Dictionary<string, int> fieldOf, int width) = ColumnPlaces.Of(rows[0], schema, query.Columns.Contains, problems);
        ProblemList unfit = unfitIsMissing ? new ProblemList(source.Path, MostProblems) : problems;
        var sums = new TableSums(query);
        foreach (CsvRow row in schema.Header ? rows.Skip(1) : rows)
        {
            if (split.SetOf(row) == RowSet.Unused || !unfit.TryFields(row, schema.Separator, width, out List<string> fields)) continue;
            sums.AddRow();
            for (int i = 0; i < query.Columns.Count; i++)
            {
                if (Add(sums, i, query.Columns[i], fields[fieldOf[query.Columns[i].Name]]) is not { } wrong) continue;
                unfit.Add(row.Line, [wrong]);
                sums.AddMissing(i);
            }
        }

        problems.ThrowIfAny();
        return sums;
    }

    private static (string Column, string Message, string Repair)? Add(TableSums sums, int index, Column column, string raw)
    {
        if (FeatureEncoder.IsMissing(column, raw))
        {
            sums.AddMissing(index);
        }
        else if (column.Kind == ColumnKind.Number)
        {
            if (!RawValue.TryNumber(raw.Trim(), out double value)) return (column.Name, $"'{raw}' is no number.", FeatureEncoder.MissingRepair(column));
            sums.AddNumber(index, value);
        }
        else
        {
            if (column.CategoryOf(raw) is not { } category) return (column.Name, $"'{raw}' is none of the categories.", FeatureEncoder.MissingRepair(column));
            sums.AddCategory(index, category);
        }

        return null;
    }
}
