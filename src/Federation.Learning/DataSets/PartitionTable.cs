using System.Globalization;
using System.Text;

namespace Federation.Learning.DataSets;

/// <summary>A partition to look at: how many examples of each label each client has.</summary>
public sealed record PartitionTable
{
    private PartitionTable(int[][] counts) => Counts = counts;

    /// <summary>By client, then label.</summary>
    public IReadOnlyList<IReadOnlyList<int>> Counts { get; }

    public IEnumerable<int> Sizes => Counts.Select(row => row.Sum());

    public static PartitionTable Of(Partition partition, ExampleSet set)
    {
        int[][] counts = [.. partition.Clients.Select(_ => new int[set.Classes])];
        foreach ((int client, IReadOnlyList<int> part) in partition.Clients.Index())
        {
            foreach (int index in part) counts[client][set.Label(index)]++;
        }

        return new PartitionTable(counts);
    }

    /// <summary>Mean over the clients of the total variation between a client's labels and all clients' together: 0 alike, near 1 each client a label of its own.</summary>
    public double LabelSkew()
    {
        int classes = Counts[0].Count;
        double[] whole = [.. Enumerable.Range(0, classes).Select(label => (double)Counts.Sum(row => row[label]))];
        double all = whole.Sum();
        return Counts.Where(row => row.Sum() > 0).Average(row => Enumerable.Range(0, classes).Sum(label => Math.Abs((row[label] / (double)row.Sum()) - (whole[label] / all))) / 2);
    }

    /// <summary>One line a client: <c>client,examples,label0,label1,…</c></summary>
    public string ToCsv()
    {
        var text = new StringBuilder("client,examples");
        for (int label = 0; label < Counts[0].Count; label++) text.Append(CultureInfo.InvariantCulture, $",label{label}");
        foreach ((int client, IReadOnlyList<int> row) in Counts.Index()) text.Append(CultureInfo.InvariantCulture, $"\n{client},{row.Sum()},{string.Join(',', row)}");
        return text.Append('\n').ToString();
    }
}
