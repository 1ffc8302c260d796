using Federation.Learning.DataSets;

namespace Federation.Simulation;

/// <summary>Who holds what, before anybody trains: a file that <c>partition: { kind: file }</c> reads, a table of the labels, and a picture.</summary>
public static class PartitionFiles
{
    public const string Indices = "partition.csv", Table = "clients.csv", Plot = "partition.png";

    private const int MostShown = 500;
    private const long MostCells = 10_000_000;

    public static void Write(string folder, SimulationInput input)
    {
        Directory.CreateDirectory(folder);
        IReadOnlyList<IReadOnlyList<int>> clients = input.Partition.Clients;
        File.WriteAllText(Path.Combine(folder, Indices), PartitionFile.Write(input.Partition));
        if (clients.Count * (long)input.Train.Classes <= MostCells) File.WriteAllText(Path.Combine(folder, Table), PartitionTable.Of(input.Partition, input.Train).ToCsv());
        int shown = (int)Math.Min(Math.Min(clients.Count, MostShown), Math.Max(1, MostCells / input.Train.Classes));
        string title = shown == clients.Count ? $"{input.Train.Name}: examples of {shown} clients" : $"{input.Train.Name}: examples of the first {shown} of {clients.Count} clients";
        File.WriteAllBytes(Path.Combine(folder, Plot), PartitionPlot.Png(PartitionTable.Of(new Partition([.. clients.Take(shown)]), input.Train), title, folder));
    }

    /// <summary>Null: none was written to the folder.</summary>
    internal static byte[]? Picture(string folder) => Path.Combine(folder, Plot) is var path && File.Exists(path) ? File.ReadAllBytes(path) : null;
}
