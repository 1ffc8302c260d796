using System.Globalization;
using Federation.Formats;
using Federation.Learning.Data;

namespace Federation.Learning.DataSets;

/// <summary>A partition as a CSV file with the heading <c>index,client</c>: both counted from 0. Examples that it does not name belong to nobody.</summary>
public static class PartitionFile
{
    private const string HeadingLine = "index,client";
    private const int MostProblems = 20;

    /// <exception cref="InvalidInputException">Every line that is wrong (up to 20): file, line, and what would be right.</exception>
    public static IReadOnlyList<IReadOnlyList<int>> Read(string path, int examples, int clients)
    {
        List<Problem> problems = [];
        List<int>[] parts = [.. Enumerable.Range(0, clients).Select(_ => new List<int>())];
        bool[] seen = new bool[examples];
        bool isFirst = true;
        foreach (CsvRow row in CsvRows.Read(TextFile.Read(path)))
        {
            if (problems.Count == MostProblems) break;
            if (isFirst)
            {
                isFirst = false;
                if (row.Text.Trim() != HeadingLine) problems.Add(new Problem($"The first line must be '{HeadingLine}'.", path, row.Line));
                continue;
            }

            string[] fields = row.Text.Split(',');
            if (fields.Length != 2 || !TryWhole(fields[0], out int index) || !TryWhole(fields[1], out int client)) problems.Add(new Problem($"'{(row.Text.Length <= 60 ? row.Text : row.Text[..60] + "…")}' is no index and client.", path, row.Line, Repair: "Write for example 17,3: both are whole numbers from 0."));
            else if (index >= examples) problems.Add(new Problem($"Example {index} does not exist; 0 to {examples - 1} are right.", path, row.Line, "index"));
            else if (client >= clients) problems.Add(new Problem($"Client {client} does not exist; 0 to {clients - 1} are right.", path, row.Line, "client", "Raise simulation.clients, or correct the line."));
            else if (seen[index]) problems.Add(new Problem($"Example {index} stands twice; it can belong to one client.", path, row.Line, "index", "Remove one of the lines."));
            else
            {
                seen[index] = true;
                parts[client].Add(index);
            }
        }

        if (isFirst) problems.Add(new Problem("The file is empty.", path, Repair: $"Its first line is '{HeadingLine}'."));
        return problems.Count == 0 ? parts : throw new InvalidInputException(problems);
    }

    /// <summary>The file that <see cref="Read"/> reads.</summary>
    public static string Write(Partition partition) =>
        HeadingLine + "\n" + string.Concat(partition.Clients.Index().SelectMany(client => client.Item.Select(index => string.Create(CultureInfo.InvariantCulture, $"{index},{client.Index}\n"))));

    private static bool TryWhole(string text, out int number) => int.TryParse(text.Trim(), NumberStyles.None, CultureInfo.InvariantCulture, out number);
}
