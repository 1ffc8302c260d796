using System.Security.Cryptography;
using Federation.Privacy.Canonical;

namespace Federation.Privacy.SecureAggregation;

/// <summary>What a member signs when it answers: what its part belongs to, the part's hash, and how far its record has come. The coordinator keeps it: by it a restored member is found out.</summary>
/// <param name="Certificate">Hash of the epoch certificate.</param>
/// <param name="Set">U's hash.</param>
/// <param name="Active">A, rising.</param>
/// <param name="PartHash">SHA-256 of the part that travels beside this.</param>
/// <param name="RecordCount">Answers in its record, this one among them, and <paramref name="RecordHead"/>, the record's head.</param>
public sealed record OpeningAnswer(Opening Opening, byte[] Certificate, byte[] Set, IReadOnlyList<int> Active, int Index, byte[] PartHash, int RecordCount, byte[] RecordHead)
{
    public byte[] Encode() =>
        Indices.Write(new CanonicalWriter("opening-answer").Field(Opening.Encode()).Field(Certificate).Field(Set), Active).Field((ulong)Index).Field(PartHash).Field((ulong)RecordCount).Field(RecordHead).ToArray();

    /// <exception cref="FormatException">The bytes are no such message.</exception>
    public static OpeningAnswer Decode(ReadOnlySpan<byte> bytes)
    {
        CanonicalReader reader = new(bytes, "opening-answer");
        OpeningAnswer answer = new(
            Opening.Decode(reader.Field(SignedMessage.MostBytes)), reader.Bytes(EpochAnswer.HashBytes), reader.Bytes(EpochAnswer.HashBytes), Indices.ReadList(ref reader),
            Indices.Read(ref reader), reader.Bytes(EpochAnswer.HashBytes), reader.Int32(0, int.MaxValue), reader.Bytes(EpochAnswer.HashBytes));
        reader.End();
        return answer;
    }
}

/// <summary>A member's part in an opening, as it leaves the site.</summary>
/// <param name="Message">A signed <see cref="OpeningAnswer"/>.</param>
/// <param name="Part">d_i, packed modulo the data primes.</param>
public sealed record SignedOpeningAnswer(SignedMessage Message, byte[] Part)
{
    private const int MostPartBytes = 1 << 20, MostAnswers = CommitteePolicy.LargestCommittee;

    /// <summary>Several answers, for instance those that opened an epoch's test.</summary>
    public static byte[] Encode(IReadOnlyList<SignedOpeningAnswer> answers)
    {
        CanonicalWriter writer = new CanonicalWriter("opening-answers").Field((ulong)answers.Count);
        foreach (SignedOpeningAnswer answer in answers) writer.Field(answer.Message.Encode()).Field(answer.Part);
        return writer.ToArray();
    }

    /// <exception cref="FormatException">The bytes are no answers. Nothing is verified.</exception>
    public static IReadOnlyList<SignedOpeningAnswer> Decode(ReadOnlySpan<byte> bytes)
    {
        CanonicalReader reader = new(bytes, "opening-answers");
        int count = reader.Int32(0, MostAnswers);
        List<SignedOpeningAnswer> answers = [];
        for (int i = 0; i < count; i++) answers.Add(new(SignedMessage.Decode(reader.Field(2 * SignedMessage.MostBytes)), reader.Field(MostPartBytes).ToArray()));
        reader.End();
        return answers;
    }

    /// <summary>What was signed, if a member of this epoch signed it for this part.</summary>
    /// <exception cref="ProtocolException">It did not.</exception>
    public OpeningAnswer Verify(EpochCertificate certificate, Roster roster)
    {
        OpeningAnswer answer = EpochTranscript.Decoded(() => OpeningAnswer.Decode(Message.Verify(roster)));
        EpochTranscript.Sender(certificate.Descriptor, Message, answer.Index);
        EpochTranscript.Same(answer.Certificate, certificate.Hash, Refusal.WrongEpoch, $"The answer of '{Message.Site}' belongs to another epoch");
        EpochTranscript.Same(SHA256.HashData(Part), answer.PartHash, Refusal.WrongShare, $"The part of '{Message.Site}' is not the one that it signed");
        return answer;
    }
}
