using System.Security.Cryptography;
using Federation.Privacy.Homomorphic;
using Federation.Privacy.Mechanisms;

namespace Federation.Privacy.SecureAggregation;

/// <summary>
/// One member's part in one attempt at a key epoch. Each step takes what the coordinator relays and gives what to send; a refusal changes nothing. No I/O, no clock.
/// Dispose erases everything but what <see cref="Finish"/> gave: after a failed attempt nothing is left, and the next one begins anew.
/// </summary>
/// <remarks>Distributed key generation of Mouchet, Troncoso-Pastoriza, Bossuat, Hubaux 2021 with Shamir shares as in Mouchet, Bertrand, Hubaux 2022; commitments before any reveal.</remarks>
public sealed class EpochMember : IDisposable
{
    private readonly Roster _roster;
    private readonly CommitteePolicy _policy;
    private readonly ECDsa _identity;
    private readonly SecureRandom _random;
    private readonly ShareEncryption _agreement = new();
    private readonly RnsRing _keyRing, _dataRing;
    private readonly Dictionary<int, SecretWords> _shares = []; // by who sent them
    private readonly SecretWords _secret;
    private readonly string _site;

    private Step _step;
    private SignedMessage? _answer, _commitment;
    private SortedDictionary<int, EpochAnswer> _answers = [];
    private SortedDictionary<int, EpochCommitment> _commitments = [];
    private byte[] _answersHash = [], _transcript = [], _ownPart = [];
    private IReadOnlyList<int> _qualified = [];
    private EpochCertificate? _certificate;

    /// <param name="identity">The site's key; not disposed.</param>
    /// <param name="random">Of secrets and errors; not disposed.</param>
    /// <exception cref="ProtocolException">The descriptor is for another roster, names a site outside it, is weaker than the policy, or leaves this site out.</exception>
    public EpochMember(EpochDescriptor descriptor, Roster roster, CommitteePolicy policy, string site, ECDsa identity, SecureRandom random)
    {
        if (descriptor.RosterHash != roster.Hash) throw new ProtocolException(Refusal.WrongRoster, $"Epoch {descriptor.Epoch} is for roster {descriptor.RosterHash}, this site has {roster.Hash}.");
        if (descriptor.Members.FirstOrDefault(member => !roster.Sites.ContainsKey(member)) is { } unknown) throw new ProtocolException(Refusal.NotInRoster, $"The member '{unknown}' is not in roster {roster.Version}.");
        policy.Check(descriptor, roster);
        Index = descriptor.Members.ToList().IndexOf(site) + 1;
        if (Index == 0) throw new ProtocolException(Refusal.NotInRoster, $"'{site}' is not a member of epoch {descriptor.Epoch}.");
        (Descriptor, _roster, _policy, _site, _identity, _random) = (descriptor, roster, policy, site, identity, random);
        (_keyRing, _dataRing) = (descriptor.Parameters.KeyRing, descriptor.Parameters.DataRing);
        _secret = new(_keyRing.Words);
    }

    private enum Step
    {
        Begin,
        Answered,
        Committed,
        Accepted,
        Qualified,
        Revealed,
        Certified,
        Finished,
        Erased,
    }

    public EpochDescriptor Descriptor { get; }

    /// <summary>1 … k.</summary>
    public int Index { get; }

    /// <summary>Step 0.</summary>
    public SignedMessage Answer()
    {
        Expect(Step.Begin);
        byte[] nonce = new byte[EpochAnswer.NonceBytes];
        _random.Fill(nonce);
        _answer = Sign(new EpochAnswer(SHA256.HashData(Descriptor.Encode()), Index, nonce, _agreement.PublicKey).Encode());
        _step = Step.Answered;
        return _answer;
    }

    /// <summary>Step 1.</summary>
    /// <param name="answers">Of all candidates, this one's among them.</param>
    /// <returns>The commitment, and the encrypted share for each other candidate.</returns>
    public (SignedMessage Commitment, IReadOnlyDictionary<int, byte[]> Shares) Commit(IEnumerable<SignedMessage> answers)
    {
        Expect(Step.Answered);
        SortedDictionary<int, EpochAnswer> candidates = [];
        foreach (SignedMessage message in answers)
        {
            EpochAnswer answer = EpochTranscript.Answer(Descriptor, _roster, message);
            if (!candidates.TryAdd(answer.Index, answer)) throw new ProtocolException(Refusal.DuplicateSite, $"'{message.Site}' answered twice.");
        }

        if (!candidates.TryGetValue(Index, out EpochAnswer? own) || !own.Encode().AsSpan().SequenceEqual(_answer!.Body.Span)) throw new ProtocolException(Refusal.DifferentTranscripts, "This member's own answer is not among the answers.");
        Enough(candidates.Count, "answered");
        _answers = candidates;
        _answersHash = EpochTranscript.Answers(Descriptor, [.. candidates.Values]);

        BfvKeys.Ternary(_random, _keyRing, _secret.Span);
        _ownPart = PublicPart();
        Dictionary<int, byte[]> encrypted = Shares();
        _commitment = Sign(new EpochCommitment(_answersHash, Index, EpochTranscript.PartHash(_answersHash, Index, _ownPart), [.. encrypted.OrderBy(share => share.Key).Select(share => (share.Key, SHA256.HashData(share.Value)))]).Encode());
        _step = Step.Committed;
        return (_commitment, encrypted);
    }

