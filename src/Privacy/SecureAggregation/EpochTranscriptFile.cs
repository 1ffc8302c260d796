using Federation.Privacy.Canonical;

namespace Federation.Privacy.SecureAggregation;

/// <summary>What the key of a finished epoch rests on, as it was signed, in one piece, so that anybody can check later how it came about. Acceptances of shares, which are between members, and the self-test's answers, which every site has checked, are not in it.</summary>
public static class EpochTranscriptFile
{
    private const int MostMessageBytes = 2 * SignedMessage.MostBytes;

    public static byte[] Encode(Roster roster, EpochCertificate certificate, IReadOnlyList<SignedMessage> answers, IReadOnlyList<SignedMessage> commitments, IReadOnlyList<SignedMessage> qualifications, IReadOnlyList<EpochReveal> reveals)
    {
        CanonicalWriter writer = new CanonicalWriter("epoch-record").Field(roster.Encode()).Field(certificate.Encode());
        foreach (IReadOnlyList<SignedMessage> messages in new[] { answers, commitments, qualifications })
        {
            writer.Field((ulong)messages.Count);
            foreach (SignedMessage message in messages) writer.Field(message.Encode());
        }

        return writer.Field(EpochReveal.Encode(reveals)).ToArray();
    }

    /// <summary>Checks it from beginning to end: the roster's keys signed every message, all of Q saw the same, each b_i is what was committed to, and the certificate's key is their sum.</summary>
    /// <returns>The certificate and the roster it was made for.</returns>
    /// <exception cref="FormatException">The bytes are no such record.</exception>
    /// <exception cref="ProtocolException">Something in it does not hold.</exception>
    public static (EpochCertificate Certificate, Roster Roster) Verify(ReadOnlySpan<byte> bytes)
    {
        CanonicalReader reader = new(bytes, "epoch-record");
        Roster roster = Roster.Decode(reader.Field());
        EpochCertificate certificate = EpochCertificate.Decode(reader.Field());
        List<SignedMessage> answers = Messages(ref reader), commitments = Messages(ref reader), qualifications = Messages(ref reader);
        IReadOnlyList<EpochReveal> reveals = EpochReveal.DecodeList(reader.Field());
        reader.End();

        EpochDescriptor descriptor = certificate.Descriptor;
        certificate.Verify(roster, new CommitteePolicy(lyingOrRestored: 0));
        SortedDictionary<int, EpochAnswer> candidates = [];
        foreach (SignedMessage message in answers)
        {
            EpochAnswer answer = EpochTranscript.Answer(descriptor, roster, message);
            if (!candidates.TryAdd(answer.Index, answer)) throw new ProtocolException(Refusal.DuplicateSite, $"'{message.Site}' answered twice.");
        }

        byte[] hash = EpochTranscript.Answers(descriptor, [.. candidates.Values]);
        SortedDictionary<int, EpochCommitment> committed = [];
        foreach (SignedMessage message in commitments)
        {
            EpochCommitment commitment = EpochTranscript.Commitment(descriptor, roster, hash, candidates.Keys, message);
            if (!committed.TryAdd(commitment.Index, commitment)) throw new ProtocolException(Refusal.DuplicateSite, $"'{message.Site}' committed twice.");
        }

        byte[] transcript = EpochTranscript.Qualified(hash, [.. committed.Values], certificate.Qualified);
        EpochTranscript.Same(certificate.Transcript, transcript, Refusal.DifferentTranscripts, "The certificate belongs to other messages");
        int[] signed = [.. qualifications.Select(message => EpochTranscript.Qualification(descriptor, roster, transcript, message)).Order()];
        if (!signed.SequenceEqual(certificate.Qualified)) throw new ProtocolException(Refusal.DifferentTranscripts, "Not all of Q, or others, have signed what they saw.");
        if (!reveals.Select(reveal => reveal.Index).Order().SequenceEqual(certificate.Qualified)) throw new ProtocolException(Refusal.WrongReveal, "Not all of Q, or others, have revealed.");
        if (certificate.Qualified.FirstOrDefault(member => !committed.ContainsKey(member)) is > 0 and int missing) throw new ProtocolException(Refusal.WrongReveal, $"Member {missing} of Q has committed to nothing.");
        EpochCertificate made = EpochCertificate.Of(descriptor, hash, transcript, certificate.Qualified, committed, reveals);
        EpochTranscript.Same(certificate.Hash, made.Hash, Refusal.WrongReveal, "The certificate's key is not the sum of what was revealed");
        return (certificate, roster);
    }

    private static List<SignedMessage> Messages(ref CanonicalReader reader)
    {
        int count = reader.Int32(0, CommitteePolicy.LargestCommittee);
        List<SignedMessage> messages = [];
        for (int i = 0; i < count; i++) messages.Add(SignedMessage.Decode(reader.Field(MostMessageBytes)));
        return messages;
    }
}
