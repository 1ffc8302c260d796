using System.Security.Cryptography;
using Federation.Privacy.Homomorphic;

namespace Federation.Privacy.SecureAggregation;

/// <summary>What an attempt at an epoch waits for.</summary>
public enum EpochStep
{
    /// <summary>Step 0: who is there.</summary>
    Answers = 0,

    /// <summary>Step 1: commitments, and the encrypted shares beside them.</summary>
    Commitments,

    /// <summary>Whose shares each member could open.</summary>
    Acceptances,

    /// <summary>Step 2: signatures of all of Q under what they saw.</summary>
    Qualifications,

    /// <summary>Step 3: every b_i.</summary>
    Reveals,

    /// <summary>Step 4: signatures of all of Q under the certificate.</summary>
    Signatures,

    /// <summary>The certificate is there.</summary>
    Finished,

    /// <summary>The attempt is over; see <see cref="EpochCoordinator.Failure"/>.</summary>
    Failed,
}

/// <summary>
/// The coordinator's part in one attempt at a key epoch: collects each step's messages, and at <see cref="Close"/> goes on with those that came or ends the attempt. No I/O, no clock, no secret.
/// Encrypted shares are checked against the hashes in their sender's commitment and not kept: the host relays them.
/// </summary>
/// <remarks>A refused message changes nothing; a member whose message never comes right counts as missing. After a restart of the coordinator the attempt is lost, and the next one begins.</remarks>
public sealed class EpochCoordinator(EpochDescriptor descriptor, Roster roster, CommitteePolicy policy)
{
    private readonly SortedDictionary<int, SignedMessage> _answers = [], _commitments = [], _qualifications = [], _signatures = [];
    private readonly SortedDictionary<int, EpochCommitment> _committed = [];
    private readonly SortedDictionary<int, uint> _accepted = []; // bit j: the shares of member j were accepted
    private readonly SortedDictionary<int, uint> _arrived = []; // bit j: the share for member j arrived
    private readonly SortedDictionary<int, EpochReveal> _reveals = [];
    private IReadOnlyList<int> _expected = [.. Enumerable.Range(1, descriptor.Members.Count)];
    private byte[] _answersHash = [], _transcript = [];
    private EpochCertificate? _unsigned;

    public EpochDescriptor Descriptor => descriptor;

    public EpochStep Step { get; private set; }

    /// <summary>Members from whom this step still waits for something, rising. Empty: <see cref="Close"/> need not wait for the deadline.</summary>
    public IReadOnlyList<int> Awaited => [.. _expected.Where(member => !Came(member))];

    /// <summary>After step 0, for all candidates: in the order of indices.</summary>
    public IReadOnlyList<SignedMessage> Answers => [.. _answers.Values];

    /// <summary>After step 1, for all candidates, each with the shares for it.</summary>
    public IReadOnlyList<SignedMessage> Commitments => [.. _commitments.Values];

    /// <summary>Q, rising; empty before it is chosen.</summary>
    public IReadOnlyList<int> Qualified { get; private set; } = [];

    /// <summary>After step 2, for all of Q.</summary>
    public IReadOnlyList<SignedMessage> Qualifications => [.. _qualifications.Values];

    /// <summary>After step 3, for all of Q.</summary>
    public IReadOnlyList<EpochReveal> Reveals => [.. _reveals.Values];

    /// <summary>After step 4: the signed certificate, for everybody.</summary>
    public EpochCertificate? Certificate { get; private set; }

    /// <summary>Why the attempt ended, with the names of the members; null while it goes on.</summary>
    public string? Failure { get; private set; }

    /// <summary>The members of Q that did not go on once Q was fixed: the next attempt leaves them out.</summary>
    public IReadOnlyList<string> Dropped { get; private set; } = [];

