using System.Security.Cryptography;
using Federation.Privacy.Accounting;

namespace Federation.Privacy.Ledger;

/// <summary>What a complete check of a ledger found.</summary>
/// <param name="Records">Those that could be read, in order.</param>
/// <param name="Problems">One sentence each, at most 100; empty: every record is as it was signed, and none is missing.</param>
/// <param name="Head">As stored; null: missing.</param>
public sealed record LedgerVerification(string DataSet, string LedgerId, LedgerTerms? Terms, PrivacyBudget? Budget, LedgerHead? Head, IReadOnlyList<LedgerRecord> Records, IReadOnlyCollection<long> Uncommitted, IReadOnlyList<string> Problems)
{
    /// <summary>Hash by number.</summary>
    internal IReadOnlyDictionary<long, string> Hashes { get; init; } = new Dictionary<long, string>();

    private const int MostProblems = 100;
    private const double SumTolerance = 1e-9;

    public bool Valid => Problems.Count == 0;

    /// <summary>SHA-256 of the public key, by which an auditor recognises the ledger's owner; null where record 0 cannot be read.</summary>
    public string? KeySha256 => Records is [OpenedRecord opened, ..] ? Convert.ToHexStringLower(SHA256.HashData(opened.PublicKey)) : null;

    /// <summary>The data sets of a ledger file.</summary>
    /// <exception cref="LedgerException">The file cannot be read.</exception>
    public static IReadOnlyList<string> DataSets(string path)
    {
        using LedgerFile file = LedgerFile.OpenForReading(path);
        return [.. file.DataSets().Union(file.Directory()?.Read().Keys ?? []).Order(StringComparer.Ordinal)];
    }

    /// <summary>Checks every hash, link, signature and sum, without the private key.</summary>
    /// <exception cref="LedgerException">The file cannot be read, or holds nothing of this data set.</exception>
    public static LedgerVerification Of(string path, string dataSet)
    {
        using LedgerFile file = LedgerFile.OpenForReading(path);
        LedgerHead? head = file.Head(dataSet);
        LedgerDirectory? directory = file.Directory();
        string? listed = directory?.Read().GetValueOrDefault(dataSet);
        LedgerVerification result = Of(dataSet, file.Records(dataSet), head);
        if (result.Records.Count == 0 && head is null && listed is null) throw new LedgerException(LedgerFault.Unusable, $"{path} holds no ledger of '{dataSet}'.");
        if (directory is null) return result; // an imported copy
        if (listed == result.LedgerId && (result.Records is not [OpenedRecord opened, ..] || opened.PublicKey.AsSpan().SequenceEqual(directory.PublicKey))) return result;
        string problem = listed is null ? "It is not in the list of the file's ledgers: it was put there by somebody else." : result.LedgerId.Length == 0 ? "All of its records, or the first, are missing: they were deleted, or given to another data set." : "It is not the ledger that the list of the file's ledgers names.";
        return result with { Problems = [problem, .. result.Problems] };
    }

    internal static LedgerVerification Of(string dataSet, IEnumerable<StoredRecord> stored, LedgerHead? head)
    {
        LedgerChain chain = new();
        List<string> problems = [];
        List<LedgerRecord> records = [];
        Dictionary<long, string> hashes = [];
        List<StoredRecord> all = [];
        Spending spending = new();
        foreach (StoredRecord one in stored)
        {
            all.Add(one);
            (IReadOnlyList<string> found, LedgerRecord? record) = chain.Add(one);
            problems.AddRange(found);
            if (one.Place < LedgerChain.MostRecords) hashes[one.Place] = one.Hash;
            if (record is null) continue;
            records.Add(record);
            if (record.Charge is { Count: > 0 } events && chain.Opened is { } opened && found.Count == 0) spending = spending.With(events, opened.Terms.Relation);
        }

        problems.AddRange(LedgerKey.Unsigned(chain.Opened?.PublicKey ?? [], all).Order().Select(place => $"Record {place} is not signed by this ledger's key."));
        if (chain.Opened is { } first && first.DataSet != dataSet) problems.Add($"Record 0 is of the ledger of '{first.DataSet}', not of '{dataSet}'.");
        if (HeadProblem(head, chain) is { } wrong) problems.Add(wrong);
        else if (problems.Count == 0 && !Equal(head!, spending)) problems.Add("The signed head's sums are not those of the records.");
        if (problems.Count > MostProblems) problems = [.. problems.Take(MostProblems), $"And {problems.Count - MostProblems} more."];
        return new LedgerVerification(dataSet, chain.LedgerId, chain.Opened?.Terms, chain.Budget, head, records, chain.Uncommitted, problems) { Hashes = hashes };
    }

    /// <summary>What differs from a head that somebody else has seen; null: nothing.</summary>
    /// <param name="count">The head's count.</param>
    /// <param name="hash">The head's hash, or its beginning.</param>
    public string? DifferenceFrom(long count, string hash)
    {
        if (Hashes.TryGetValue(count - 1, out string? here)) return here.StartsWith(hash, StringComparison.Ordinal) ? null : $"Record {count - 1} is not the one that is known: the ledger was rolled back and went another way, or is another one.";
        if (Records.OfType<LostRecord>().Any(lost => lost.LostCount == count && lost.LostHash.StartsWith(hash, StringComparison.Ordinal))) return null;
        return $"The ledger was rolled back from {count} to {(Hashes.Count == 0 ? 0 : Hashes.Keys.Max() + 1)}.";
    }

    /// <summary>What is wrong with a head, given the records; null: nothing.</summary>
    internal static string? HeadProblem(LedgerHead? head, LedgerChain chain)
    {
        if (chain.Opened is null) return "Record 0, which opens the ledger, is missing.";
        if (head is null) return "The signed head is missing.";
        if (head.Count > chain.Count) return $"The last {head.Count - chain.Count} records are missing: they were cut off. The signed head counts {head.Count}, {chain.Count} are here.";
        if (!head.PublicKey.AsSpan().SequenceEqual(chain.Opened.PublicKey) || !head.IsAuthentic()) return "The head is not signed by this ledger's key.";
        if (head.Count < chain.Count) return $"Records from {head.Count} on stand behind the signed head: they were not written by this ledger's owner.";
        if (head.LedgerId != chain.LedgerId || head.Hash != chain.Hash) return "The signed head is of other records than these.";
        return null;
    }

    private static bool Equal(LedgerHead head, Spending spending) =>
        Math.Abs(head.StatisticalDistance - spending.StatisticalDistance) <= SumTolerance * spending.StatisticalDistance
        && head.Divergences.Zip(spending.Divergences).All(pair => pair.First == pair.Second || Math.Abs(pair.First - pair.Second) <= SumTolerance * pair.Second);
}
