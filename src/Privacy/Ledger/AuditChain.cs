using System.Text;

namespace Federation.Privacy.Ledger;

/// <summary>An audit log's lines, held against one another. Pure.</summary>
/// <param name="startsInTheMiddle">The first line given is not the log's first.</param>
internal sealed class AuditChain(bool startsInTheMiddle = false)
{
    private const int MostProblems = 100;

    private bool _linked = !startsInTheMiddle;
    private long _line;

    /// <summary>Of the last line that could be read; 0: none.</summary>
    public long Number { get; private set; }

    public string Hash { get; private set; } = AuditEntry.Beginning;

    /// <summary>One sentence each, at most 100; each names its line.</summary>
    public List<string> Problems { get; } = [];

    /// <summary>Takes the next line.</summary>
    /// <returns>Null: it cannot be read.</returns>
    public AuditEntry? Add(string line)
    {
        _line++;
        AuditEntry entry;
        try
        {
            entry = AuditEntry.Read(line);
        }
        catch (FormatException error)
        {
            Report($"Line {Place(Number + 1)} cannot be read: {error.Message}.");
            _linked = false; // what follows it cannot be told
            return null;
        }

        if (!entry.IsIntact) Report($"Line {Place(entry.Number)} was edited: its content does not give its hash.");
        else if (_linked && (entry.Previous != Hash || entry.Number != Number + 1)) Report($"Line {Place(entry.Number)} does not follow the line before it: lines were removed, added or re-ordered.");
        (Number, Hash, _linked) = (entry.Number, entry.Hash, true);
        return entry;
    }

    private void Report(string problem)
    {
        if (Problems.Count < MostProblems) Problems.Add(problem);
    }

    // By its place in the file where that is known: a number can be forged.
    private long Place(long number) => startsInTheMiddle ? number : _line;
}

/// <summary>What a complete check of an audit log found.</summary>
/// <param name="Entries">Those that could be read, in order.</param>
/// <param name="IsUnfinished">The last line is not whole: a crash cut it short, or it is being written. It does not count.</param>
/// <param name="Problems">One sentence each, naming the line; empty: the chain holds.</param>
public sealed record AuditVerification(IReadOnlyList<AuditEntry> Entries, long Count, string Hash, bool IsUnfinished, IReadOnlyList<string> Problems)
{
    /// <summary>Reads beside a process that writes.</summary>
    /// <exception cref="IOException">The file cannot be read.</exception>
    public static AuditVerification Of(string path)
    {
        using var file = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        using var reader = new StreamReader(file, new UTF8Encoding(encoderShouldEmitUTF8Identifier: false));
        string[] lines = reader.ReadToEnd().Split('\n'); // the last is empty where the file ends in a whole line
        AuditChain chain = new();
        List<AuditEntry> entries = [];
        foreach (string line in lines[..^1])
        {
            if (chain.Add(line) is { } entry) entries.Add(entry);
        }

        return new(entries, chain.Number, chain.Hash, lines[^1].Length > 0, chain.Problems);
    }

    /// <summary>What differs from a head that somebody else has kept; null: nothing.</summary>
    /// <param name="hash">The head's hash, or its beginning.</param>
    public string? DifferenceFrom(long count, string hash)
    {
        if (count > Count) return $"The log ends at line {Count}; {count} lines are known: its end was cut off.";
        return Entries.FirstOrDefault(entry => entry.Number == count)?.Hash.StartsWith(hash, StringComparison.Ordinal) == true ? null : $"Line {count} is not the one that is known: the log is another one.";
    }
}
