using System.Buffers.Binary;
using System.Globalization;
using Federation.Formats;
using Federation.Privacy.Canonical;

namespace Federation.Learning.Data;

internal enum RowSet
{
    Train,
    Test,
    Unused,
}

/// <summary>Which rows train and which are held out: by the site's split file, else by a hash of each row's own text, so that no row moves another.</summary>
internal sealed class RowSplit
{
    private readonly Dictionary<int, RowSet>? _lines;
    private readonly double _testFraction;

    private RowSplit(Dictionary<int, RowSet>? lines, double testFraction) => (_lines, _testFraction) = (lines, testFraction);

    public static RowSplit ByHash(double testFraction) => new(null, testFraction);

    /// <summary>A file with the heading <c>line,set</c>; line is 1-based in the data file, set train, test or unused. Lines not named are training rows.</summary>
    /// <exception cref="InvalidInputException">Every malformed line (up to 20).</exception>
    public static RowSplit ByFile(string path)
    {
        List<CsvRow> rows = [.. CsvRows.Read(TextFile.Read(path))];
        List<Problem> problems = [];
        Dictionary<int, RowSet> lines = [];
        if (rows.Count == 0 || rows[0].Text.Trim() != "line,set") problems.Add(new Problem("The first line must be 'line,set'.", path, 1));
        foreach (CsvRow row in rows.Skip(1))
        {
            string[] fields = row.Text.Split(',');
            RowSet? set = fields.Length != 2 ? null : fields[1].Trim() switch { "train" => RowSet.Train, "test" => RowSet.Test, "unused" => RowSet.Unused, _ => null };
            if (set is null || !int.TryParse(fields[0], NumberStyles.None, CultureInfo.InvariantCulture, out int line) || line < 1)
            {
                problems.Add(new Problem($"'{row.Text}' is no line number and set.", path, row.Line, "set", "Write for example '17,test'; sets are train, test and unused."));
            }
            else if (!lines.TryAdd(line, set.Value)) problems.Add(new Problem($"Line {line} stands twice.", path, row.Line, "line"));
        }

        return problems.Count == 0 ? new RowSplit(lines, 0) : throw new InvalidInputException([.. problems.Take(20)]);
    }

    /// <summary>Lines that the split file names beyond the data file's end.</summary>
    public IEnumerable<int> LinesBeyond(int last) => _lines?.Keys.Where(line => line > last).Order() ?? Enumerable.Empty<int>();

    public RowSet SetOf(CsvRow row)
    {
        if (_lines is not null) return _lines.GetValueOrDefault(row.Line, RowSet.Train);
        if (_testFraction == 0) return RowSet.Train;
        ulong hash = BinaryPrimitives.ReadUInt64LittleEndian(new CanonicalWriter("split").Field(row.Text.Trim()).Hash());
        return hash / (double)ulong.MaxValue < _testFraction ? RowSet.Test : RowSet.Train;
    }
}
