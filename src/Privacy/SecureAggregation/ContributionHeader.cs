using Federation.Privacy.Canonical;

namespace Federation.Privacy.SecureAggregation;

/// <summary>What a contributor signs: for which opening, round and epoch its bytes are, and their hashes.</summary>
/// <param name="Round">Hash of the round descriptor.</param>
/// <param name="Certificate">Hash of the epoch certificate.</param>
/// <param name="Payload">SHA-256 of the packed blocks; of nothing in direct mode.</param>
/// <param name="First">SHA-256 of the packed c₀ of the key ciphertext.</param>
/// <param name="Second">SHA-256 of its packed c₁.</param>
public sealed record ContributionHeader(Opening Opening, string Site, byte[] Round, byte[] Certificate, byte[] Payload, byte[] First, byte[] Second)
{
    public byte[] Encode() => new CanonicalWriter("contribution").Field(Opening.Encode()).Field(Site).Field(Round).Field(Certificate).Field(Payload).Field(First).Field(Second).ToArray();

    /// <exception cref="FormatException">The bytes are no such message.</exception>
    public static ContributionHeader Decode(ReadOnlySpan<byte> bytes)
    {
        CanonicalReader reader = new(bytes, "contribution");
        ContributionHeader header = new(
            Opening.Decode(reader.Field(SignedMessage.MostBytes)), reader.Text(4 * Roster.LongestName), reader.Bytes(EpochAnswer.HashBytes), reader.Bytes(EpochAnswer.HashBytes),
            reader.Bytes(EpochAnswer.HashBytes), reader.Bytes(EpochAnswer.HashBytes), reader.Bytes(EpochAnswer.HashBytes));
        reader.End();
        return header;
    }

    /// <summary>U's hash: over the sorted list of (site, hash of c₀, hash of c₁), signatures left out.</summary>
    public static byte[] SetHash(IEnumerable<ContributionHeader> contributions)
    {
        ContributionHeader[] sorted = [.. contributions.OrderBy(header => header.Site, StringComparer.Ordinal)];
        CanonicalWriter writer = new CanonicalWriter("contributors").Field((ulong)sorted.Length);
        foreach (ContributionHeader header in sorted) writer.Field(header.Site).Field(header.First).Field(header.Second);
        return writer.Hash();
    }
}
