using Federation.Privacy.SecureAggregation;

namespace Federation.Privacy.Tests.SecureAggregation;

public sealed class EpochMemberTests : IDisposable
{
    private readonly TestFederation _federation = new(4, 3);
    private readonly EpochMember[] _members;
    private readonly List<SignedMessage> _answers;

    public EpochMemberTests()
    {
        _members = [.. Enumerable.Range(1, 4).Select(_federation.Member)];
        _answers = [.. _members.Select(member => member.Answer())];
    }

    public void Dispose()
    {
        foreach (EpochMember member in _members) member.Dispose();
        _federation.Dispose();
    }

    [Fact]
    public void Steps_OutOfOrder_AreRefusedAndChangeNothing()
    {
        Refused(Refusal.UnexpectedMessage, () => _members[0].Answer());
        Refused(Refusal.UnexpectedMessage, () => _members[0].Qualify([1, 2, 3]));
        Refused(Refusal.UnexpectedMessage, () => _members[0].Reveal([]));
        Assert.NotNull(_members[0].Commit(_answers).Commitment);
    }

    [Fact]
    public void Commit_AnswersThatAreNotAll_AreRefused()
    {
        Refused(Refusal.DifferentTranscripts, () => _members[0].Commit(_answers[1..]));
        Refused(Refusal.DuplicateSite, () => _members[0].Commit([.. _answers, _answers[1]]));
        Refused(Refusal.BelowPolicy, () => _members[0].Commit(_answers[..2]));
        EpochMember later = new(_federation.Descriptor.NextAttempt([]), _federation.Roster, _federation.Policy, "site-2", System.Security.Cryptography.ECDsa.Create(System.Security.Cryptography.ECCurve.NamedCurves.nistP256), _federation.Random);
        using (later) Refused(Refusal.NotInRoster, () => _members[0].Commit([_answers[0], later.Answer(), .. _answers[2..]])); // another key than the roster's
    }

    [Fact]
    public void Qualify_AMemberWhoseShareDoesNotOpen_IsRefused()
    {
        var commitments = _members.Select(member => member.Commit(_answers)).ToArray();
        List<SignedMessage> signed = [.. commitments.Select(commitment => commitment.Commitment)];
        Dictionary<int, byte[]> shares = new() { [2] = commitments[1].Shares[1], [3] = [.. commitments[2].Shares[1]] }; // none of 4
        shares[3][1000] ^= 1;
        Assert.Equal([1, 2], EpochAcceptance.Decode(_members[0].Accept(signed, shares).Body.Span).Accepted);
        Refused(Refusal.WrongShare, () => _members[0].Qualify([1, 2, 3]));
        Refused(Refusal.WrongShare, () => _members[0].Qualify([1, 2, 4]));
        Refused(Refusal.BelowPolicy, () => _members[0].Qualify([1, 2]));
        Refused(Refusal.Malformed, () => _members[0].Qualify([1, 2, 2]));
        Refused(Refusal.WrongActiveSet, () => _members[0].Qualify([2, 3, 4]));
    }

    [Fact]
    public void Reveal_MembersThatSawDifferentSets_DoNotReveal()
    {
        Accepted();
        SignedMessage[] qualified = [_members[0].Qualify([1, 2, 3, 4]), _members[1].Qualify([1, 2, 3, 4]), _members[2].Qualify([1, 2, 3, 4]), _members[3].Qualify([2, 3, 4])];
        Refused(Refusal.DifferentTranscripts, () => _members[0].Reveal(qualified));
        Refused(Refusal.DifferentTranscripts, () => _members[0].Reveal(qualified[..3]));
    }

    [Fact]
    public void Certify_ARevealThatWasNotCommittedTo_EndsTheAttempt()
    {
        Accepted();
        SignedMessage[] qualified = [.. _members.Select(member => member.Qualify([1, 2, 3, 4]))];
        EpochReveal[] reveals = [.. _members.Select(member => member.Reveal(qualified))];
        // A rogue key: member 4 waits for the others' parts and then chooses its own.
        byte[] rogue = [.. reveals[3].Packed];
        rogue[0] ^= 1;
        Refused(Refusal.WrongReveal, () => _members[0].Certify([.. reveals[..3], reveals[3] with { Packed = rogue }]));
        Refused(Refusal.WrongReveal, () => _members[0].Certify(reveals[..3]));
        Refused(Refusal.WrongReveal, () => _members[0].Certify([.. reveals, reveals[0]]));
        Assert.NotNull(_members[0].Certify(reveals));
    }

