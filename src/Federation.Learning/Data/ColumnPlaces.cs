using Federation.Formats;
using Federation.Formats.Data;

namespace Federation.Learning.Data;

/// <summary>Where a schema's columns stand in a file's rows.</summary>
internal static class ColumnPlaces
{
    /// <param name="first">The file's first row: its heading, where the schema has one.</param>
    /// <returns>The field of each column by its name, and how many fields a row has.</returns>
    /// <exception cref="InvalidInputException">The heading cannot be read, or a needed column is missing.</exception>
    public static (Dictionary<string, int> FieldOf, int Width) Of(CsvRow first, DataSchema schema, Func<Column, bool> isNeeded, ProblemList problems)
    {
        if (!schema.Header) return (schema.Columns.Select((column, index) => (column.Name, index)).ToDictionary(pair => pair.Name, pair => pair.index), schema.Columns.Count);
        if (!problems.TryFields(first, schema.Separator, null, out List<string> names)) throw problems.ToException();
        names = [.. names.Select(name => name.Trim())];
        Dictionary<string, int> fieldOf = [];
        for (int i = 0; i < names.Count; i++)
        {
            if (!fieldOf.TryAdd(names[i], i)) problems.Add(first.Line, [schema.Columns.Any(column => column.Name == names[i]) ? (names[i], "The column stands twice.", "Rename one.") : ("heading", $"'{names[i]}' stands twice.", "Rename one column.")]);
        }

        foreach (Column column in schema.Columns.Where(column => isNeeded(column) && !fieldOf.ContainsKey(column.Name)))
        {
            problems.Add(null, [(column.Name, "The column is missing.", Nearest.Repair(column.Name, names))]);
        }

        problems.ThrowIfAny();
        return (fieldOf, names.Count);
    }
}
