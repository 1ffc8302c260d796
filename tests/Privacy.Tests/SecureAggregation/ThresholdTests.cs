using System.Numerics;
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
        OpeningAnswer[] answers = [.. new[] { 1, 2, 3 }.Select(member => Answer(member, round.Request(1, 2, 3), OpeningRecord.Empty).Answer)];
        Refused(Refusal.WrongActiveSet, () => Open(round, [1, 2, 3], answers[..2]));
        Refused(Refusal.WrongActiveSet, () => Open(round, [1, 2, 3], [answers[0], answers[0], answers[1]]));
        byte[] changed = [.. answers[2].Part];
        changed[100_000] ^= 1;
        Refused(Refusal.WrongSum, () => Open(round, [1, 2, 3], [answers[0], answers[1], answers[2] with { Part = changed }]));
        Refused(Refusal.AnotherOpening, () => Open(round, [1, 2, 3], [answers[0], answers[1], Answer(3, other.Request(1, 2, 3), OpeningRecord.Empty).Answer]));
        // Another active set's part has other factors and other zero shares.
        Refused(Refusal.WrongSum, () => Open(round, [1, 2, 3], [answers[0], answers[1], Answer(3, round.Request(1, 3, 4), OpeningRecord.Empty).Answer with { Active = [1, 2, 3] }]));
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
        OpeningAnswer[] answers = [Answer(1, request, OpeningRecord.Empty).Answer, Answer(2, request, OpeningRecord.Empty).Answer, new OpeningMember(_certificate, completing, _federation.Roster, _federation.Policy, _federation.Random).Answer(request, OpeningRecord.Empty).Answer];
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
        (OpeningRecord record, OpeningAnswer answer) = Answer(1, round.Request(1, 2, 3), OpeningRecord.Empty);
        record = OpeningRecord.Decode(record.Encode()); // as after a crash
        (OpeningRecord same, OpeningAnswer again) = Answer(1, round.Request(1, 2, 3), record);
        Assert.Equal(answer.Part, again.Part); // the stored bytes
        Assert.Same(record, same);
        OpeningRequest fewer = round.Request(1, 2, 3);
        Refused(Refusal.AnotherSet, () => Answer(1, fewer with { Contributions = [.. fewer.Contributions.Take(4)] }, record));
        Refused(Refusal.AnotherSet, () => Answer(1, next.Request(1, 2, 3), record)); // one model, whatever the round
        record = Answer(1, fresh.Request(1, 2, 3), record).Record;
        record = Answer(1, round.Request(1, 2, 4), record).Record;
        record = Answer(1, round.Request(1, 2, 5), record).Record;
        Refused(Refusal.TooManyActiveSets, () => Answer(1, round.Request(1, 3, 4), record));
        record.CheckAgainst(same.Count, same.Head);
        Assert.Equal(Refusal.RestoredRecord, Assert.Throws<ProtocolException>(() => same.CheckAgainst(record.Count, record.Head)).Reason);
        Assert.Equal(Refusal.EpochUsedUp, Assert.Throws<ProtocolException>(() => new OpeningMember(_certificate, _shares[0], _federation.Roster, new CommitteePolicy(maxOpenings: 2), _federation.Random)
            .Answer(new TestRound(_federation, _certificate, 4, round: 9, model: 9).Request(1, 2, 3), record)).Reason);
    }

    [Fact]
    public void AnswerTest_OfAnEpoch_OpensTheFixedVectorOnce()
    {
        int[] active = [1, 3, 5];
        Ciphertext test = EpochTest.Ciphertext(_certificate);
        OpeningMember[] members = [.. active.Select(member => new OpeningMember(_certificate, _shares[member - 1], _federation.Roster, _federation.Policy, _federation.Random))];
        var answers = members.Select(member => member.AnswerTest(active, OpeningRecord.Empty)).ToArray();
        using Plaintext opened = OpeningSum.Open(_certificate, EpochTest.Opening(_certificate), test, 1, EpochTest.SetHash(test), active, answers.Select(answer => answer.Answer));
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

    [Fact] // a/b = λ₁{1,2,4}/λ₁{1,2,3} = (8/3)/3: what is left of member 1's answer, times 9, shows the noise modulo 9 unless a zero share covers it
    public void ZeroShares_WithoutThem_TheNoiseShows()
    {
        TestRound round = new(_federation, _certificate, 4);
        Assert.Equal(8192, Agreement(round, withZeroShares: false));
        Assert.InRange(Agreement(round, withZeroShares: true), 600, 1300); // one in nine by chance: 910 ± 28
    }

    [Fact] // smudges are multiples of 2^(64 + log₂B − 52) if they are drawn as doubles, so the opened sum's low bits are the noise
    public void Smudge_DrawnAsDoubles_ShowsTheNoiseAndWholeNumbersDoNot()
    {
        TestRound round = new(_federation, _certificate, 4);
        RnsRing ring = round.Sum.Ring;
        BigInteger[] noise = Noise(round);
        int bits = PartialDecryption.NoiseBits(ring.Degree, 4, 5);
        using SecretWords whole = new(ring.Words);
        PartialDecryption.AddSmudge(_federation.Random, ring, bits, whole.Span);
        int shownByWhole = 0, shownByDoubles = 0;
        BigInteger low = BigInteger.One << (64 + bits - 52);
        for (int i = 0; i < ring.Degree; i++)
        {
            double unit = (_federation.Random.NextUInt64() >> 11) * Math.ScaleB(1, -53);
            BigInteger smudge = (BigInteger)((2 * unit - 1) * Math.ScaleB(1, 64 + bits));
            if (Centred(smudge + noise[i], low) == noise[i]) shownByDoubles++;
            if (Centred(Centred(ring.Compose(whole.Span, i), ring.Product) + noise[i], low) == noise[i]) shownByWhole++;
        }

        Assert.Equal(8192, shownByDoubles);
        Assert.InRange(shownByWhole, 0, 20);
    }

    private int Agreement(TestRound round, bool withZeroShares)
    {
        // Members 2 and 3 are the coordinator's. It names {1, 2, 4}, leaving out its own member 3, and knows the opened message.
        RnsRing ring = round.Sum.Ring;
        int[] active = [1, 2, 4], own = [1, 2, 3];
        using SecretWords part = new(ring.Words);
        PartialDecryption.Multiply(ring, ShamirSharing.Lagrange(ring, 1, active), _shares[0].Words, round.Sum.Second, part.Span);
        PartialDecryption.AddSmudge(_federation.Random, ring, PartialDecryption.NoiseBits(ring.Degree, 4, 5), part.Span);
        if (withZeroShares) PartialDecryption.AddZeroShare(ring, 1, active, _shares[0].ZeroShareKeys, PartialDecryption.Context(round.Opening, _certificate.Hash, ContributionHeader.SetHash(round.Headers), active), part.Span);

        // λ₁{1,2,3}·share₁·c₁ = Δ·m + noise − c₀ − what members 2 and 3 would answer.
        ulong[] known = new ulong[ring.Words];
        new MessageScale(ring, _certificate.Descriptor.Parameters.PlainModulus).AddTo(known, round.Expected);
        ring.Subtract(known, round.Sum.First);
        using SecretWords other = new(ring.Words);
        foreach (int member in (int[])[2, 3])
        {
            PartialDecryption.Multiply(ring, ShamirSharing.Lagrange(ring, member, own), _shares[member - 1].Words, round.Sum.Second, other.Span);
            ring.Subtract(known, other.Span);
        }

        // 9·d₁ − 8·known = 8·noise + 9·smudge, over the integers.
        ring.Scale(part.Span, ring.Residues(9));
        ring.Scale(known, ring.Residues(8));
        ring.Subtract(part.Span, known);
        BigInteger[] noise = Noise(round);
        return Enumerable.Range(0, ring.Degree).Count(i => (Centred(ring.Compose(part.Span, i), ring.Product) - (8 * noise[i])) % 9 == 0);
    }

    /// <summary>c₀ + c₁·s − round(q·m/t), with the key that nobody holds.</summary>
    private BigInteger[] Noise(TestRound round)
    {
        RnsRing ring = round.Sum.Ring;
        using SecretWords phase = new(ring.Words), part = new(ring.Words);
        round.Sum.First.CopyTo(phase.Span);
        foreach (int member in (int[])[1, 2, 3])
        {
            PartialDecryption.Multiply(ring, ShamirSharing.Lagrange(ring, member, [1, 2, 3]), _shares[member - 1].Words, round.Sum.Second, part.Span);
            ring.Add(phase.Span, part.Span);
        }

        ulong[] message = new ulong[ring.Words];
        new MessageScale(ring, _certificate.Descriptor.Parameters.PlainModulus).AddTo(message, round.Expected);
        ring.Subtract(phase.Span, message);
        return [.. Enumerable.Range(0, ring.Degree).Select(i => Centred(ring.Compose(phase.Span, i), ring.Product))];
    }

    private static BigInteger Centred(BigInteger value, BigInteger modulus)
    {
        BigInteger rest = ((value % modulus) + modulus) % modulus;
        return rest > modulus / 2 ? rest - modulus : rest;
    }

    private (OpeningRecord Record, OpeningAnswer Answer) Answer(int member, OpeningRequest request, OpeningRecord record)
    {
        (OpeningRecord next, OpeningAnswer answer) = new OpeningMember(_certificate, _shares[member - 1], _federation.Roster, _federation.Policy, _federation.Random).Answer(request, record);
        return (next, OpeningAnswer.Decode(answer.Encode()));
    }

    private Plaintext Open(TestRound round, int[] active, OpeningAnswer[] answers) =>
        OpeningSum.Open(_certificate, round.Opening, round.Sum, round.Keys.Count, ContributionHeader.SetHash(round.Headers), active, answers);

    private static void Refused(Refusal reason, Func<object> action) => Assert.Equal(reason, Assert.Throws<ProtocolException>(action).Reason);
}
