using System.Security.Cryptography;
using Federation.Privacy.Homomorphic;
using Federation.Privacy.Mechanisms;

namespace Federation.Privacy.SecureAggregation;

/// <summary>
/// One member's part in openings: all checks, then one answer, which is durable before it is given. It owns the record: one U for an opening and for a model also holds where requests come at once.
/// </summary>
public sealed class OpeningMember
{
    private readonly EpochCertificate _certificate;
    private readonly CommitteeShare _share;
    private readonly Roster _roster;
    private readonly CommitteePolicy _policy;
    private readonly ECDsa _identity;
    private readonly SecureRandom _random;
    private readonly Action<OpeningEntry> _store;
    private readonly RnsRing _ring;
    private readonly List<IReadOnlyList<string>> _statistics;
    private readonly List<(string Purpose, IReadOnlyList<string> Sites)> _sets;
    private bool _uncertain;
    private CheckedRequest? _checked;

    /// <param name="roster">The epoch's.</param>
    /// <param name="identity">The site's key, which signs answers; not disposed.</param>
    /// <param name="random">Of smudges; not disposed.</param>
    /// <param name="record">As it is stored.</param>
    /// <param name="store">Makes an entry durable, or throws; then nothing is answered any more, until the record has been read again.</param>
    /// <param name="statistics">The sets of sites whose statistics this member has answered for, in whatever run.</param>
    /// <param name="sets">The sets of contributors that this member has answered for in the run, by purpose.</param>
    /// <exception cref="ProtocolException">The certificate does not hold before roster and policy, or the share is of another epoch.</exception>
    public OpeningMember(EpochCertificate certificate, CommitteeShare share, Roster roster, CommitteePolicy policy, ECDsa identity, SecureRandom random, OpeningRecord record, Action<OpeningEntry> store, IEnumerable<IReadOnlyList<string>>? statistics = null, IEnumerable<(string Purpose, IReadOnlyList<string> Sites)>? sets = null)
    {
        certificate.Verify(roster, policy);
        if (!share.CertificateHash.AsSpan().SequenceEqual(certificate.Hash)) throw new ProtocolException(Refusal.WrongEpoch, $"This member's share is not of epoch {certificate.Descriptor.Epoch}.");
        (_certificate, _share, _roster, _policy, _identity, _random, Record, _store) = (certificate, share, roster, policy, identity, random, record, store);
        (_statistics, _sets) = ([.. statistics ?? []], [.. sets ?? []]);
        _ring = certificate.Descriptor.Parameters.DataRing;
    }

    /// <summary>What has been answered.</summary>
    public OpeningRecord Record { get; private set; }

    private sealed record CheckedRequest(OpeningRequest Request, List<ContributionHeader> Headers);

    /// <summary>Bytes of all c₁ of a request, one after the other.</summary>
    public long SecondsLength(OpeningRequest request) => (long)request.Contributions.Count * PackedElement.Length(_ring);

    /// <param name="seconds">The packed c₁ of each contribution's key ciphertext, in the order of the request; read only for a new answer, one after the other.</param>
    /// <returns>The answer; for a request answered before, with the stored part.</returns>
    /// <exception cref="ProtocolException">A check failed; nothing is answered.</exception>
    public SignedOpeningAnswer Answer(OpeningRequest request, IEnumerable<byte[]> seconds)
    {
        if (Answered(request) is { } before) return before;
        List<ContributionHeader> headers = HeadersOf(request);
        byte[] set = ContributionHeader.SetHash(headers);
        ulong[] sum = Sum(headers, seconds); // as slow as whoever sends them: without the gate
        lock (_share.Gate)
        {
            return Before(request, headers, set) ?? Give(request.Opening, request.Round.Model, set, request.Active, sum, headers.Count, [.. headers.Select(header => header.Site)]);
        }
    }

    /// <summary>Everything that can be checked without the ciphertexts.</summary>
    /// <returns>The answer to a request answered before; null: a new one needs the ciphertexts.</returns>
    /// <exception cref="ProtocolException">A check failed; nothing is answered.</exception>
    public SignedOpeningAnswer? Answered(OpeningRequest request)
    {
        List<ContributionHeader> headers = HeadersOf(request);
        lock (_share.Gate) return Before(request, headers, ContributionHeader.SetHash(headers));
    }

    private List<ContributionHeader> HeadersOf(OpeningRequest request)
    {
        if (_checked is { } known && ReferenceEquals(known.Request, request)) return known.Headers; // a thousand signatures, once
        if (request.Opening.Epoch != _certificate.Descriptor.Epoch) throw new ProtocolException(Refusal.WrongEpoch, $"This member's share is of epoch {_certificate.Descriptor.Epoch}, asked for is epoch {request.Opening.Epoch}.");
        if (request.Opening.Purpose == Opening.Test) throw new ProtocolException(Refusal.AnotherOpening, "A test is computed by each member itself, never asked for with ciphertexts.");
        CheckActive(request.Active);
        SiteRound round = new(request.Opening, request.Round, _certificate);
        List<ContributionHeader> headers = [.. request.Contributions.Select(contribution => ContributionFile.Header(contribution, round, _roster))];
        CheckSet(request.Round, headers);
        _checked = new(request, headers);
        return headers;
    }

    private SignedOpeningAnswer? Before(OpeningRequest request, List<ContributionHeader> headers, byte[] set)
    {
        if (Record.Answered(request.Opening, set, request.Active) is { } stored) return Signed(request.Opening, request.Active, set, stored);
        Record.Check(request.Opening, request.Round.Model, set, _policy);
        string[] sites = [.. headers.Select(header => header.Site)];
        if (request.Opening.IsStatistics) StatisticsRule.Check(sites, _statistics, Least(request.Round));
        else if (_policy.AreSetsApart) ContributorSetsRule.Check(request.Opening, sites, _sets.Where(set => set.Purpose == request.Opening.Purpose).Select(set => set.Sites), Least(request.Round));
        return null;
    }

