using Federation.Privacy.Mechanisms;

namespace Federation.Learning.DifferentialPrivacy;

/// <summary>Whose presence is hidden: every record for itself, or all records that share a key, such as a person's.</summary>
public sealed class PrivacyUnits
{
    private readonly int _count;
    private readonly long[][]? _records;
    private readonly int _mostRecords;

    private PrivacyUnits(int count, long[][]? records, int mostRecords) => (_count, _records, _mostRecords) = (count, records, mostRecords);

    /// <summary>Each record is a unit.</summary>
    /// <param name="count">0 and more: a site without a record trains on nothing, and its steps are noise alone.</param>
    public static PrivacyUnits Records(int count)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(count);
        return new(count, null, 1);
    }

    /// <summary>
    /// All records with one key are a unit: they are sampled together, their mean gradient is clipped as one. The guarantee is for adding or removing a whole person, however many records there are.
    /// </summary>
    /// <param name="keys">Of each record, such as the key column.</param>
    /// <param name="mostRecords">Of a unit that go into one step; of more, so many are drawn anew for each step.</param>
    /// <exception cref="ArgumentException">A key is empty: a record of nobody cannot be bounded.</exception>
    public static PrivacyUnits ByKey(IReadOnlyList<string> keys, int mostRecords)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(mostRecords);
        Dictionary<string, List<long>> records = new(StringComparer.Ordinal);
        for (int i = 0; i < keys.Count; i++)
        {
            if (string.IsNullOrEmpty(keys[i])) throw new ArgumentException($"Record {i} has no key: each must belong to a person, or be left out.", nameof(keys));
            if (!records.TryGetValue(keys[i], out List<long>? own)) records[keys[i]] = own = [];
            own.Add(i);
        }

        return new(records.Count, [.. records.Values.Select(own => own.ToArray())], mostRecords);
    }

    /// <summary>How many there are.</summary>
    public int Count => _count;

    /// <summary>The units' records, in batches of at most so many records where no single unit has more.</summary>
    internal IEnumerable<PrivateBatch> Batches(IReadOnlyList<int> units, int mostRecords, SecureRandom random)
    {
        if (_records is null)
        {
            for (int first = 0; first < units.Count; first += mostRecords) yield return PrivateBatch.OneEach([.. units.Skip(first).Take(mostRecords).Select(unit => (long)unit)]);
            yield break;
        }

        List<long> records = [];
        List<int> unitOf = [];
        List<float> weights = [];
        int count = 0;
        foreach (int unit in units)
        {
            long[] chosen = Chosen(_records[unit], random);
            if (records.Count > 0 && records.Count + chosen.Length > mostRecords)
            {
                yield return new([.. records], BatchUnits.Of([.. unitOf], count), [.. weights]);
                records.Clear();
                unitOf.Clear();
                weights.Clear();
                count = 0;
            }

            records.AddRange(chosen);
            unitOf.AddRange(chosen.Select(_ => count));
            weights.AddRange(chosen.Select(_ => 1f / chosen.Length));
            count++;
        }

        if (count > 0) yield return new([.. records], BatchUnits.Of([.. unitOf], count), [.. weights]);
    }

    /// <summary>At most so many of a unit's records, each subset as likely as any other.</summary>
    private long[] Chosen(long[] own, SecureRandom random)
    {
        if (own.Length <= _mostRecords) return own;
        long[] shuffled = [.. own];
        for (int i = 0; i < _mostRecords; i++)
        {
            int j = i + (int)(((UInt128)random.NextUInt64() * (ulong)(shuffled.Length - i)) >> 64); // within 2⁻³² of even; any choice is allowed
            (shuffled[i], shuffled[j]) = (shuffled[j], shuffled[i]);
        }

        return shuffled[.._mostRecords];
    }
}
