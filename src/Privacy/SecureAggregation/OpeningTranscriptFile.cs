using Federation.Privacy.Canonical;

namespace Federation.Privacy.SecureAggregation;

/// <summary>The signed messages of one finished opening: what was asked, and what each member of A signed.</summary>
public static class OpeningTranscriptFile
{
    public static byte[] Encode(OpeningRequest request, IReadOnlyList<SignedMessage> answers)
    {
        CanonicalWriter writer = new CanonicalWriter("opening-record-file").Field(request.Encode()).Field((ulong)answers.Count);
        foreach (SignedMessage answer in answers) writer.Field(answer.Encode());
        return writer.ToArray();
    }

    /// <summary>Checks every signature, that all contributions are for one opening, epoch and descriptor, no site and no ciphertext twice, and that t members that hold shares signed answers for exactly them.</summary>
    /// <returns>What was opened.</returns>
    /// <exception cref="FormatException">The bytes are no such record.</exception>
    /// <exception cref="ProtocolException">Something in it does not hold.</exception>
    public static OpeningRequest Verify(ReadOnlySpan<byte> bytes, EpochCertificate certificate, Roster roster)
    {
        CanonicalReader reader = new(bytes, "opening-record-file");
        OpeningRequest request = OpeningRequest.Decode(reader.Field());
        int count = reader.Int32(0, CommitteePolicy.LargestCommittee);
        List<SignedMessage> answers = [];
        for (int i = 0; i < count; i++) answers.Add(SignedMessage.Decode(reader.Field(2 * SignedMessage.MostBytes)));
        reader.End();

        SiteRound round = new(request.Opening, request.Round, certificate);
        List<ContributionHeader> headers = [.. request.Contributions.Select(contribution => ContributionFile.Header(contribution, round, roster))];
        if (headers.Select(header => header.Site).Distinct().Count() != headers.Count) throw new ProtocolException(Refusal.DuplicateSite, "A site contributed twice.");
        if (headers.SelectMany(header => new[] { Convert.ToHexString(header.First), Convert.ToHexString(header.Second) }).GroupBy(hash => hash).Any(group => group.Count() > 1)) throw new ProtocolException(Refusal.ReplayedCiphertext, "One key ciphertext counts for two sites.");
        if (headers.FirstOrDefault(header => !request.Round.Cohort.Contains(header.Site)) is { } foreign) throw new ProtocolException(Refusal.NotInCohort, $"'{foreign.Site}' is not in the round's cohort.");
        if (headers.Count < Math.Max(request.Round.MinContributors, CommitteePolicy.FewestContributors)) throw new ProtocolException(Refusal.TooFewContributors, $"{headers.Count} sites contributed.");
        byte[] set = ContributionHeader.SetHash(headers);
        if (answers.Count != certificate.Descriptor.Threshold || request.Active.Count != answers.Count) throw new ProtocolException(Refusal.WrongActiveSet, $"{answers.Count} members answered; {certificate.Descriptor.Threshold} are needed.");
        SortedSet<int> seen = [];
        foreach (SignedMessage message in answers)
        {
            OpeningAnswer answer = EpochTranscript.Decoded(() => OpeningAnswer.Decode(message.Verify(roster)));
            EpochTranscript.Sender(certificate.Descriptor, message, answer.Index);
            EpochTranscript.Same(answer.Certificate, certificate.Hash, Refusal.WrongEpoch, $"The answer of '{message.Site}' belongs to another epoch");
            EpochTranscript.Same(answer.Set, set, Refusal.AnotherSet, $"'{message.Site}' answered for another set of contributors");
            if (answer.Opening != request.Opening || !answer.Active.SequenceEqual(request.Active)) throw new ProtocolException(Refusal.AnotherOpening, $"'{message.Site}' answered for another opening or active set.");
            if (!certificate.Qualified.Contains(answer.Index)) throw new ProtocolException(Refusal.WrongActiveSet, $"'{message.Site}' answered, and holds no share of the epoch.");
            seen.Add(answer.Index);
        }

        if (!seen.SetEquals(request.Active)) throw new ProtocolException(Refusal.WrongActiveSet, "Not all of the active set, or others, have answered.");
        return request;
    }
}
