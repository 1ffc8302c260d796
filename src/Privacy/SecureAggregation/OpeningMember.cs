using System.Security.Cryptography;
using Federation.Privacy.Homomorphic;
using Federation.Privacy.Mechanisms;

namespace Federation.Privacy.SecureAggregation;

/// <summary>What the coordinator asks of a member: to open the sum of these contributions together with these members.</summary>
/// <param name="Round">The descriptor itself.</param>
/// <param name="Contributions">Each contributor's signed header and the packed c₁ of its key ciphertext.</param>
/// <param name="Active">A: t members, rising.</param>
public sealed record OpeningRequest(Opening Opening, RoundDescriptor Round, IReadOnlyList<(SignedMessage Header, byte[] Second)> Contributions, IReadOnlyList<int> Active);

/// <summary>One member's part in openings: all checks of an opening, then one answer. No I/O: the host makes the record durable before the answer leaves.</summary>
/// <param name="identity">The site's key, which signs answers; not disposed.</param>
/// <param name="random">Of smudges; not disposed.</param>
public sealed class OpeningMember(EpochCertificate certificate, CommitteeShare share, Roster roster, CommitteePolicy policy, ECDsa identity, SecureRandom random)
{
    private readonly RnsRing _ring = certificate.Descriptor.Parameters.DataRing;

    /// <param name="record">As it is stored.</param>
    /// <returns>The record to store, and the answer that may leave once it is. A request answered before gives the stored answer and the same record.</returns>
    /// <exception cref="ProtocolException">A check failed; nothing is answered.</exception>
    public (OpeningRecord Record, SignedOpeningAnswer Answer) Answer(OpeningRequest request, OpeningRecord record)
    {
        if (!share.CertificateHash.AsSpan().SequenceEqual(certificate.Hash) || request.Opening.Epoch != certificate.Descriptor.Epoch) throw new ProtocolException(Refusal.WrongEpoch, $"This member's share is of epoch {certificate.Descriptor.Epoch}, asked for is epoch {request.Opening.Epoch}.");
        if (request.Opening.Purpose == Opening.Test) throw new ProtocolException(Refusal.AnotherOpening, "A test is computed by each member itself, never asked for with ciphertexts.");
        CheckActive(request.Active);
        byte[] round = request.Round.Hash();
        List<ContributionHeader> headers = [.. request.Contributions.Select(contribution => Header(request, round, contribution.Header))];
        CheckSet(request.Round, headers);
        byte[] set = ContributionHeader.SetHash(headers);
        if (record.Answered(request.Opening, set, request.Active) is { } stored) return (record, Answer(request.Opening, request.Active, set, stored, record));
        record.Check(request.Opening, request.Round.Model, set, policy);

        byte[] packed = Part(request.Opening, request.Active, set, Sum(request, headers), headers.Count);
        OpeningRecord next = record.With(request.Opening, request.Round.Model, set, request.Active, packed);
        return (next, Answer(request.Opening, request.Active, set, packed, next));
    }

    /// <summary>Step 5 of an epoch: this member's part in opening <see cref="EpochTest"/>, which it computes itself. For one active set only.</summary>
    /// <inheritdoc cref="Answer(OpeningRequest, OpeningRecord)"/>
    public (OpeningRecord Record, SignedOpeningAnswer Answer) AnswerTest(IReadOnlyList<int> active, OpeningRecord record)
    {
        CheckActive(active);
        Opening opening = EpochTest.Opening(certificate);
        Ciphertext test = EpochTest.Ciphertext(certificate);
        byte[] set = EpochTest.SetHash(test);
        if (record.Answered(opening, set, active) is { } stored) return (record, Answer(opening, active, set, stored, record));
        if (record.HasAnswered(opening)) throw new ProtocolException(Refusal.TooManyActiveSets, $"The test of epoch {opening.Epoch} was answered for another active set.");
        byte[] packed = Part(opening, active, set, test.Second, 1);
        OpeningRecord next = record.With(opening, certificate.Hash, set, active, packed);
        return (next, Answer(opening, active, set, packed, next));
    }

