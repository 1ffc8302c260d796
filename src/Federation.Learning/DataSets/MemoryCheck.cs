using Federation.Formats;

namespace Federation.Learning.DataSets;

/// <summary>Refuses what does not fit before memory is taken.</summary>
public static class MemoryCheck
{
    /// <param name="what">What is to lie in memory, for the message.</param>
    /// <param name="file">Null: it comes from none.</param>
    /// <exception cref="InvalidInputException">It is more than one array or this machine holds; says how much there is.</exception>
    public static void Require(long bytes, string what, string? file = null)
    {
        if (bytes > Array.MaxLength) throw new InvalidInputException(new Problem($"{what} take {bytes} bytes; at most {Array.MaxLength} fit into one set.", file, Repair: "Use fewer of them, or smaller ones."));
        long memory = GC.GetGCMemoryInfo().TotalAvailableMemoryBytes;
        if (bytes > memory) throw new InvalidInputException(new Problem($"{what} take {bytes} bytes; this machine has {memory}.", file, Repair: "Use fewer of them, or a machine with more memory."));
    }
}
