using System.Security.Cryptography;
using Federation.Privacy.Homomorphic;
using Federation.Privacy.SecureAggregation;

namespace Federation.Privacy.Tests.SecureAggregation;

public sealed class ThresholdTests : IDisposable
{
    private readonly TestFederation _federation = new(5, 3);
    private readonly EpochCertificate _certificate;
    private readonly CommitteeShare[] _shares;

    public ThresholdTests() => (_certificate, _shares) = _federation.MakeEpoch();

    public void Dispose()
    {
        foreach (CommitteeShare share in _shares) share.Dispose();
        _federation.Dispose();
    }

    [Fact]
    public void Open_AnyThreeOfFive_GiveTheSum()
    {
        TestRound round = new(_federation, _certificate, 4);
        foreach (int[] active in (int[][])[[1, 2, 3], [1, 4, 5], [2, 3, 5]])
        {
            using Plaintext opened = Open(round, active, [.. active.Select(member => Answer(member, round.Request(active), OpeningRecord.Empty).Answer)]);
            Assert.Equal(round.Expected, opened.Coefficients.ToArray());
        }
    }

    [Fact]
    public void Open_AWrongOrMissingAnswer_IsANamedError()
    {
        TestRound round = new(_federation, _certificate, 3), other = new(_federation, _certificate, 3, round: 2, model: 8);
        SignedOpeningAnswer[] answers = [.. new[] { 1, 2, 3 }.Select(member => Answer(member, round.Request(1, 2, 3), OpeningRecord.Empty).Answer)];
        Refused(Refusal.WrongActiveSet, () => Open(round, [1, 2, 3], answers[..2]));
        Refused(Refusal.WrongActiveSet, () => Open(round, [1, 2, 3], [answers[0], answers[0], answers[1]]));
        byte[] changed = [.. answers[2].Part];
        changed[100_000] ^= 1;
        Refused(Refusal.WrongShare, () => Open(round, [1, 2, 3], [answers[0], answers[1], answers[2] with { Part = changed }])); // on its way
        Refused(Refusal.WrongSum, () => Open(round, [1, 2, 3], [answers[0], answers[1], Resigned(answers[2], answer => answer, changed)])); // by its member
        Refused(Refusal.Malformed, () => Open(round, [1, 2, 3], [answers[0], answers[1], Resigned(answers[2], answer => answer with { Index = 2 }, answers[2].Part)])); // for another
        Refused(Refusal.WrongEpoch, () => Open(round, [1, 2, 3], [answers[0], answers[1], Resigned(answers[2], answer => answer with { Certificate = new byte[32] }, answers[2].Part)]));
        Refused(Refusal.AnotherOpening, () => Open(round, [1, 2, 3], [answers[0], answers[1], Answer(3, other.Request(1, 2, 3), OpeningRecord.Empty).Answer]));
        // Another active set's part has other factors and other zero shares.
        SignedOpeningAnswer another = Answer(3, round.Request(1, 3, 4), OpeningRecord.Empty).Answer;
        Refused(Refusal.WrongSum, () => Open(round, [1, 2, 3], [answers[0], answers[1], Resigned(another, answer => answer with { Active = [1, 2, 3] }, another.Part)]));
    }

    [Fact]
    public void Shares_TwoOfThree_FitEveryMessage()
    {
        // For any message there is a third share under which these two open exactly it: two shares say nothing of the plaintext.
        TestRound round = new(_federation, _certificate, 3);
        RnsRing ring = round.Sum.Ring;
        ulong[] message = [.. Enumerable.Range(0, 8192).Select(i => (ulong)i * 1_000_003 % (1UL << 40))];
        ulong[] wanted = new ulong[ring.Words];
        new MessageScale(ring, _certificate.Descriptor.Parameters.PlainModulus).AddTo(wanted, message);
        ring.Subtract(wanted, round.Sum.First); // c₁·s that opens it
        ring.Forward(wanted);
        ulong[] second = round.Sum.Second.ToArray(), third = new ulong[ring.Words];
        ring.Forward(second);
        for (int i = 0; i < ring.Words; i++)
        {
            Modulus q = ring.Moduli[i / ring.Degree];
            Assert.NotEqual(0UL, second[i]);
            ulong secret = q.Multiply(wanted[i], q.Inverse(second[i]));
            foreach (int member in (int[])[1, 2]) secret = q.Subtract(secret, q.Multiply(ShamirSharing.Lagrange(ring, member, [1, 2, 3])[i / ring.Degree], _shares[member - 1].Words[i]));
            third[i] = q.Multiply(secret, q.Inverse(ShamirSharing.Lagrange(ring, 3, [1, 2, 3])[i / ring.Degree]));
        }

        using CommitteeShare completing = new(_certificate.Hash, 3, 3, _shares[2].Members, third, _shares[2].ZeroShareKeys.ToDictionary());
        OpeningRequest request = round.Request(1, 2, 3);
        SignedOpeningAnswer[] answers = [Answer(1, request, OpeningRecord.Empty).Answer, Answer(2, request, OpeningRecord.Empty).Answer, _federation.Opener(_certificate, completing).Answer(request, OpeningRecord.Empty).Answer];
        using Plaintext opened = Open(round, [1, 2, 3], answers);
        Assert.Equal(message, opened.Coefficients.ToArray());
    }

