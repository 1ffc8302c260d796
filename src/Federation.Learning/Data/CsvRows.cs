using System.Text;

namespace Federation.Learning.Data;

/// <param name="Line">1-based line of the file on which the row begins.</param>
/// <param name="Text">The row as it stands in the file, without its line end.</param>
internal readonly record struct CsvRow(int Line, string Text);

/// <summary>Lines of a CSV file and their fields: RFC 4180 with one addition (any separator) and one restriction (a row is one line).</summary>
internal static class CsvRows
{
    /// <summary>Rows with something on them. A byte-order mark and CRLF are tolerated.</summary>
    public static IEnumerable<CsvRow> Read(string text)
    {
        using var reader = new StringReader(text);
        for (int line = 1; reader.ReadLine() is { } row; line++)
        {
            if (line == 1 && row.Length > 0 && row[0] == '\uFEFF') row = row[1..];
            if (!string.IsNullOrWhiteSpace(row)) yield return new CsvRow(line, row);
        }
    }

    /// <summary>The fields of a row, quotes taken off.</summary>
    /// <exception cref="FormatException">A quote is not closed, or something stands behind a closing one.</exception>
    public static List<string> Fields(string row, char separator)
    {
        List<string> fields = [];
        var field = new StringBuilder();
        int i = 0;
        while (true)
        {
            field.Clear();
            if (i < row.Length && row[i] == '"') i = ReadQuoted(row, i + 1, field);
            else
            {
                int end = row.IndexOf(separator, i);
                if (end < 0) end = row.Length;
                field.Append(row, i, end - i);
                i = end;
            }

            fields.Add(field.ToString());
            if (i == row.Length) return fields;
            if (row[i] != separator) throw new FormatException("Something stands behind a closing quote.");
            i++;
        }
    }

    private static int ReadQuoted(string row, int i, StringBuilder field)
    {
        while (true)
        {
            if (i == row.Length) throw new FormatException("A quote is not closed on its line.");
            if (row[i] != '"') field.Append(row[i++]);
            else if (i + 1 < row.Length && row[i + 1] == '"')
            {
                field.Append('"');
                i += 2;
            }
            else return i + 1;
        }
    }
}
