using System.Security.Cryptography;
using Federation.Privacy.Canonical;

namespace Federation.Privacy.SecureAggregation;

/// <summary>What decides what a site sends in a round, as far as members check it when they open. The rest (encoding, local training) is bound by the hash of its settings.</summary>
/// <param name="RunSpec">Hash of the run spec, 32 bytes.</param>
/// <param name="Model">Hash of the global model, 32 bytes; of the query for statistics.</param>
/// <param name="Cohort">The sites that may contribute.</param>
/// <param name="MinContributors">The round's own; a site's policy may ask for more.</param>
/// <param name="Settings">Hash of everything else.</param>
public sealed record RoundDescriptor(byte[] RunSpec, byte[] Model, IReadOnlyList<string> Cohort, int MinContributors, byte[] Settings)
{
    public byte[] Encode()
    {
        CanonicalWriter writer = new CanonicalWriter("round").Field(RunSpec).Field(Model).Field((ulong)MinContributors).Field(Settings).Field((ulong)Cohort.Count);
        foreach (string site in Cohort.Order(StringComparer.Ordinal)) writer.Field(site);
        return writer.ToArray();
    }

    /// <exception cref="FormatException">The bytes are no descriptor.</exception>
    public static RoundDescriptor Decode(ReadOnlySpan<byte> bytes)
    {
        CanonicalReader reader = new(bytes, "round");
        byte[] spec = reader.Bytes(EpochAnswer.HashBytes), model = reader.Bytes(EpochAnswer.HashBytes);
        int least = reader.Int32(1, Roster.MostSites);
        byte[] settings = reader.Bytes(EpochAnswer.HashBytes);
        int count = reader.Int32(1, Roster.MostSites);
        List<string> cohort = [];
        for (int i = 0; i < count; i++)
        {
            cohort.Add(reader.Text(4 * Roster.LongestName));
            if (i > 0 && string.CompareOrdinal(cohort[i - 1], cohort[i]) >= 0) throw new FormatException("The cohort's sites must be in order, each once.");
        }

        reader.End();
        return new(spec, model, cohort, least, settings);
    }

    public byte[] Hash() => SHA256.HashData(Encode());
}