    [Fact]
    public void Answer_WhatMustNeverHappen_IsRefused()
    {
        TestRound round = new(_federation, _certificate, 4), two = new(_federation, _certificate, 2);
        OpeningRequest request = round.Request(1, 2, 3);
        Refused(Refusal.TooFewContributors, () => Answer(1, two.Request(1, 2, 3), OpeningRecord.Empty));
        Refused(Refusal.WrongActiveSet, () => Answer(4, request, OpeningRecord.Empty));
        foreach (int[] active in (int[][])[[1, 2], [1, 2, 3, 4], [1, 2, 6], [1, 1, 2], [2, 1, 3]]) Refused(Refusal.WrongActiveSet, () => Answer(1, request with { Active = active }, OpeningRecord.Empty));
        Refused(Refusal.DuplicateSite, () => Answer(1, request with { Contributions = [.. request.Contributions, request.Contributions[0]] }, OpeningRecord.Empty));
        Refused(Refusal.AnotherOpening, () => Answer(1, request with { Opening = new("heart", 1, 2, Opening.Update) }, OpeningRecord.Empty));
        Refused(Refusal.AnotherOpening, () => Answer(1, request with { Opening = new("heart", 1, 1, Opening.Evaluation) }, OpeningRecord.Empty)); // replay under another purpose
        Refused(Refusal.AnotherOpening, () => Answer(1, request with { Opening = new("heart", 1, 1, Opening.Test) }, OpeningRecord.Empty));
        Refused(Refusal.WrongEpoch, () => Answer(1, request with { Opening = new("heart", 2, 1, Opening.Update) }, OpeningRecord.Empty));
        Refused(Refusal.AnotherOpening, () => Answer(1, request with { Round = round.Descriptor with { Model = new byte[32] } }, OpeningRecord.Empty));
        Refused(Refusal.ReplayedCiphertext, () => Answer(1, request with { Contributions = [.. request.Contributions.Select(each => (each.Header, request.Contributions[0].Second))] }, OpeningRecord.Empty));
        // One site sends another's ciphertext as its own.
        SignedMessage copied = _federation.Sign(5, (round.Headers[0] with { Site = "site-5" }).Encode());
        Refused(Refusal.ReplayedCiphertext, () => Answer(1, request with { Contributions = [.. request.Contributions, (copied, request.Contributions[0].Second)] }, OpeningRecord.Empty));
        // A site speaks for another.
        SignedMessage foreign = _federation.Sign(5, round.Headers[0].Encode());
        Refused(Refusal.WrongSignature, () => Answer(1, request with { Contributions = [(foreign, request.Contributions[0].Second), .. request.Contributions.Skip(1)] }, OpeningRecord.Empty));
    }

