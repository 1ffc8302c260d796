using System.Globalization;
using Federation.Tests;

namespace Federation.Privacy.Tests.Accounting;

/// <summary>A table of tests/reference/dp: rows as text by column. A field in quotes may hold commas and doubled quotes.</summary>
internal static class Reference
{
    public static IReadOnlyList<Dictionary<string, string>> Read(string name)
    {
        string[] lines = File.ReadAllLines(Path.Combine(Repository.Root, "tests", "reference", "dp", name + ".csv"));
        List<string> columns = Fields(lines[0]);
        return [.. lines.Skip(1).Select(line => columns.Zip(Fields(line)).ToDictionary(pair => pair.First, pair => pair.Second))];
    }

    public static double Number(this Dictionary<string, string> row, string column) => double.Parse(row[column], CultureInfo.InvariantCulture);

    private static List<string> Fields(string line)
    {
        List<string> fields = [];
        for (int i = 0; i <= line.Length;)
        {
            int end;
            if (i < line.Length && line[i] == '"')
            {
                end = i + 1;
                while (line[end] != '"' || (end + 1 < line.Length && line[end + 1] == '"')) end += line[end] == '"' ? 2 : 1;
                fields.Add(line[(i + 1)..end].Replace("\"\"", "\"", StringComparison.Ordinal));
                end++;
            }
            else
            {
                end = line.IndexOf(',', i);
                if (end < 0) end = line.Length;
                fields.Add(line[i..end]);
            }

            i = end + 1;
        }

        return fields;
    }
}
