using System.Numerics;
using Federation.Privacy.SecureAggregation;

namespace Federation.Privacy.Tests.SecureAggregation;

/// <summary>The coordinator's side of an epoch, where members fail at every step.</summary>
public sealed class EpochCoordinatorTests : IDisposable
{
    private readonly TestFederation _federation = new(5, 3);
    private readonly EpochMember[] _members;
    private readonly EpochCoordinator _coordinator;
    private readonly Dictionary<int, IReadOnlyDictionary<int, byte[]>> _shares = [];

    public EpochCoordinatorTests()
    {
        _members = [.. Enumerable.Range(1, 5).Select(_federation.Member)];
        _coordinator = new(_federation.Descriptor, _federation.Roster, _federation.Policy);
    }

    public void Dispose()
    {
        foreach (EpochMember member in _members) member.Dispose();
        _federation.Dispose();
    }

    [Fact]
    public void Close_MembersThatVanishBeforeQIsFixed_AreLeftOutOfQ()
    {
        Answers(1, 2, 3, 4); // 5 is not there
        Assert.Equal([5], _coordinator.Awaited);
        _coordinator.Close();
        Commitments(1, 2, 3); // 4 is cut off on its way
        Assert.Equal([4], _coordinator.Awaited);
        _coordinator.Close();
        Assert.Equal(["site-1", "site-2", "site-3"], _coordinator.Commitments.Select(message => message.Site));
        Acceptances([1, 2, 3]);
        _coordinator.Close();
        Assert.Equal([1, 2, 3], _coordinator.Qualified);
        foreach (int member in _coordinator.Qualified) _coordinator.Receive(Member(member).Qualify(_coordinator.Qualified));
        _coordinator.Close();
        foreach (int member in _coordinator.Qualified) _coordinator.Receive(Member(member).Reveal(_coordinator.Qualifications));
        _coordinator.Close();
        foreach (int member in _coordinator.Qualified) _coordinator.Receive(Member(member).Certify(_coordinator.Reveals));
        Assert.Empty(_coordinator.Awaited);
        _coordinator.Close();
        Assert.Equal(EpochStep.Finished, _coordinator.Step);
        _coordinator.Certificate!.Verify(_federation.Roster, _federation.Policy);
        using CommitteeShare share = Member(2).Finish(_coordinator.Certificate.Signatures).Share;
        Assert.Equal([1, 2, 3], share.Members);
    }

    [Fact]
    public void Close_ACommitmentWithoutAllItsShares_LeavesItsMemberOut()
    {
        Answers(1, 2, 3, 4, 5);
        _coordinator.Close();
        (SignedMessage commitment, IReadOnlyDictionary<int, byte[]> shares) = Member(4).Commit(_coordinator.Answers);
        Refused(Refusal.UnexpectedMessage, () => _coordinator.ReceiveShare(4, 1, shares[1])); // before its commitment
        _coordinator.Receive(commitment);
        byte[] wrong = [.. shares[1]];
        wrong[9] ^= 1;
        Refused(Refusal.WrongShare, () => _coordinator.ReceiveShare(4, 1, wrong));
        Refused(Refusal.WrongShare, () => _coordinator.ReceiveShare(4, 4, wrong));
        foreach (int to in (int[])[2, 3, 5]) _coordinator.ReceiveShare(4, to, shares[to]);
        Commitments(1, 2, 3, 5);
        Assert.Equal([4], _coordinator.Awaited);
        _coordinator.Close();
        Assert.DoesNotContain(_coordinator.Commitments, message => message.Site == "site-4");
    }