    /// <summary>Step 5 of an epoch: this member's part in opening <see cref="EpochTest"/>, which it computes itself. For one active set only.</summary>
    /// <exception cref="ProtocolException">A check failed; nothing is answered.</exception>
    public SignedOpeningAnswer AnswerTest(IReadOnlyList<int> active)
    {
        CheckActive(active);
        Opening opening = EpochTest.Opening(_certificate);
        Ciphertext test = EpochTest.Ciphertext(_certificate);
        byte[] set = EpochTest.SetHash(test);
        lock (_share.Gate)
        {
            if (Record.Answered(opening, set, active) is { } stored) return Signed(opening, active, set, stored);
            if (Record.HasAnswered(opening, set)) throw new ProtocolException(Refusal.TooManyActiveSets, $"The test of epoch {opening.Epoch} was answered for another active set.");
            return Give(opening, _certificate.Hash, set, active, test.Second, 1);
        }
    }

    /// <summary>Durable first, then known here, then given.</summary>
    private SignedOpeningAnswer Give(Opening opening, byte[] model, byte[] set, IReadOnlyList<int> active, ReadOnlySpan<ulong> second, int contributions, IReadOnlyList<string>? sites = null)
    {
        if (_uncertain) throw new ProtocolException(Refusal.UnexpectedMessage, "An entry could not be stored: the record has to be read again before anything new is answered.");
        byte[] part = Part(opening, active, set, second, contributions);
        OpeningRecord next = Record.With(opening, model, set, active, part);
        _uncertain = true;
        _store(next.Last with { Purpose = opening.Purpose, Contributors = sites });
        if (sites is not null && opening.IsStatistics) _statistics.Add(sites);
        else if (sites is not null) _sets.Add((opening.Purpose, sites));
        (_uncertain, Record) = (false, next);
        return Signed(opening, active, set, part);
    }

    /// <summary>d_i = λ_i(A)·share_i·c₁ + smudge_i + z_i, packed.</summary>
    private byte[] Part(Opening opening, IReadOnlyList<int> active, byte[] set, ReadOnlySpan<ulong> second, int contributions)
    {
        int noise = PartialDecryption.NoiseBits(_ring.Degree, contributions, _share.Members.Count);
        if (!PartialDecryption.Fits(noise, _share.Threshold)) throw new ProtocolException(Refusal.TooManyContributors, $"{contributions} contributions leave no room for the smudges of {_share.Threshold} members.");
        using SecretWords part = new(_ring.Words);
        PartialDecryption.Multiply(_ring, ShamirSharing.Lagrange(_ring, _share.Index, active), _share.Words, second, part.Span);
        PartialDecryption.AddSmudge(_random, _ring, noise, part.Span);
        PartialDecryption.AddZeroShare(_ring, _share.Index, active, _share.ZeroShareKeys, PartialDecryption.Context(opening, _certificate.Hash, set, active), part.Span);
        return PackedElement.Pack(_ring, part.Span);
    }

    private SignedOpeningAnswer Signed(Opening opening, IReadOnlyList<int> active, byte[] set, byte[] part)
    {
        OpeningAnswer answer = new(opening, _certificate.Hash, set, active, _share.Index, SHA256.HashData(part), Record.Count, Record.Head);
        return new(SignedMessage.Sign(_certificate.Descriptor.Members[_share.Index - 1], _identity, answer.Encode()), part);
    }

    private void CheckActive(IReadOnlyList<int> active)
    {
        bool rises = active.Zip(active.Skip(1)).All(pair => pair.First < pair.Second);
        if (active.Count != _share.Threshold || !rises || !active.Contains(_share.Index) || !active.All(member => member == _share.Index || _share.ZeroShareKeys.ContainsKey(member)))
        {
            throw new ProtocolException(Refusal.WrongActiveSet, $"The active set {{{string.Join(", ", active)}}} is not {_share.Threshold} distinct members of {{{string.Join(", ", _share.Members)}}} with {_share.Index} among them.");
        }
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

        int least = Least(round);
        if (headers.Count < least) throw new ProtocolException(Refusal.TooFewContributors, $"{headers.Count} sites contributed; a sum of fewer than {least} is not opened.");
        if (headers.Count > round.Cohort.Count) throw new ProtocolException(Refusal.TooManyContributors, $"{headers.Count} sites contributed, the cohort has {round.Cohort.Count}.");
    }

    private int Least(RoundDescriptor round) => Math.Max(Math.Max(round.MinContributors, _policy.MinContributors), CommitteePolicy.FewestContributors);

    /// <summary>Σc₁, summed here from signed contributions.</summary>
    private ulong[] Sum(List<ContributionHeader> headers, IEnumerable<byte[]> seconds)
    {
        ulong[] sum = new ulong[_ring.Words], element = new ulong[_ring.Words];
        int count = 0;
        foreach (byte[] second in seconds)
        {
            if (count == headers.Count) throw new ProtocolException(Refusal.TooManyContributors, $"More than {headers.Count} ciphertexts came.");
            EpochTranscript.Same(SHA256.HashData(second), headers[count].Second, Refusal.ReplayedCiphertext, $"The c₁ of '{headers[count].Site}' is not the one that it signed");
            EpochTranscript.Decoded(() =>
            {
                PackedElement.Unpack(_ring, second, element);
                return 0;
            });
            _ring.Add(sum, element);
            count++;
        }

        return count == headers.Count ? sum : throw new ProtocolException(Refusal.Malformed, $"{count} of {headers.Count} ciphertexts came.");
    }
}
