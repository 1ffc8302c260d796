using Federation.Formats;

namespace Federation.Learning.Data;

/// <summary>Problems of one file, the first of them kept and all counted.</summary>
internal sealed class ProblemList(string file, int most)
{
    private readonly List<Problem> _problems = [];
    private int _count;
    private int? _firstNotShown;

    public int Count => _count;

    public bool Any => _count > 0;

    /// <param name="line">Null for what the file lacks: everything that quotes it has the line.</param>
    public void Add(int? line, IEnumerable<(string Column, string Message, string Repair)> wrong)
    {
        foreach ((string column, string message, string repair) in wrong)
        {
            if (_count++ < most) _problems.Add(new Problem(message, file, line, column, repair));
            else _firstNotShown ??= line;
        }
    }

    public bool TryFields(CsvRow row, char separator, int? width, out List<string> fields)
    {
        try
        {
            fields = CsvRows.Fields(row.Text, separator);
        }
        catch (FormatException error)
        {
            fields = [];
            Add(row.Line, [("row", error.Message, "Double a quote within quotes.")]);
            return false;
        }

        if (width is null || fields.Count == width) return true;
        Add(row.Line, [("row", $"The row has {fields.Count} fields; {width} are right.", $"Fields are separated by '{separator}'.")]);
        return false;
    }

    public void ThrowIfAny()
    {
        if (Any) throw ToException();
    }

    public InvalidInputException ToException()
    {
        List<Problem> problems = [.. _problems];
        if (_count > most) problems.Add(new Problem($"… and {_count - most} more problems.", file, _firstNotShown));
        return new InvalidInputException(problems);
    }
}