    [Theory] // well committed to, and of no use to anybody: its sender is the one that is missing
    [InlineData(-1)]
    [InlineData(1)]
    [InlineData(1 << 20)]
    public void Close_ASharesOfAnotherLength_LeavesItsSenderOut(int more)
    {
        Answers(1, 2, 3, 4, 5);
        _coordinator.Close();
        (SignedMessage commitment, IReadOnlyDictionary<int, byte[]> shares) = Member(4).Commit(_coordinator.Answers);
        byte[] other = new byte[shares[1].Length + more];
        EpochCommitment lying = EpochCommitment.Decode(commitment.Body.Span);
        lying = lying with { ShareHashes = [.. lying.ShareHashes.Select(share => (share.To, System.Security.Cryptography.SHA256.HashData(other)))] };
        _coordinator.Receive(SignedMessage.Sign("site-4", _federation.Identity(4), lying.Encode()));
        foreach (int to in shares.Keys) Refused(Refusal.WrongShare, () => _coordinator.ReceiveShare(4, to, other));
        Commitments(1, 2, 3, 5);
        Assert.Equal([4], _coordinator.Awaited);
        _coordinator.Close();
        Assert.Equal(["site-1", "site-2", "site-3", "site-5"], _coordinator.Commitments.Select(message => message.Site));
    }

    [Fact]
    public void Close_AMemberThatOpensNobodysShares_IsLeftOutOfQ()
    {
        Accepting();
        foreach (int member in (int[])[1, 2, 4, 5]) Accept(member, except: []);
        Accept(3, except: [1, 2, 4, 5]);
        _coordinator.Close();
        Assert.Equal([1, 2, 4, 5], _coordinator.Qualified);
    }

    [Fact] // 1 says no to 2, 3 says no to 4: Q holds one of each pair
    public void Close_MembersThatDisagree_GiveTheLargestQ()
    {
        Accepting();
        Accept(1, except: [2]);
        Accept(3, except: [4]);
        foreach (int member in (int[])[2, 4, 5]) Accept(member, except: []);
        _coordinator.Close();
        Assert.Equal([1, 3, 5], _coordinator.Qualified);
    }

    [Fact]
    public void Close_TooFewThatAgree_EndsTheAttemptAndNamesThem()
    {
        Accepting();
        Accept(1, except: [2, 3, 4, 5]);
        Accept(2, except: [3, 4, 5]);
        Accept(3, except: []);
        Accept(4, except: []);
        _coordinator.Close(); // 5 says nothing
        Assert.Equal(EpochStep.Failed, _coordinator.Step);
        Assert.Contains("'site-5' did not say", _coordinator.Failure);
        Assert.Equal(5, _coordinator.NextAttempt().Members.Count);
        Refused(Refusal.UnexpectedMessage, _coordinator.Close);
    }

    [Fact]
    public void Close_AMemberOfQThatDoesNotReveal_EndsTheAttemptAndIsLeftOutOfTheNext()
    {
        Accepting();
        Acceptances([1, 2, 3, 4, 5]);
        _coordinator.Close();
        foreach (EpochMember member in _members) _coordinator.Receive(member.Qualify(_coordinator.Qualified));
        _coordinator.Close();
        EpochReveal reveal = Member(4).Reveal(_coordinator.Qualifications);
        byte[] rogue = [.. reveal.Packed];
        rogue[0] ^= 1;
        Refused(Refusal.WrongReveal, () => _coordinator.Receive(reveal with { Packed = rogue }));
        Refused(Refusal.WrongReveal, () => _coordinator.Receive(reveal with { Index = 5 }));
        Refused(Refusal.WrongEpoch, () => _coordinator.Receive(reveal with { Transcript = new byte[32] }));
        foreach (int member in (int[])[1, 2, 3, 5]) _coordinator.Receive(Member(member).Reveal(_coordinator.Qualifications));
        _coordinator.Close();
        Assert.Equal(EpochStep.Failed, _coordinator.Step);
        Assert.Contains("'site-4' did not reveal", _coordinator.Failure);
        EpochDescriptor next = _coordinator.NextAttempt();
        Assert.Equal(["site-1", "site-2", "site-3", "site-5"], next.Members);
        Assert.Equal(1UL, next.Attempt);
        Refused(Refusal.WrongEpoch, () => new EpochCoordinator(next, _federation.Roster, _federation.Policy).Receive(_coordinator.Answers[0])); // of the former attempt
    }

