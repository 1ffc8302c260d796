using System.Security.Cryptography;
using Federation.Privacy.Canonical;
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
            using Plaintext opened = Open(round, active, [.. active.Select(member => Answer(member, round, active))]);
            Assert.Equal(round.Expected, opened.Coefficients.ToArray());
        }
    }

    [Fact]
    public void Open_AWrongOrMissingAnswer_IsANamedError()
    {
        TestRound round = new(_federation, _certificate, 3), other = new(_federation, _certificate, 3, round: 2, model: 8);
        SignedOpeningAnswer[] answers = [.. new[] { 1, 2, 3 }.Select(member => Answer(member, round, 1, 2, 3))];
        Refused(Refusal.WrongActiveSet, () => Open(round, [1, 2, 3], answers[..2]));
        Refused(Refusal.WrongActiveSet, () => Open(round, [1, 2, 3], [answers[0], answers[0], answers[1]]));
        byte[] changed = [.. answers[2].Part];
        changed[100_000] ^= 1;
        Refused(Refusal.WrongShare, () => Open(round, [1, 2, 3], [answers[0], answers[1], answers[2] with { Part = changed }])); // on its way
        Refused(Refusal.WrongSum, () => Open(round, [1, 2, 3], [answers[0], answers[1], Resigned(answers[2], answer => answer, changed)])); // by its member
        Refused(Refusal.Malformed, () => Open(round, [1, 2, 3], [answers[0], answers[1], Resigned(answers[2], answer => answer with { Index = 2 }, answers[2].Part)])); // for another
        Refused(Refusal.WrongEpoch, () => Open(round, [1, 2, 3], [answers[0], answers[1], Resigned(answers[2], answer => answer with { Certificate = new byte[32] }, answers[2].Part)]));
        Refused(Refusal.AnotherOpening, () => Open(round, [1, 2, 3], [answers[0], answers[1], Answer(3, other, 1, 2, 3)]));
        // A sum under another ring, or with fewer primes, is told apart before anything is added to it.
        BfvParameters own = _certificate.Descriptor.Parameters, five = BfvParameters.Default(8192, 1UL << 40);
        Refused(Refusal.WrongParameters, () => Open(round, [1, 2, 3], answers, new Ciphertext(five, 3, round.Sum.Words.ToArray())));
        Refused(Refusal.WrongParameters, () => Open(round, [1, 2, 3], answers, new Ciphertext(own, 2, new ulong[4 * 8192])));
        // Another active set's part has other factors and other zero shares.
        SignedOpeningAnswer another = Answer(3, round, 1, 3, 4);
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

        SecretWords words = new(ring.Words);
        third.CopyTo(words.Span);
        using CommitteeShare completing = new(_certificate.Hash, 3, 3, _shares[2].Members, words, _shares[2].ZeroShareKeys);
        SignedOpeningAnswer[] answers = [Answer(1, round, 1, 2, 3), Answer(2, round, 1, 2, 3), _federation.Opener(_certificate, completing).Answer(round.Request(1, 2, 3), round.Seconds)];
        using Plaintext opened = Open(round, [1, 2, 3], answers);
        Assert.Equal(message, opened.Coefficients.ToArray());
    }

    [Fact]
    public void Answer_WhatMustNeverHappen_IsRefused()
    {
        TestRound round = new(_federation, _certificate, 4), two = new(_federation, _certificate, 2);
        OpeningRequest request = round.Request(1, 2, 3);
        OpeningMember member = _federation.Opener(_certificate, _shares[0], store: _ => Assert.Fail("Something was answered."));
        Refused(Refusal.TooFewContributors, () => member.Answer(two.Request(1, 2, 3), two.Seconds));
        Refused(Refusal.WrongActiveSet, () => member.Answer(round.Request(2, 3, 4), round.Seconds));
        foreach (int[] active in (int[][])[[1, 2], [1, 2, 3, 4], [1, 2, 6], [1, 1, 2], [2, 1, 3]]) Answers(Refusal.WrongActiveSet, request with { Active = active });
        Answers(Refusal.DuplicateSite, request with { Contributions = [.. request.Contributions, request.Contributions[0]] });
        Answers(Refusal.AnotherOpening, request with { Opening = new("heart", 1, 2, Opening.Update) });
        Answers(Refusal.AnotherOpening, request with { Opening = new("heart", 1, 1, Opening.Evaluation) }); // replay under another purpose
        Answers(Refusal.AnotherOpening, request with { Opening = new("heart", 1, 1, Opening.Test) });
        Answers(Refusal.WrongEpoch, request with { Opening = new("heart", 2, 1, Opening.Update) });
        Answers(Refusal.AnotherOpening, request with { Round = round.Descriptor with { Model = new byte[32] } });
        Refused(Refusal.ReplayedCiphertext, () => member.Answer(request, Enumerable.Repeat(round.Seconds[0], 4)));
        Refused(Refusal.Malformed, () => member.Answer(request, round.Seconds[..3]));
        Refused(Refusal.TooManyContributors, () => member.Answer(request, [.. round.Seconds, round.Seconds[0]]));
        // One site sends another's ciphertext as its own.
        SignedMessage copied = _federation.Sign(5, (round.Headers[0] with { Site = "site-5" }).Encode());
        Answers(Refusal.ReplayedCiphertext, request with { Contributions = [.. request.Contributions, copied] });
        // A site speaks for another.
        SignedMessage foreign = _federation.Sign(5, round.Headers[0].Encode());
        Answers(Refusal.WrongSignature, request with { Contributions = [foreign, .. request.Contributions.Skip(1)] });

        void Answers(Refusal reason, OpeningRequest changed) => Refused(reason, () => member.Answer(changed, round.Seconds));
    }

    [Fact] // whatever the round's descriptor says
    public void Answer_FewerThanTheMembersOwnPolicyAsksFor_IsRefused()
    {
        TestRound four = new(_federation, _certificate, 4), five = new(_federation, _certificate, 5, round: 2, model: 8);
        OpeningMember member = _federation.Opener(_certificate, _shares[0], policy: new CommitteePolicy(minContributors: 5, lyingOrRestored: 0));
        Refused(Refusal.TooFewContributors, () => member.Answer(four.Request(1, 2, 3), four.Seconds));
        Assert.NotEmpty(member.Answer(five.Request(1, 2, 3), five.Seconds).Part);
    }

    [Fact]
    public void Record_AfterAnAnswer_KeepsItsPromises()
    {
        TestRound round = new(_federation, _certificate, 5), next = new(_federation, _certificate, 4, round: 2), fresh = new(_federation, _certificate, 4, round: 3, model: 8);
        List<OpeningEntry> stored = [];
        SignedOpeningAnswer answer = _federation.Opener(_certificate, _shares[0], store: stored.Add).Answer(round.Request(1, 2, 3), round.Seconds);
        OpeningMember member = _federation.Opener(_certificate, _shares[0], Loaded(), store: stored.Add); // as after a crash
        Assert.Equal(answer.Part, member.Answer(round.Request(1, 2, 3), []).Part); // the stored bytes, without another look at the ciphertexts
        Assert.Single(stored);
        OpeningRequest fewer = round.Request(1, 2, 3);
        Refused(Refusal.AnotherSet, () => member.Answer(fewer with { Contributions = [.. fewer.Contributions.Take(4)] }, round.Seconds[..4]));
        Refused(Refusal.AnotherSet, () => member.Answer(next.Request(1, 2, 3), next.Seconds)); // one model, whatever the round
        member.Answer(fresh.Request(1, 2, 3), fresh.Seconds);
        member.Answer(round.Request(1, 2, 4), round.Seconds);
        SignedOpeningAnswer last = member.Answer(round.Request(1, 2, 5), round.Seconds);
        Refused(Refusal.TooManyActiveSets, () => member.Answer(round.Request(1, 3, 4), round.Seconds));
        Assert.Equal([1, 2, 3, 4], stored.Select(entry => entry.Number));

        member.Record.CheckAgainst(answer.Message, _federation.Roster, "site-1");
        member.Record.CheckAgainst(last.Message, _federation.Roster, "site-1");
        OpeningRecord old = OpeningRecord.Load([(stored[0].Bytes, stored[0].Answer)]);
        Assert.Equal(Refusal.RestoredRecord, Assert.Throws<ProtocolException>(() => old.CheckAgainst(last.Message, _federation.Roster, "site-1")).Reason);
        Assert.Equal(Refusal.WrongSignature, Assert.Throws<ProtocolException>(() => old.CheckAgainst(last.Message, _federation.Roster, "site-2")).Reason); // nobody speaks for another
        TestRound another = new(_federation, _certificate, 4, round: 9, model: 9);
        Refused(Refusal.EpochUsedUp, () => _federation.Opener(_certificate, _shares[0], Loaded(), new CommitteePolicy(lyingOrRestored: 0, maxOpenings: 2)).Answer(another.Request(1, 2, 3), another.Seconds));
        Refused(Refusal.AnswerGone, () => _federation.Opener(_certificate, _shares[0], OpeningRecord.Load(stored.Select(entry => (entry.Bytes, (byte[]?)null)))).Answer(round.Request(1, 2, 3), []));
        Assert.Throws<FormatException>(() => OpeningRecord.Load([(stored[0].Bytes, stored[1].Answer)]));

        OpeningRecord Loaded() => OpeningRecord.Load(stored.Select(entry => (entry.Bytes, (byte[]?)entry.Answer)));
    }

    [Fact] // whatever the store did with the entry, nothing new leaves until the record has been read again
    public void Answer_AnEntryThatCannotBeStored_LeavesNothingAndStopsTheMember()
    {
        TestRound round = new(_federation, _certificate, 3), fresh = new(_federation, _certificate, 3, round: 2, model: 8);
        int calls = 0;
        OpeningMember member = _federation.Opener(_certificate, _shares[0], store: _ => throw new IOException($"The disk is full ({++calls})."));
        Assert.Throws<IOException>(() => member.Answer(round.Request(1, 2, 3), round.Seconds));
        Refused(Refusal.UnexpectedMessage, () => member.Answer(round.Request(1, 2, 3), round.Seconds));
        Refused(Refusal.UnexpectedMessage, () => member.Answer(fresh.Request(1, 2, 3), fresh.Seconds));
        Assert.Equal((1, 0), (calls, member.Record.Count));
    }

    [Fact] // two sets for one opening, asked for at the same time
    public async Task Answer_TwoSetsAtOnce_AnswersOne()
    {
        TestRound round = new(_federation, _certificate, 5);
        OpeningRequest all = round.Request(1, 2, 3), fewer = all with { Contributions = [.. all.Contributions.Take(4)] };
        OpeningMember member = _federation.Opener(_certificate, _shares[0]);
        using Barrier together = new(2);
        Task<SignedOpeningAnswer>[] both = [Task.Run(() => member.Answer(all, Slowly(round.Seconds))), Task.Run(() => member.Answer(fewer, Slowly(round.Seconds[..4])))];
        await Task.WhenAll(both).ContinueWith(_ => { }, TaskScheduler.Default);
        Assert.Equal(Refusal.AnotherSet, Assert.IsType<ProtocolException>(Assert.Single(both, task => task.IsFaulted).Exception!.InnerException).Reason);
        Assert.Equal(1, member.Record.Count);

        IEnumerable<byte[]> Slowly(List<byte[]> seconds)
        {
            together.SignalAndWait(TestContext.Current.CancellationToken); // both have passed the first look at the record
            foreach (byte[] second in seconds) yield return second;
        }
    }

    [Fact]
    public void Answer_AfterTheShareIsErased_IsRefused()
    {
        TestRound round = new(_federation, _certificate, 3);
        OpeningMember member = _federation.Opener(_certificate, _shares[4]);
        _shares[4].Dispose();
        Assert.Throws<ObjectDisposedException>(() => member.Answer(round.Request(1, 2, 5), round.Seconds));
        Assert.Throws<ObjectDisposedException>(() => _shares[4].ZeroShareKeys[1].Span.Length);
    }

    [Fact]
    public void AnswerTest_OfAnEpoch_OpensTheFixedVectorOnce()
    {
        int[] active = [1, 3, 5];
        OpeningMember[] members = [.. active.Select(member => _federation.Opener(_certificate, _shares[member - 1]))];
        SignedOpeningAnswer[] answers = [.. members.Select(member => member.AnswerTest(active))];
        EpochTest.Verify(_certificate, _federation.Roster, SignedOpeningAnswer.Decode(SignedOpeningAnswer.Encode(answers)));
        Assert.Equal(answers[0].Part, members[0].AnswerTest(active).Part);
        Refused(Refusal.TooManyActiveSets, () => members[0].AnswerTest([1, 2, 3]));
        // Another attempt at the epoch has a test of its own.
        (EpochCertificate certificate, CommitteeShare[] shares) = _federation.MakeEpoch();
        OpeningMember again = _federation.Opener(certificate, shares[0], members[0].Record);
        Assert.NotEmpty(again.AnswerTest(active).Part);
        Assert.Equal(2, again.Record.Count);
        foreach (CommitteeShare share in shares) share.Dispose();
        Refused(Refusal.WrongEpoch, () =>
        {
            EpochTest.Verify(certificate, _federation.Roster, answers);
            return 0;
        });
    }

    [Fact]
    public void Share_ThroughTheStore_IsTheSameAndOpensUnderItsKeyOnly()
    {
        byte[] key = RandomNumberGenerator.GetBytes(32), stored = _shares[1].Protect(key);
        using CommitteeShare back = CommitteeShare.Unprotect(key, stored);
        Assert.Equal(_shares[1].Words.ToArray(), back.Words.ToArray());
        Assert.Equal(_shares[1].ZeroShareKeys[1].Span, back.ZeroShareKeys[1].Span);
        Assert.ThrowsAny<CryptographicException>(() => CommitteeShare.Unprotect(new byte[32], stored));
        stored[^1] ^= 1;
        Assert.ThrowsAny<CryptographicException>(() => CommitteeShare.Unprotect(key, stored));
    }

    [Fact] // found by fuzzing: 140 bytes took the memory of a whole share
    public void Share_WithoutItsWords_IsRefusedBeforeTheirMemoryIsTaken()
    {
        byte[] bytes = Indices.Write(new CanonicalWriter("committee-share").Field(new byte[32]).Field(1UL).Field(2UL), [1, 2]).Field([]).ToArray();
        Refused();
        long before = GC.GetAllocatedBytesForCurrentThread();
        Refused();
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 16_000);

        void Refused() => Assert.Contains("not 0", Assert.Throws<FormatException>(() => CommitteeShare.Decode(bytes)).Message, StringComparison.Ordinal);
    }

    private SignedOpeningAnswer Answer(int member, TestRound round, params int[] active)
    {
        SignedOpeningAnswer answer = _federation.Opener(_certificate, _shares[member - 1]).Answer(round.Request(active), round.Seconds);
        return answer with { Message = TestFederation.Sent(answer.Message) };
    }

    /// <summary>As a member that lies would send it.</summary>
    private SignedOpeningAnswer Resigned(SignedOpeningAnswer answer, Func<OpeningAnswer, OpeningAnswer> change, byte[] part)
    {
        OpeningAnswer changed = change(OpeningAnswer.Decode(answer.Message.Body.Span)) with { PartHash = SHA256.HashData(part) };
        return new(_federation.Sign(int.Parse(answer.Message.Site["site-".Length..], System.Globalization.CultureInfo.InvariantCulture), changed.Encode()), part);
    }

    private Plaintext Open(TestRound round, int[] active, SignedOpeningAnswer[] answers, Ciphertext? sum = null) =>
        OpeningSum.Open(_certificate, _federation.Roster, round.Opening, sum ?? round.Sum, round.Keys.Count, ContributionHeader.SetHash(round.Headers), active, answers);

    private static void Refused(Refusal reason, Func<object> action) => Assert.Equal(reason, Assert.Throws<ProtocolException>(action).Reason);
}
