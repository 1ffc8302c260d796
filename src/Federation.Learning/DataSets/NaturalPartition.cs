using Federation.Formats;

namespace Federation.Learning.DataSets;

/// <summary>Clients as the data knows them: hospitals, writers, branches.</summary>
internal static class NaturalPartition
{
    /// <summary>The values of the set's column in ordinal order are the clients.</summary>
    /// <exception cref="InvalidInputException">The set has no such column, or as many values as there are not clients.</exception>
    public static int[][] Of(ExampleSet set, string column, int clients)
    {
        if (set.Groups is not { } groups) throw new InvalidInputException(new Problem($"{set.Name} has no columns.", Field: $"{Partitioner.Field}.column", Repair: "Write data: { kind: csv, … }, or another kind of partition."));
        int[][] parts = [.. Enumerable.Range(0, set.Count).GroupBy(index => groups[index]).OrderBy(group => group.Key, StringComparer.Ordinal).Select(group => group.ToArray())];
        return parts.Length == clients ? parts : throw new InvalidInputException(new Problem($"The training rows have {parts.Length} values of {column}, each of which is a client; simulation.clients is {clients}.", Field: $"{Partitioner.Field}.column", Repair: $"Write clients: {parts.Length}."));
    }
}