    /// <summary>d_i = λ_i(A)·share_i·c₁ + smudge_i + z_i, packed.</summary>
    private byte[] Part(Opening opening, IReadOnlyList<int> active, byte[] set, ReadOnlySpan<ulong> second, int contributions)
    {
        int noise = PartialDecryption.NoiseBits(_ring.Degree, contributions, share.Members.Count);
        if (!PartialDecryption.Fits(noise, share.Threshold)) throw new ProtocolException(Refusal.TooManyContributors, $"{contributions} contributions leave no room for the smudges of {share.Threshold} members.");
        using SecretWords part = new(_ring.Words);
        PartialDecryption.Multiply(_ring, ShamirSharing.Lagrange(_ring, share.Index, active), share.Words, second, part.Span);
        PartialDecryption.AddSmudge(random, _ring, noise, part.Span);
        PartialDecryption.AddZeroShare(_ring, share.Index, active, share.ZeroShareKeys, PartialDecryption.Context(opening, certificate.Hash, set, active), part.Span);
        return PackedElement.Pack(_ring, part.Span);
    }

    private SignedOpeningAnswer Answer(Opening opening, IReadOnlyList<int> active, byte[] set, byte[] part, OpeningRecord record)
    {
        OpeningAnswer answer = new(opening, certificate.Hash, set, active, share.Index, SHA256.HashData(part), record.Count, record.Head);
        return new(SignedMessage.Sign(certificate.Descriptor.Members[share.Index - 1], identity, answer.Encode()), part);
    }

    private void CheckActive(IReadOnlyList<int> active)
    {
        bool rises = active.Zip(active.Skip(1)).All(pair => pair.First < pair.Second);
        if (active.Count != share.Threshold || !rises || !active.Contains(share.Index) || !active.All(member => member == share.Index || share.ZeroShareKeys.ContainsKey(member)))
        {
            throw new ProtocolException(Refusal.WrongActiveSet, $"The active set {{{string.Join(", ", active)}}} is not {share.Threshold} distinct members of {{{string.Join(", ", share.Members)}}} with {share.Index} among them.");
        }
    }

    private ContributionHeader Header(OpeningRequest request, byte[] round, SignedMessage message)
    {
        ContributionHeader header = EpochTranscript.Decoded(() => ContributionHeader.Decode(message.Verify(roster)));
        if (header.Site != message.Site) throw new ProtocolException(Refusal.WrongSignature, $"'{message.Site}' signed the contribution of '{header.Site}'.");
        if (header.Opening != request.Opening) throw new ProtocolException(Refusal.AnotherOpening, $"'{header.Site}' contributed to the {header.Opening}, not to the {request.Opening}.");
        EpochTranscript.Same(header.Certificate, certificate.Hash, Refusal.WrongEpoch, $"'{header.Site}' encrypted under another epoch's key");
        EpochTranscript.Same(header.Round, round, Refusal.AnotherOpening, $"'{header.Site}' contributed to a round of another description");
        return header;
    }

    private void CheckSet(RoundDescriptor round, List<ContributionHeader> headers)
    {
        HashSet<string> cohort = [.. round.Cohort], sites = [], keys = [];
        foreach (ContributionHeader header in headers)
        {
            if (!cohort.Contains(header.Site)) throw new ProtocolException(Refusal.NotInCohort, $"'{header.Site}' is not in the round's cohort.");
            if (!sites.Add(header.Site)) throw new ProtocolException(Refusal.DuplicateSite, $"'{header.Site}' is in the set twice.");
            if (!keys.Add(Convert.ToHexString(header.First)) | !keys.Add(Convert.ToHexString(header.Second))) throw new ProtocolException(Refusal.ReplayedCiphertext, $"The key ciphertext of '{header.Site}' is another site's too.");
        }

        int least = Math.Max(Math.Max(round.MinContributors, policy.MinContributors), CommitteePolicy.FewestContributors);
        if (headers.Count < least) throw new ProtocolException(Refusal.TooFewContributors, $"{headers.Count} sites contributed; a sum of fewer than {least} is not opened.");
        if (headers.Count > round.Cohort.Count) throw new ProtocolException(Refusal.TooManyContributors, $"{headers.Count} sites contributed, the cohort has {round.Cohort.Count}.");
    }

    /// <summary>Σc₁, summed here from signed contributions.</summary>
    private ulong[] Sum(OpeningRequest request, List<ContributionHeader> headers)
    {
        ulong[] sum = new ulong[_ring.Words];
        for (int i = 0; i < headers.Count; i++)
        {
            byte[] second = request.Contributions[i].Second;
            EpochTranscript.Same(SHA256.HashData(second), headers[i].Second, Refusal.ReplayedCiphertext, $"The c₁ of '{headers[i].Site}' is not the one that it signed");
            _ring.Add(sum, EpochTranscript.Decoded(() => PackedElement.Unpack(_ring, second)));
        }

        return sum;
    }
}