    [Fact] // member 4 sends member 1's commitment as its own, to reveal what member 1 reveals
    public void Commit_ToAnothersPart_CannotBeRevealed()
    {
        var commitments = _members.Select(member => member.Commit(_answers)).ToArray();
        EpochCommitment first = EpochCommitment.Decode(commitments[0].Commitment.Body.Span), fourth = EpochCommitment.Decode(commitments[3].Commitment.Body.Span);
        SignedMessage copied = _federation.Sign(4, (fourth with { Commitment = first.Commitment }).Encode());
        SignedMessage[] all = [.. commitments.Take(3).Select(commitment => commitment.Commitment), copied];
        foreach (EpochMember member in _members[..3]) member.Accept(all, TestFederation.SharesFor(member.Index, [.. commitments.Select(commitment => commitment.Shares)]));
        SignedMessage[] signed = [.. _members[..3].Select(member => member.Qualify([1, 2, 3, 4]))];
        signed = [.. signed, _federation.Sign(4, (EpochQualification.Decode(signed[0].Body.Span) with { Index = 4 }).Encode())];
        EpochReveal[] reveals = [.. _members[..3].Select(member => member.Reveal(signed))];
        Refused(Refusal.WrongReveal, () => _members[0].Certify([.. reveals, reveals[0] with { Index = 4 }]));
    }

    [Fact] // whoever names a committee smaller than the roster gains nothing: t is held against all who could be members
    public void Check_ACommitteeOfTwoOfTenSites_IsBelowPolicy()
    {
        using TestFederation ten = new(10, 6);
        CommitteePolicy policy = new();
        policy.Check(ten.Descriptor, ten.Roster);
        policy.Check(new(ten.Roster.Hash, 1, 0, 6, ten.Names[..7]), ten.Roster);
        Refused(Refusal.BelowPolicy, () => policy.Check(new(ten.Roster.Hash, 1, 0, 2, ten.Names[..2]), ten.Roster));
        Refused(Refusal.BelowPolicy, () => policy.Check(new(ten.Roster.Hash, 1, 0, 5, ten.Names[..5]), ten.Roster));
    }

    [Fact]
    public void Roster_OneKeyUnderTwoNames_IsRefused()
    {
        string key = new('a', 64);
        Assert.Contains("another site's too", Assert.Throws<ArgumentException>(() => new Roster(1, "", [new("a", key), new("b", key)])).Message, StringComparison.Ordinal);
    }

    [Fact] // each byte of both keys of an answer: a refusal by name, whatever the library under it thinks of the bytes
    public void Commit_AnAnswerWithAnyByteOfItsKeysChanged_IsRefusedByName()
    {
        EpochAnswer answer = EpochAnswer.Decode(_answers[1].Body.Span);
        for (int i = 0; i < answer.AgreementKey.Length; i++)
        {
            byte[] key = [.. answer.AgreementKey], encoded = _answers[1].Encode();
            key[i] ^= 1;
            Refused(Refusal.Malformed, () => _members[0].Commit([_answers[0], _federation.Sign(2, (answer with { AgreementKey = key }).Encode()), .. _answers[2..]]));
            encoded["fed/v1/signed".Length + 1 + 4 + "site-2".Length + 4 + i] ^= 1;
            Refused(Refusal.NotInRoster, () => _members[0].Commit([_answers[0], SignedMessage.Decode(encoded), .. _answers[2..]]));
        }
    }

    [Fact]
    public void Verify_ACertificateThatIsNotWhole_IsRefused()
    {
        (EpochCertificate certificate, CommitteeShare[] shares) = _federation.MakeEpoch();
        foreach (CommitteeShare share in shares) share.Dispose();
        certificate.Verify(_federation.Roster, _federation.Policy);
        Refused(Refusal.WrongRoster, () => certificate.Verify(new Roster(2, _federation.Roster.Hash, _federation.Roster.Sites), _federation.Policy));
        Refused(Refusal.BelowPolicy, () => certificate.Verify(_federation.Roster, new CommitteePolicy(lyingOrRestored: 2)));
        Refused(Refusal.WrongSignature, () => new EpochCertificate(certificate.Descriptor, certificate.Transcript, certificate.Qualified, certificate.Key, [.. certificate.Signatures.Take(3)]).Verify(_federation.Roster, _federation.Policy));
        Refused(Refusal.DifferentTranscripts, () => new EpochCertificate(certificate.Descriptor, new byte[32], certificate.Qualified, certificate.Key, certificate.Signatures).Verify(_federation.Roster, _federation.Policy));
    }

    private void Accepted()
    {
        var commitments = _members.Select(member => member.Commit(_answers)).ToArray();
        foreach (EpochMember member in _members)
        {
            member.Accept([.. commitments.Select(commitment => commitment.Commitment)], Enumerable.Range(1, 4).Where(from => from != member.Index).ToDictionary(from => from, from => commitments[from - 1].Shares[member.Index]));
        }
    }

    private static void Refused(Refusal reason, Action action) => Assert.Equal(reason, Assert.Throws<ProtocolException>(action).Reason);

    private static void Refused(Refusal reason, Func<object> action) => Assert.Equal(reason, Assert.Throws<ProtocolException>(action).Reason);
}