    /// <summary>Between 1 and 2: which shares arrived, opened and are in range.</summary>
    /// <param name="commitments">Of all candidates that sent one in time.</param>
    /// <param name="shares">For this member, by sender.</param>
    public SignedMessage Accept(IEnumerable<SignedMessage> commitments, IReadOnlyDictionary<int, byte[]> shares)
    {
        Expect(Step.Committed);
        SortedDictionary<int, EpochCommitment> all = [];
        foreach (SignedMessage message in commitments)
        {
            EpochCommitment commitment = EpochTranscript.Commitment(Descriptor, _roster, _answersHash, _answers.Keys, message);
            if (!all.TryAdd(commitment.Index, commitment)) throw new ProtocolException(Refusal.DuplicateSite, $"'{message.Site}' committed twice.");
        }

        if (!all.TryGetValue(Index, out EpochCommitment? own) || !own.Encode().AsSpan().SequenceEqual(_commitment!.Body.Span)) throw new ProtocolException(Refusal.DifferentTranscripts, "This member's own commitment is not among the commitments.");
        _commitments = all;
        foreach (EpochCommitment commitment in all.Values.Where(commitment => commitment.Index != Index))
        {
            if (shares.TryGetValue(commitment.Index, out byte[]? encrypted) && OpenShare(commitment, encrypted) is { } share) _shares[commitment.Index] = share;
        }

        _step = Step.Accepted;
        return Sign(new EpochAcceptance(_answersHash, Index, [.. _shares.Keys.Order()]).Encode());
    }

    /// <summary>Step 2: signs Q, if every member of it sent this one a good share.</summary>
    /// <param name="qualified">Q, rising.</param>
    public SignedMessage Qualify(IReadOnlyList<int> qualified)
    {
        Expect(Step.Accepted);
        for (int i = 1; i < qualified.Count; i++)
        {
            if (qualified[i] <= qualified[i - 1]) throw new ProtocolException(Refusal.Malformed, "The indices of Q must rise.");
        }

        if (!qualified.Contains(Index)) throw new ProtocolException(Refusal.WrongActiveSet, "This member is not in Q.");
        foreach (int other in qualified)
        {
            if (!_shares.ContainsKey(other)) throw new ProtocolException(Refusal.WrongShare, $"Member {other} is in Q, but its share did not arrive here, did not open or is out of range.");
        }

        Enough(qualified.Count, "qualified");
        _qualified = [.. qualified];
        _transcript = EpochTranscript.Qualified(_answersHash, [.. _commitments.Values], _qualified);
        _step = Step.Qualified;
        return Sign(new EpochQualification(_transcript, Index).Encode());
    }

    /// <summary>Step 3: shows b_i, now that all of Q have signed one transcript.</summary>
    public EpochReveal Reveal(IEnumerable<SignedMessage> qualifications)
    {
        Expect(Step.Qualified);
        SortedSet<int> signed = [];
        foreach (SignedMessage message in qualifications) signed.Add(EpochTranscript.Qualification(Descriptor, _roster, _transcript, message));

        if (!signed.SetEquals(_qualified)) throw new ProtocolException(Refusal.DifferentTranscripts, $"{signed.Count} of {_qualified.Count} members of Q have signed what this member saw.");
        _step = Step.Revealed;
        return new(_transcript, Index, _ownPart);
    }