    /// <summary>A member's signed message of this step. The same message again is accepted.</summary>
    /// <exception cref="ProtocolException">It is not what this step waits for from this member.</exception>
    public void Receive(SignedMessage message)
    {
        switch (Step)
        {
            case EpochStep.Answers:
                Keep(_answers, EpochTranscript.Answer(descriptor, roster, message).Index, message);
                break;
            case EpochStep.Commitments:
                EpochCommitment commitment = EpochTranscript.Commitment(descriptor, roster, _answersHash, _expected, message);
                Keep(_commitments, commitment.Index, message);
                _committed[commitment.Index] = commitment;
                break;
            case EpochStep.Acceptances:
                EpochAcceptance acceptance = EpochTranscript.Decoded(() => EpochAcceptance.Decode(message.Verify(roster)));
                EpochTranscript.Sender(descriptor, message, acceptance.Index);
                EpochTranscript.Same(acceptance.Answers, _answersHash, Refusal.DifferentTranscripts, $"'{message.Site}' saw other answers");
                Expect(acceptance.Index);
                uint accepted = acceptance.Accepted.Aggregate(0U, (bits, member) => bits | Bit(member));
                if (_accepted.TryGetValue(acceptance.Index, out uint before) && before != accepted) throw Twice(acceptance.Index);
                _accepted[acceptance.Index] = accepted;
                break;
            case EpochStep.Qualifications:
                Keep(_qualifications, EpochTranscript.Qualification(descriptor, roster, _transcript, message), message);
                break;
            case EpochStep.Signatures:
                int signer = descriptor.Members.ToList().IndexOf(message.Site) + 1;
                EpochTranscript.Same(SHA256.HashData(message.Verify(roster)), _unsigned!.Hash, Refusal.DifferentTranscripts, $"'{message.Site}' signed another certificate");
                Keep(_signatures, signer, message);
                break;
            default:
                throw Unexpected("a signed message");
        }
    }

    /// <summary>Step 1: an encrypted share on its way from one candidate to another; the host relays it once this has returned.</summary>
    /// <exception cref="ProtocolException">It is not the share that its sender committed to, or has not the length of one.</exception>
    public void ReceiveShare(int from, int to, ReadOnlySpan<byte> encrypted)
    {
        if (Step != EpochStep.Commitments) throw Unexpected("a share");
        if (!_committed.TryGetValue(from, out EpochCommitment? commitment)) throw new ProtocolException(Refusal.UnexpectedMessage, $"A share of member {from} came before its commitment.");
        byte[] expected = commitment.ShareHashes.FirstOrDefault(share => share.To == to).Hash ?? throw new ProtocolException(Refusal.WrongShare, $"Member {from} has no share for member {to}: it is itself or no candidate.");
        int length = ShareEncryption.Length(PackedElement.Length(descriptor.Parameters.DataRing));
        if (encrypted.Length != length) throw new ProtocolException(Refusal.WrongShare, $"The share of member {from} for member {to} has {encrypted.Length} bytes; a share has {length}."); // all shares for one member travel together: one that is too long would spoil them all
        EpochTranscript.Same(SHA256.HashData(encrypted), expected, Refusal.WrongShare, $"The share of member {from} for member {to} is not the one that it committed to");
        _arrived[from] = _arrived.GetValueOrDefault(from) | Bit(to);
    }

    /// <summary>Step 3.</summary>
    /// <exception cref="ProtocolException">It is not what the member committed to, or the member is not in Q.</exception>
    public void Receive(EpochReveal reveal)
    {
        if (Step != EpochStep.Reveals) throw Unexpected("a reveal");
        Expect(reveal.Index);
        EpochTranscript.Revealed(descriptor, _transcript, reveal, _committed[reveal.Index]);
        _reveals[reveal.Index] = reveal;
    }

    /// <summary>Ends the step: at its deadline, or once <see cref="Awaited"/> is empty.</summary>
    public void Close()
    {
        IReadOnlyList<int> missing = Awaited;
        switch (Step)
        {
            case EpochStep.Answers when Enough(missing, "did not answer"):
                _answersHash = EpochTranscript.Answers(descriptor, [.. _answers.Values.Select(message => EpochAnswer.Decode(message.Body.Span))]);
                break;
            case EpochStep.Commitments when Enough(missing, "did not send a commitment and all shares"):
                foreach (int member in missing)
                {
                    _commitments.Remove(member);
                    _committed.Remove(member);
                }

                break;
            case EpochStep.Acceptances:
                Qualify(missing);
                break;
            case EpochStep.Qualifications when AllOfQ(missing, "did not sign what the others saw"):
            case EpochStep.Reveals when AllOfQ(missing, "did not reveal what it had committed to"):
            case EpochStep.Signatures when AllOfQ(missing, "did not sign the certificate"):
                break;
            case EpochStep.Finished or EpochStep.Failed:
                throw Unexpected("an end");
        }

        if (Step == EpochStep.Failed) return;
        if (Step < EpochStep.Acceptances) _expected = [.. _expected.Except(missing)];
        Step++;
        if (Step == EpochStep.Signatures) _unsigned = EpochCertificate.Of(descriptor, _answersHash, _transcript, Qualified, _committed, _reveals.Values);
        if (Step == EpochStep.Finished) Certificate = _unsigned!.Signed(_signatures.Values);
    }

