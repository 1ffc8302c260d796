using Federation.Privacy.Canonical;

namespace Federation.Privacy.SecureAggregation;

/// <summary>The encrypted shares for one member, as the coordinator relays them.</summary>
public static class EpochShares
{
    private const int MostShareBytes = 1 << 20;

    /// <param name="shares">By sender.</param>
    public static byte[] Encode(IReadOnlyDictionary<int, byte[]> shares)
    {
        CanonicalWriter writer = new CanonicalWriter("epoch-shares").Field((ulong)shares.Count);
        foreach ((int from, byte[] share) in shares.OrderBy(share => share.Key)) writer.Field((ulong)from).Field(share);
        return writer.ToArray();
    }

    /// <exception cref="FormatException">The bytes are no shares.</exception>
    public static IReadOnlyDictionary<int, byte[]> Decode(ReadOnlySpan<byte> bytes)
    {
        CanonicalReader reader = new(bytes, "epoch-shares");
        int count = reader.Int32(0, CommitteePolicy.LargestCommittee);
        SortedDictionary<int, byte[]> shares = [];
        for (int i = 0; i < count; i++)
        {
            int from = Indices.Read(ref reader);
            if (!shares.TryAdd(from, reader.Field(MostShareBytes).ToArray())) throw new FormatException($"Member {from} has two shares.");
        }

        reader.End();
        return shares;
    }
}
