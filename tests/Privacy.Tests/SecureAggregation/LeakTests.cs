using System.Numerics;
using Federation.Privacy.Homomorphic;
using Federation.Privacy.SecureAggregation;

namespace Federation.Privacy.Tests.SecureAggregation;

/// <summary>
/// What a partial decryption shows when one of its protections is missing, and that nothing shows with all of them.
/// The coordinator holds members 2 and 3 and knows what was opened; member 1 answers honestly. λ₁(A)/λ₁{1, 2, 3} = a/b, so b·d₁ − a·(known) = a·noise + b·smudge: the noise of the ciphertext modulo b, unless a zero share covers it.
/// </summary>
public sealed class LeakTests : IDisposable
{
    private readonly TestFederation _federation = new(5, 3);
    private readonly EpochCertificate _certificate;
    private readonly CommitteeShare[] _shares;
    private readonly RnsRing _ring;
    private readonly TestRound _round;

    public LeakTests()
    {
        (_certificate, _shares) = _federation.MakeEpoch();
        _round = new(_federation, _certificate, 4);
        _ring = _round.Sum.Ring;
    }

    public void Dispose()
    {
        foreach (CommitteeShare share in _shares) share.Dispose();
        _federation.Dispose();
    }

    [Fact] // λ₁{1,2,4}/λ₁{1,2,3} = (8/3)/3 = 8/9: the coordinator leaves out its own member 3
    public void ZeroShares_WithoutThem_TheNoiseShows()
    {
        int[] active = [1, 2, 4];
        Assert.Equal(8192, Shown(Part(_round, active, context: null), Known(_round), Noise(_round), 8, 9));
        AssertHidden(Part(_round, active, Context(_round, active)), Known(_round), Noise(_round), 8, 9);
    }

    [Fact] // a zero share that two purposes have in common falls out of the difference of their answers
    public void ZeroShares_AContextWithoutPurposeAndSet_TheNoiseOfTheDifferenceShows()
    {
        TestRound evaluation = new(_federation, _certificate, 4, purpose: Opening.Evaluation);
        int[] active = [1, 2, 4];
        byte[] without = PartialDecryption.Context(new("heart", 1, 1, Opening.Update), _certificate.Hash, new byte[32], active); // the same for both
        BigInteger[] noise = [.. Noise(_round).Zip(Noise(evaluation), (first, second) => first - second)];
        ulong[] known = Difference(Known(_round), Known(evaluation));
        Assert.Equal(8192, Shown(Difference(Part(_round, active, without), Part(evaluation, active, without)), known, noise, 8, 9));
        AssertHidden(Difference(Part(_round, active, Context(_round, active)), Part(evaluation, active, Context(evaluation, active))), known, noise, 8, 9);
        // The purpose by itself keeps them apart, also if the set's hash did not.
        byte[] other = PartialDecryption.Context(new("heart", 1, 1, Opening.Evaluation), _certificate.Hash, new byte[32], active);
        AssertHidden(Difference(Part(_round, active, without), Part(evaluation, active, other)), known, noise, 8, 9);
    }

    [Fact] // λ₁{1,2,6}/λ₁{1,2,3} = (12/5)/3 = 4/5: nobody has a key with member 6, and the coordinator knows the one with member 2
    public void ZeroShares_AnActiveSetWithANonMember_TheNoiseShows()
    {
        int[] active = [1, 2, 6];
        byte[] context = Context(_round, active);
        ulong[] part = Part(_round, active, context: null), knownShare = new ulong[_ring.Words];
        PartialDecryption.AddZeroShare(_ring, 1, [1, 2], _shares[0].ZeroShareKeys, context, part); // all that a member which skips the unknown one can add
        PartialDecryption.AddZeroShare(_ring, 2, [1, 2], _shares[1].ZeroShareKeys, context, knownShare); // its negative
        _ring.Add(part, knownShare);
        Assert.Equal(8192, Shown(part, Known(_round), Noise(_round), 4, 5));
        Assert.Equal(Refusal.WrongActiveSet, Assert.Throws<ProtocolException>(() => _federation.Opener(_certificate, _shares[0]).Answer(_round.Request(active), _round.Seconds)).Reason);
    }

    [Fact] // smudges are multiples of 2^(64 + log₂B − 52) if they are drawn as doubles, so the opened sum's low bits are the noise
    public void Smudge_DrawnAsDoubles_ShowsTheNoiseAndWholeNumbersDoNot()
    {
        BigInteger[] noise = Noise(_round);
        int bits = PartialDecryption.NoiseBits(_ring.Degree, 4, 5);
        using SecretWords whole = new(_ring.Words);
        PartialDecryption.AddSmudge(_federation.Random, _ring, bits, whole.Span);
        int shownByWhole = 0, shownByDoubles = 0;
        BigInteger low = BigInteger.One << (64 + bits - 52);
        for (int i = 0; i < _ring.Degree; i++)
        {
            double unit = (_federation.Random.NextUInt64() >> 11) * Math.ScaleB(1, -53);
            BigInteger smudge = (BigInteger)((2 * unit - 1) * Math.ScaleB(1, 64 + bits));
            if (Centred(smudge + noise[i], low) == noise[i]) shownByDoubles++;
            if (Centred(Centred(_ring.Compose(whole.Span, i), _ring.Product) + noise[i], low) == noise[i]) shownByWhole++;
        }

        Assert.Equal(8192, shownByDoubles);
        Assert.InRange(shownByWhole, 0, 20);
    }

