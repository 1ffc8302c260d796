using Federation.Privacy.Canonical;

namespace Federation.Privacy.SecureAggregation;

/// <summary>What the coordinator asks of a member: to open the sum of these contributions together with these members. The contributions' c₁ follow one by one.</summary>
/// <param name="Round">The descriptor itself.</param>
/// <param name="Contributions">Each contributor's signed header.</param>
/// <param name="Active">A: t members, rising.</param>
public sealed record OpeningRequest(Opening Opening, RoundDescriptor Round, IReadOnlyList<SignedMessage> Contributions, IReadOnlyList<int> Active)
{
    private const int MostDescriptorBytes = 1 << 26;

    public byte[] Encode()
    {
        CanonicalWriter writer = Indices.Write(new CanonicalWriter("opening-request").Field(Opening.Encode()).Field(Round.Encode()), Active).Field((ulong)Contributions.Count);
        foreach (SignedMessage header in Contributions) writer.Field(header.Encode());
        return writer.ToArray();
    }

    /// <exception cref="FormatException">The bytes are no request. Nothing is verified.</exception>
    public static OpeningRequest Decode(ReadOnlySpan<byte> bytes)
    {
        CanonicalReader reader = new(bytes, "opening-request");
        Opening opening = Opening.Decode(reader.Field(SignedMessage.MostBytes));
        RoundDescriptor round = RoundDescriptor.Decode(reader.Field(MostDescriptorBytes));
        IReadOnlyList<int> active = Indices.ReadList(ref reader);
        int count = reader.Int32(0, round.Cohort.Count);
        List<SignedMessage> headers = [];
        for (int i = 0; i < count; i++) headers.Add(SignedMessage.Decode(reader.Field(2 * SignedMessage.MostBytes)));
        reader.End();
        return new(opening, round, headers, active);
    }
}
