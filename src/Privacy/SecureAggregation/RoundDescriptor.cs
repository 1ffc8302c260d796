using System.Security.Cryptography;
using Federation.Privacy.Canonical;

namespace Federation.Privacy.SecureAggregation;

/// <summary>How much a site's update counts.</summary>
public enum WeightRule
{
    /// <summary>Every site the same: 1.</summary>
    One = 0,

    /// <summary>The weights that the run spec declares public.</summary>
    Public,

    /// <summary>What the site claims, up to a cap; only the sum of the weights is opened.</summary>
    Claimed,
}

/// <summary>Everything that decides what a site sends in a round. Every contribution is signed for its hash, and members open only contributions to one descriptor.</summary>
/// <param name="RunSpec">Hash of the run spec, 32 bytes.</param>
/// <param name="Model">Hash of the global model, 32 bytes; for statistics of query and data version.</param>
/// <param name="Cohort">The sites that may contribute.</param>
/// <param name="MinContributors">The round's own, at least 3; a site's policy may ask for more.</param>
/// <param name="MaxColluding">c: so many sites may collude or send no noise. Below <paramref name="MinContributors"/>.</param>
/// <param name="Weights">The rule.</param>
/// <param name="LocalTraining">Hash of the local training's settings, 32 bytes.</param>
/// <param name="Encoding">Mode, fields, levels, clip, grid, rotation, noise and the cap of weights of an update, for this cohort's size; null: whole numbers as they are, in direct mode (evaluation, statistics).</param>
public sealed record RoundDescriptor(
    byte[] RunSpec, byte[] Model, IReadOnlyList<string> Cohort, int MinContributors, int MaxColluding, WeightRule Weights, byte[] LocalTraining, UpdateEncoding? Encoding)
{
    public byte[] Encode()
    {
        CanonicalWriter writer = new CanonicalWriter("round").Field(RunSpec).Field(Model).Field((ulong)MinContributors).Field((ulong)MaxColluding).Field((ulong)Weights).Field(LocalTraining);
        writer.Field(Encoding == null ? [] : Encoding.Encode()).Field((ulong)Cohort.Count);
        foreach (string site in Cohort.Order(StringComparer.Ordinal)) writer.Field(site);
        return writer.ToArray();
    }

    /// <exception cref="FormatException">The bytes are no descriptor, or one that contradicts itself.</exception>
    public static RoundDescriptor Decode(ReadOnlySpan<byte> bytes)
    {
        CanonicalReader reader = new(bytes, "round");
        byte[] spec = reader.Bytes(EpochAnswer.HashBytes), model = reader.Bytes(EpochAnswer.HashBytes);
        int least = reader.Int32(CommitteePolicy.FewestContributors, Roster.MostSites), colluding = reader.Int32(0, least - 1);
        WeightRule weights = (WeightRule)reader.Int32(0, (int)WeightRule.Claimed);
        byte[] local = reader.Bytes(EpochAnswer.HashBytes);
        ReadOnlySpan<byte> encoded = reader.Field(SignedMessage.MostBytes);
        int count = reader.Int32(least, Roster.MostSites);
        List<string> cohort = [];
        for (int i = 0; i < count; i++)
        {
            cohort.Add(reader.Text(4 * Roster.LongestName));
            if (i > 0 && string.CompareOrdinal(cohort[i - 1], cohort[i]) >= 0) throw new FormatException("The cohort's sites must be in order, each once.");
        }

        reader.End();
        UpdateEncoding? encoding = encoded.IsEmpty ? null : UpdateEncoding.Decode(encoded);
        if (weights == WeightRule.One && encoding is { LargestWeight: not 1 }) throw new FormatException($"The largest weight is {encoding.LargestWeight}; it is 1 where every site counts the same.");
        if (encoding != null && encoding.Layout.Cohort < count) throw new FormatException($"The encoding is made for {encoding.Layout.Cohort} sites, the cohort has {count}.");
        return new(spec, model, cohort, least, colluding, weights, local, encoding);
    }

    /// <summary>Of the text of a spec, or of a schema, as <see cref="RunSpec"/> and <see cref="LocalTraining"/> have it.</summary>
    public static byte[] HashOf(string text) => SHA256.HashData(System.Text.Encoding.UTF8.GetBytes(text));

    public byte[] Hash() => SHA256.HashData(Encode());
}