    /// <summary>Step 4: signs the epoch's key.</summary>
    /// <exception cref="ProtocolException">A reveal is missing or is not what was committed to: the attempt is over, dispose this.</exception>
    public SignedMessage Certify(IEnumerable<EpochReveal> reveals)
    {
        Expect(Step.Revealed);
        SortedDictionary<int, EpochReveal> seen = [];
        foreach (EpochReveal reveal in reveals)
        {
            if (!_qualified.Contains(reveal.Index) || !seen.TryAdd(reveal.Index, reveal)) throw new ProtocolException(Refusal.WrongReveal, $"Member {reveal.Index} is not in Q, or revealed twice.");
        }

        if (seen.Count != _qualified.Count) throw new ProtocolException(Refusal.WrongReveal, $"{_qualified.Count - seen.Count} members of Q did not reveal.");
        _certificate = EpochCertificate.Of(Descriptor, _answersHash, _transcript, _qualified, _commitments, seen.Values);
        _step = Step.Certified;
        return Sign(_certificate.Body);
    }

    /// <summary>The end of step 4: the certificate, and this member's share for the store. Everything else can be disposed.</summary>
    /// <param name="signatures">Of all of Q, under the certificate.</param>
    public (EpochCertificate Certificate, CommitteeShare Share) Finish(IEnumerable<SignedMessage> signatures)
    {
        Expect(Step.Certified);
        EpochCertificate certificate = _certificate!.Signed(signatures);
        certificate.Verify(_roster, _policy);
        SecretWords sum = new(_dataRing.Words);
        foreach (int member in _qualified) _dataRing.Add(sum.Span, _shares[member].Span);
        Dictionary<int, SecretMemory<byte>> keys = _qualified.Where(member => member != Index).ToDictionary(member => member, member => _agreement.ZeroShareKey(_answers[member].AgreementKey, _answersHash, Index, member));
        _step = Step.Finished;
        return (certificate, new(certificate.Hash, Index, Descriptor.Threshold, _qualified, sum, keys));
    }

    public void Dispose()
    {
        _step = Step.Erased;
        _secret.Dispose();
        _agreement.Dispose();
        foreach (SecretWords share in _shares.Values) share.Dispose();
        _shares.Clear();
    }

    private SignedMessage Sign(byte[] body) => SignedMessage.Sign(_site, _identity, body);

    private void Expect(Step step)
    {
        if (_step != step) throw new ProtocolException(Refusal.UnexpectedMessage, $"This member is at step '{_step}', not at '{step}'.");
    }

    private void Enough(int count, string what)
    {
        int fewest = _policy.FewestQualified(Descriptor);
        if (count < fewest) throw new ProtocolException(Refusal.BelowPolicy, $"{count} members {what}; {fewest} are needed.");
    }

    /// <summary>b_i = −(a·s_i + e_i), packed.</summary>
    private byte[] PublicPart()
    {
        ulong[] part = new ulong[_keyRing.Words];
        BfvKeys.PublicPart(_random, _keyRing, _secret.Span, Expansion.Element(_answersHash, _keyRing), part);
        return PackedElement.Pack(_keyRing, part);
    }

    /// <summary>f_i(j), encrypted, for each other candidate; its own is kept.</summary>
    private Dictionary<int, byte[]> Shares()
    {
        using ShamirSharing sharing = new(_dataRing, _secret.Span[.._dataRing.Words], Descriptor.Threshold, _random);
        byte[] packed = GC.AllocateArray<byte>(PackedElement.Length(_dataRing), pinned: true);
        Dictionary<int, byte[]> encrypted = [];
        using SecretWords share = new(_dataRing.Words);
        foreach ((int other, EpochAnswer answer) in _answers)
        {
            sharing.Share(other, share.Span);
            if (other == Index)
            {
                _shares[Index] = new(_dataRing.Words);
                share.Span.CopyTo(_shares[Index].Span);
                continue;
            }

            PackedElement.Pack(_dataRing, share.Span, packed);
            encrypted[other] = _agreement.Encrypt(answer.AgreementKey, _answersHash, Index, other, packed);
        }

        CryptographicOperations.ZeroMemory(packed);
        return encrypted;
    }

    private SecretWords? OpenShare(EpochCommitment commitment, byte[] encrypted)
    {
        if (!SHA256.HashData(encrypted).AsSpan().SequenceEqual(commitment.ShareHashes.Single(share => share.To == Index).Hash)) return null;
        byte[] packed = GC.AllocateArray<byte>(PackedElement.Length(_dataRing), pinned: true);
        SecretWords share = new(_dataRing.Words);
        try
        {
            if (!_agreement.TryDecrypt(_answers[commitment.Index].AgreementKey, _answersHash, commitment.Index, Index, encrypted, packed)) return null;
            PackedElement.Unpack(_dataRing, packed, share.Span);
            return share;
        }
        catch (FormatException)
        {
            share.Dispose();
            return null; // not in range
        }
        finally
        {
            CryptographicOperations.ZeroMemory(packed);
        }
    }
}