    /// <summary>The next attempt: without who was dropped, unless too few would be left; then with everybody again, since without them there is no epoch.</summary>
    public EpochDescriptor NextAttempt() => descriptor.NextAttempt(descriptor.Members.Count - Dropped.Count < policy.FewestQualified(descriptor) ? [] : Dropped);

    private static uint Bit(int member) => 1U << (member - 1);

    private bool Came(int member) => Step switch
    {
        EpochStep.Answers => _answers.ContainsKey(member),
        EpochStep.Commitments => _committed.TryGetValue(member, out EpochCommitment? commitment) && commitment.ShareHashes.All(share => (_arrived.GetValueOrDefault(member) & Bit(share.To)) != 0),
        EpochStep.Acceptances => _accepted.ContainsKey(member),
        EpochStep.Qualifications => _qualifications.ContainsKey(member),
        EpochStep.Reveals => _reveals.ContainsKey(member),
        EpochStep.Signatures => _signatures.ContainsKey(member),
        _ => true,
    };

    private void Keep(SortedDictionary<int, SignedMessage> messages, int member, SignedMessage message)
    {
        Expect(member);
        if (messages.TryGetValue(member, out SignedMessage? before) && !before.Body.Span.SequenceEqual(message.Body.Span)) throw Twice(member);
        messages.TryAdd(member, message);
    }

    private void Expect(int member)
    {
        if (!_expected.Contains(member)) throw new ProtocolException(Refusal.UnexpectedMessage, $"Member {member} has no part in step '{Step}' of this attempt.");
    }

    /// <summary>Q: the most members of which each opened the shares of every other.</summary>
    private void Qualify(IReadOnlyList<int> missing)
    {
        uint[] agrees = new uint[descriptor.Members.Count + 1];
        uint all = 0;
        foreach ((int member, uint accepted) in _accepted.Where(entry => (entry.Value & Bit(entry.Key)) != 0))
        {
            all |= Bit(member);
            agrees[member] = _accepted.Where(other => (accepted & Bit(other.Key)) != 0 && (other.Value & Bit(member)) != 0).Aggregate(0U, (bits, other) => bits | Bit(other.Key));
        }

        uint largest = MutualSet.Largest(all, agrees);
        Qualified = [.. _expected.Where(member => (largest & Bit(member)) != 0)];
        int fewest = policy.FewestQualified(descriptor);
        if (Qualified.Count < fewest)
        {
            int[] others = [.. _expected.Except(Qualified).Except(missing)];
            Fail($"{Qualified.Count} members opened each other's shares; {fewest} are needed.{Named(missing, "did not say whose shares they opened")}{Named(others, "disagree with the others about a share")}", []);
            Qualified = [];
            return;
        }

        _transcript = EpochTranscript.Qualified(_answersHash, [.. _committed.Values], Qualified);
        _expected = Qualified;
    }

    private bool Enough(IReadOnlyList<int> missing, string what)
    {
        int left = _expected.Count - missing.Count, fewest = policy.FewestQualified(descriptor);
        if (left < fewest) Fail($"{left} members are left; {fewest} are needed.{Named(missing, what)}", []);
        return left >= fewest;
    }

    private bool AllOfQ(IReadOnlyList<int> missing, string what)
    {
        if (missing.Count > 0) Fail($"The attempt ends, because all of Q must go on.{Named(missing, what)}", [.. missing.Select(Name)]);
        return missing.Count == 0;
    }

    private void Fail(string why, IReadOnlyList<string> dropped) => (Step, Failure, Dropped, _expected) = (EpochStep.Failed, $"Attempt {descriptor.Attempt} at epoch {descriptor.Epoch}: {why}", dropped, []);

    private string Name(int member) => descriptor.Members[member - 1];

    private string Named(IReadOnlyList<int> members, string what) => members.Count == 0 ? "" : $" {string.Join(", ", members.Select(member => $"'{Name(member)}'"))} {what}.";

    private ProtocolException Twice(int member) => new(Refusal.DuplicateSite, $"'{Name(member)}' sent two different messages in step '{Step}'.");

    private ProtocolException Unexpected(string what) => new(Refusal.UnexpectedMessage, $"Step '{Step}' of this attempt does not wait for {what}.");
}