    [Fact] // the attacks above on what a member itself answers, also after its record was restored: the other U, or the other purpose, is all that differs
    public void Answer_OfAMember_ShowsNothing()
    {
        int[] active = [1, 2, 4];
        AssertHidden(Answered(_round, active), Known(_round), Noise(_round), 8, 9);
        foreach (TestRound other in (TestRound[])[new(_federation, _certificate, 5), new(_federation, _certificate, 4, purpose: Opening.Evaluation)])
        {
            BigInteger[] noise = [.. Noise(_round).Zip(Noise(other), (first, second) => first - second)];
            AssertHidden(Difference(Answered(_round, active), Answered(other, active)), Difference(Known(_round), Known(other)), noise, 8, 9);
        }
    }

    /// <summary>Member 1's answer, by a member that remembers nothing.</summary>
    private ulong[] Answered(TestRound round, int[] active) => PackedElement.Unpack(_ring, _federation.Opener(_certificate, _shares[0]).Answer(round.Request(active), round.Seconds).Part);

    /// <summary>Member 1's d₁ for this A.</summary>
    /// <param name="context">Of its zero share; null: none.</param>
    private ulong[] Part(TestRound round, int[] active, byte[]? context)
    {
        ulong[] part = new ulong[_ring.Words];
        PartialDecryption.Multiply(_ring, ShamirSharing.Lagrange(_ring, 1, active), _shares[0].Words, round.Sum.Second, part);
        PartialDecryption.AddSmudge(_federation.Random, _ring, PartialDecryption.NoiseBits(_ring.Degree, 4, 5), part);
        if (context != null) PartialDecryption.AddZeroShare(_ring, 1, active, _shares[0].ZeroShareKeys, context, part);
        return part;
    }

    private byte[] Context(TestRound round, int[] active) => PartialDecryption.Context(round.Opening, _certificate.Hash, ContributionHeader.SetHash(round.Headers), active);

    /// <summary>What the coordinator knows of λ₁{1, 2, 3}·share₁·c₁: Δ·m − c₀ less what members 2 and 3 would answer. The rest is the noise.</summary>
    private ulong[] Known(TestRound round)
    {
        ulong[] known = new ulong[_ring.Words];
        new MessageScale(_ring, _certificate.Descriptor.Parameters.PlainModulus).AddTo(known, round.Expected);
        _ring.Subtract(known, round.Sum.First);
        using SecretWords other = new(_ring.Words);
        foreach (int member in (int[])[2, 3])
        {
            PartialDecryption.Multiply(_ring, ShamirSharing.Lagrange(_ring, member, [1, 2, 3]), _shares[member - 1].Words, round.Sum.Second, other.Span);
            _ring.Subtract(known, other.Span);
        }

        return known;
    }

    /// <summary>In how many coefficients b·part − a·known is a·noise modulo b.</summary>
    private int Shown(ulong[] part, ulong[] known, BigInteger[] noise, ulong a, ulong b)
    {
        ulong[] left = [.. part], right = [.. known];
        _ring.Scale(left, _ring.Residues(b));
        _ring.Scale(right, _ring.Residues(a));
        _ring.Subtract(left, right);
        return Enumerable.Range(0, _ring.Degree).Count(i => (Centred(_ring.Compose(left, i), _ring.Product) - (a * noise[i])) % b == 0);
    }

    /// <summary>One in b agrees by chance; ten standard deviations are allowed.</summary>
    private void AssertHidden(ulong[] part, ulong[] known, BigInteger[] noise, ulong a, ulong b)
    {
        double chance = 1.0 / b, spread = Math.Sqrt(8192 * chance * (1 - chance));
        Assert.InRange(Shown(part, known, noise, a, b), (8192 * chance) - (10 * spread), (8192 * chance) + (10 * spread));
    }

    private ulong[] Difference(ulong[] first, ulong[] second)
    {
        ulong[] difference = [.. first];
        _ring.Subtract(difference, second);
        return difference;
    }

    /// <summary>c₀ + c₁·s − round(q·m/t), with the key that nobody holds.</summary>
    private BigInteger[] Noise(TestRound round)
    {
        using SecretWords phase = new(_ring.Words), part = new(_ring.Words);
        round.Sum.First.CopyTo(phase.Span);
        foreach (int member in (int[])[1, 2, 3])
        {
            PartialDecryption.Multiply(_ring, ShamirSharing.Lagrange(_ring, member, [1, 2, 3]), _shares[member - 1].Words, round.Sum.Second, part.Span);
            _ring.Add(phase.Span, part.Span);
        }

        ulong[] message = new ulong[_ring.Words];
        new MessageScale(_ring, _certificate.Descriptor.Parameters.PlainModulus).AddTo(message, round.Expected);
        _ring.Subtract(phase.Span, message);
        return [.. Enumerable.Range(0, _ring.Degree).Select(i => Centred(_ring.Compose(phase.Span, i), _ring.Product))];
    }

    private static BigInteger Centred(BigInteger value, BigInteger modulus)
    {
        BigInteger rest = ((value % modulus) + modulus) % modulus;
        return rest > modulus / 2 ? rest - modulus : rest;
    }
}