    [Fact]
    public void Receive_WhatIsNotAwaited_IsRefusedAndTheSameAgainIsNot()
    {
        SignedMessage answer = Member(1).Answer();
        _coordinator.Receive(answer);
        _coordinator.Receive(answer);
        using EpochMember restarted = _federation.Member(1);
        Refused(Refusal.DuplicateSite, () => _coordinator.Receive(restarted.Answer())); // another key
        Refused(Refusal.UnexpectedMessage, () => _coordinator.Receive(new EpochReveal(new byte[32], 1, [])));
        Refused(Refusal.UnexpectedMessage, () => _coordinator.ReceiveShare(1, 2, []));
        Refused(Refusal.Malformed, () => _coordinator.Receive(_federation.Sign(2, new EpochAcceptance(new byte[32], 2, []).Encode())));
        Refused(Refusal.Malformed, () => _coordinator.Receive(_federation.Sign(2, answer.Body.ToArray()))); // in another's place
        Answers(2, 3, 4);
        _coordinator.Close();
        Refused(Refusal.UnexpectedMessage, () => _coordinator.Receive(_federation.Sign(5, new EpochCommitment(EpochTranscript.Answers(_federation.Descriptor, [.. _coordinator.Answers.Select(message => EpochAnswer.Decode(message.Body.Span))]), 5, new byte[32], [.. Enumerable.Range(1, 4).Select(to => (to, new byte[32]))]).Encode())));
    }

    [Fact] // any graph of up to 10 members: the same size as by trying all sets
    public void Largest_AnyGraph_IsTheLargestOfAllSets()
    {
        Random random = new(5);
        for (int run = 0; run < 300; run++)
        {
            int members = random.Next(1, 11);
            uint[] agrees = new uint[members + 1];
            for (int i = 1; i <= members; i++)
            {
                agrees[i] |= 1U << (i - 1);
                for (int j = 1; j < i; j++)
                {
                    if (random.Next(3) == 0) continue;
                    agrees[i] |= 1U << (j - 1);
                    agrees[j] |= 1U << (i - 1);
                }
            }

            uint all = (1U << members) - 1, found = MutualSet.Largest(all, agrees);
            Assert.True(Mutual(found));
            Assert.Equal(Enumerable.Range(0, 1 << members).Where(set => Mutual((uint)set)).Max(set => BitOperations.PopCount((uint)set)), BitOperations.PopCount(found));

            bool Mutual(uint set) => Enumerable.Range(1, members).All(i => (set & (1U << (i - 1))) == 0 || (set & ~agrees[i]) == 0);
        }
    }

    private EpochMember Member(int index) => _members[index - 1];

    private void Answers(params int[] members)
    {
        foreach (int member in members) _coordinator.Receive(Member(member).Answer());
    }

    private void Commitments(params int[] members)
    {
        foreach (int member in members)
        {
            (SignedMessage commitment, IReadOnlyDictionary<int, byte[]> shares) = Member(member).Commit(_coordinator.Answers);
            _shares[member] = shares;
            _coordinator.Receive(commitment);
            foreach ((int to, byte[] share) in shares) _coordinator.ReceiveShare(member, to, share);
        }
    }

    private void Accepting()
    {
        Answers(1, 2, 3, 4, 5);
        _coordinator.Close();
        Commitments(1, 2, 3, 4, 5);
        _coordinator.Close();
    }

    private void Acceptances(int[] members)
    {
        foreach (int member in members) Accept(member, except: []);
    }

    /// <param name="except">Whose shares do not open.</param>
    private void Accept(int member, int[] except) =>
        _coordinator.Receive(Member(member).Accept(_coordinator.Commitments, _shares.Where(from => from.Key != member && !except.Contains(from.Key)).ToDictionary(from => from.Key, from => from.Value[member])));

    private static void Refused(Refusal reason, Action action) => Assert.Equal(reason, Assert.Throws<ProtocolException>(action).Reason);
}
