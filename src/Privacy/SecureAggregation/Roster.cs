using Federation.Privacy.Canonical;

namespace Federation.Privacy.SecureAggregation;

/// <summary>The sites of a federation, each with the SHA-256 of its identity key (SubjectPublicKeyInfo). A node with a pinned roster trusts its hash and nothing that the coordinator says of sites.</summary>
public sealed class Roster
{
    public const int MostSites = 100_000, LongestName = 128;

    private readonly SortedDictionary<string, string> _keys = new(StringComparer.Ordinal);

    /// <param name="version">Grows by one with every change.</param>
    /// <param name="previousHash">Of the version before, as hex; empty for the first.</param>
    /// <param name="sites">Names and hashes of keys, as hex; each key once.</param>
    /// <exception cref="ArgumentException">A name comes twice or is empty, a hash is none.</exception>
    public Roster(ulong version, string previousHash, IEnumerable<KeyValuePair<string, string>> sites)
    {
        if (previousHash.Length > 0 && !Sha256Hex.IsValid(previousHash)) throw new ArgumentException($"The previous roster's hash '{previousHash}' is not a SHA-256 in lower-case hex.", nameof(previousHash));
        (Version, PreviousHash) = (version, previousHash);
        HashSet<string> identities = [];
        foreach ((string name, string key) in sites)
        {
            if (name.Length is 0 or > LongestName) throw new ArgumentException($"A site's name has 1 to {LongestName} characters; '{name}' has {name.Length}.", nameof(sites));
            if (!Sha256Hex.IsValid(key)) throw new ArgumentException($"The key hash of '{name}' is not a SHA-256 in lower-case hex.", nameof(sites));
            if (!identities.Add(key)) throw new ArgumentException($"The key of '{name}' is another site's too: one site would count as two.", nameof(sites));
            if (!_keys.TryAdd(name, key)) throw new ArgumentException($"The site '{name}' is listed twice.", nameof(sites));
        }

        Hash = Sha256Hex.Of(Encode());
    }

    public ulong Version { get; }

    public string PreviousHash { get; }

    /// <summary>SHA-256 of <see cref="Encode"/>, as hex: what administrators compare and pin.</summary>
    public string Hash { get; }

    /// <summary>Sites by name, each with its key's hash.</summary>
    public IReadOnlyDictionary<string, string> Sites => _keys;

    public byte[] Encode()
    {
        CanonicalWriter writer = new CanonicalWriter("roster").Field(Version).Field(PreviousHash).Field((ulong)_keys.Count);
        foreach ((string name, string key) in _keys) writer.Field(name).Field(key);
        return writer.ToArray();
    }

    /// <exception cref="FormatException">The bytes are no roster.</exception>
    public static Roster Decode(ReadOnlySpan<byte> bytes)
    {
        CanonicalReader reader = new(bytes, "roster");
        ulong version = reader.UInt64();
        string previous = reader.Text(64);
        int count = reader.Int32(0, MostSites);
        List<KeyValuePair<string, string>> sites = [];
        for (int i = 0; i < count; i++) sites.Add(new(reader.Text(4 * LongestName), reader.Text(64)));
        reader.End();
        try
        {
            Roster roster = new(version, previous, sites);
            return roster.Encode().AsSpan().SequenceEqual(bytes) ? roster : throw new FormatException("The roster's sites are not in the order of their names.");
        }
        catch (ArgumentException wrong)
        {
            throw new FormatException(wrong.Message, wrong);
        }
    }
}
