namespace Federation.Cli.Terminal;

/// <summary>Rows in aligned columns, two blanks between them: reads well on a terminal and splits well in a pipe.</summary>
internal static class TextTable
{
    /// <param name="headings">One that begins with <c>&gt;</c> heads a column of numbers, set to the right.</param>
    /// <param name="rows">Each as long as the headings.</param>
    public static IEnumerable<string> Lines(IReadOnlyList<string> headings, IEnumerable<IReadOnlyList<string>> rows)
    {
        bool[] right = [.. headings.Select(heading => heading.StartsWith('>'))];
        List<IReadOnlyList<string>> all = [[.. headings.Select(heading => heading.TrimStart('>'))], .. rows];
        int[] widths = [.. Enumerable.Range(0, headings.Count).Select(column => all.Max(row => row[column].Length))];
        foreach (IReadOnlyList<string> row in all)
        {
            yield return string.Join("  ", row.Select((cell, column) => right[column] ? cell.PadLeft(widths[column]) : cell.PadRight(widths[column]))).TrimEnd();
        }
    }
}