    [Fact]
    public void Record_AfterAnAnswer_KeepsItsPromises()
    {
        TestRound round = new(_federation, _certificate, 5), next = new(_federation, _certificate, 4, round: 2), fresh = new(_federation, _certificate, 4, round: 3, model: 8);
        (OpeningRecord record, SignedOpeningAnswer answer) = Answer(1, round.Request(1, 2, 3), OpeningRecord.Empty);
        record = OpeningRecord.Decode(record.Encode()); // as after a crash
        (OpeningRecord same, SignedOpeningAnswer again) = Answer(1, round.Request(1, 2, 3), record);
        Assert.Equal(answer.Part, again.Part); // the stored bytes
        Assert.Same(record, same);
        OpeningRequest fewer = round.Request(1, 2, 3);
        Refused(Refusal.AnotherSet, () => Answer(1, fewer with { Contributions = [.. fewer.Contributions.Take(4)] }, record));
        Refused(Refusal.AnotherSet, () => Answer(1, next.Request(1, 2, 3), record)); // one model, whatever the round
        record = Answer(1, fresh.Request(1, 2, 3), record).Record;
        record = Answer(1, round.Request(1, 2, 4), record).Record;
        (record, SignedOpeningAnswer last) = Answer(1, round.Request(1, 2, 5), record);
        Refused(Refusal.TooManyActiveSets, () => Answer(1, round.Request(1, 3, 4), record));
        record.CheckAgainst(answer.Message, _federation.Roster, "site-1");
        record.CheckAgainst(last.Message, _federation.Roster, "site-1");
        Assert.Equal(Refusal.RestoredRecord, Assert.Throws<ProtocolException>(() => same.CheckAgainst(last.Message, _federation.Roster, "site-1")).Reason);
        Assert.Equal(Refusal.WrongSignature, Assert.Throws<ProtocolException>(() => same.CheckAgainst(last.Message, _federation.Roster, "site-2")).Reason); // nobody speaks for another
        Assert.Equal(Refusal.EpochUsedUp, Assert.Throws<ProtocolException>(() => _federation.Opener(_certificate, _shares[0], new CommitteePolicy(maxOpenings: 2)).Answer(new TestRound(_federation, _certificate, 4, round: 9, model: 9).Request(1, 2, 3), record)).Reason);
    }

    [Fact]
    public void AnswerTest_OfAnEpoch_OpensTheFixedVectorOnce()
    {
        int[] active = [1, 3, 5];
        Ciphertext test = EpochTest.Ciphertext(_certificate);
        OpeningMember[] members = [.. active.Select(member => _federation.Opener(_certificate, _shares[member - 1]))];
        var answers = members.Select(member => member.AnswerTest(active, OpeningRecord.Empty)).ToArray();
        using Plaintext opened = OpeningSum.Open(_certificate, _federation.Roster, EpochTest.Opening(_certificate), test, 1, EpochTest.SetHash(test), active, answers.Select(answer => answer.Answer));
        Assert.Equal(EpochTest.Vector(_certificate), opened.Coefficients.ToArray());
        Assert.Equal(answers[0].Answer.Part, members[0].AnswerTest(active, answers[0].Record).Answer.Part);
        Refused(Refusal.TooManyActiveSets, () => members[0].AnswerTest([1, 2, 3], answers[0].Record));
    }

    [Fact]
    public void Share_ThroughTheStore_IsTheSameAndOpensUnderItsKeyOnly()
    {
        byte[] key = RandomNumberGenerator.GetBytes(32), stored = _shares[1].Protect(key);
        using CommitteeShare back = CommitteeShare.Unprotect(key, stored);
        Assert.Equal(_shares[1].Words.ToArray(), back.Words.ToArray());
        Assert.Equal(_shares[1].ZeroShareKeys[1], back.ZeroShareKeys[1]);
        Assert.ThrowsAny<CryptographicException>(() => CommitteeShare.Unprotect(new byte[32], stored));
        stored[^1] ^= 1;
        Assert.ThrowsAny<CryptographicException>(() => CommitteeShare.Unprotect(key, stored));
    }

    private (OpeningRecord Record, SignedOpeningAnswer Answer) Answer(int member, OpeningRequest request, OpeningRecord record)
    {
        (OpeningRecord next, SignedOpeningAnswer answer) = _federation.Opener(_certificate, _shares[member - 1]).Answer(request, record);
        return (next, answer with { Message = TestFederation.Sent(answer.Message) });
    }

    /// <summary>As a member that lies would send it.</summary>
    private SignedOpeningAnswer Resigned(SignedOpeningAnswer answer, Func<OpeningAnswer, OpeningAnswer> change, byte[] part)
    {
        OpeningAnswer changed = change(OpeningAnswer.Decode(answer.Message.Body.Span)) with { PartHash = SHA256.HashData(part) };
        return new(_federation.Sign(int.Parse(answer.Message.Site["site-".Length..], System.Globalization.CultureInfo.InvariantCulture), changed.Encode()), part);
    }

    private Plaintext Open(TestRound round, int[] active, SignedOpeningAnswer[] answers) =>
        OpeningSum.Open(_certificate, _federation.Roster, round.Opening, round.Sum, round.Keys.Count, ContributionHeader.SetHash(round.Headers), active, answers);

    private static void Refused(Refusal reason, Func<object> action) => Assert.Equal(reason, Assert.Throws<ProtocolException>(action).Reason);
}
