using System.Numerics;
using Federation.Privacy.Homomorphic;

namespace Federation.Privacy.Tests.Homomorphic;

/// <summary>Where messages lie in ciphertexts, and how they are read: the kernels against their twins.</summary>
public sealed class MessageScaleTests
{
    private const int Degree = 64;

    private static readonly ulong[] s_plainModuli = [2, 3, 4, 5, 257, 1 << 16, 65537, 1032193, (1UL << 31) - 1, 1UL << 40, 1UL << 59, (1UL << 59) + 1, (1UL << 60) - 1, RingInputs.Prime(60, 4096, 3)];

    public static TheoryData<int, ulong> Cases
    {
        get
        {
            TheoryData<int, ulong> cases = [];
            for (int chain = 0; chain < RingInputs.Rings(16).Count(); chain++)
            {
                foreach (ulong t in s_plainModuli) cases.Add(chain, t);
            }

            return cases;
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void AddTo_EdgesAndAnyMessage_EqualsTheTwin(int chain, ulong t)
    {
        RnsRing ring = RingInputs.Rings(Degree).ElementAt(chain);
        if (t >= ring.Product || BigInteger.GreatestCommonDivisor(t, ring.Product) != 1) return;
        for (int repeat = 0; repeat < 10; repeat++)
        {
            ulong[] message = [.. Enumerable.Range(0, Degree).Select(j => (ulong)RingInputs.Value(j, t))];
            message[^1] = Border(ring.Product, t);
            BigInteger[] before = [.. Enumerable.Range(0, Degree).Select(j => RingInputs.Value((j + 2) % 9, ring.Product))];
            ulong[] element = RingInputs.Element(ring, j => before[j]);
            new MessageScale(ring, new Modulus(t)).AddTo(element, message);
            Assert.True(ring.IsCanonical(element));
            Assert.Equal(before.Zip(message, (b, m) => (b + MessageScale.Plain(ring.Product, t, m)) % ring.Product), RingInputs.Composed(ring, element));
        }
    }

    [Fact] // issue 5: the twin was the nearest integer, which for odd t is not what SEAL takes
    public void Plain_OddTJustBelowAHalf_IsSealsRounding()
    {
        foreach (ulong t in s_plainModuli)
        {
            BigInteger q = RingInputs.Rings(Degree).ElementAt(6).Product;
            ulong border = Border(q, t);
            BigInteger seals = (q / t * border) + (((q % t * border) + ((t + 1) / 2)) / t), floor = q * border / t;
            Assert.Equal(seals, MessageScale.Plain(q, t, border));
            if (t % 2 == 1) Assert.Equal(floor + 1, MessageScale.Plain(q, t, border));
        }
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Round_AnyPhaseAndBesideTheBorders_EqualsTheTwin(int chain, ulong t)
    {
        RnsRing ring = RingInputs.Rings(Degree).ElementAt(chain);
        BigInteger q = ring.Product;
        if (t >= q || BigInteger.GreatestCommonDivisor(t, q) != 1) return;
        MessageRounding rounding = new(ring, new Modulus(t));
        // What the fractions may lack: 2·L·2⁻⁶⁴ of t·x/q.
        BigInteger lack = (2 * ring.Moduli.Count * q / t >> 64) + 1;
        for (int repeat = 0; repeat < 10; repeat++)
        {
            BigInteger[] phases = [.. Enumerable.Range(0, Degree).Select(j =>
            {
                BigInteger border = ((2 * RingInputs.Value(j % 6, t)) + 1) * q / (2 * t);
                return (j % 3) switch
                {
                    0 => Away(RingInputs.Value(j / 3, q)),
                    1 => border, // the last place that is rounded down
                    _ => (border + 1 + lack) % q,
                };
            })];
            ulong[] element = RingInputs.Element(ring, j => phases[j]), message = new ulong[Degree];
            rounding.Round(element, message);
            Assert.Equal(phases.Select(phase => MessageRounding.Plain(q, t, phase)), message);
        }

        // (q + 1)/2 is such a place for an odd t.
        BigInteger Away(BigInteger phase) => ((2 * t * phase) + q) % (2 * q) < 2 * t * (lack + 1) ? phase + lack : phase;
    }

    [Theory]
    [MemberData(nameof(Cases))]
    public void Round_OfAScaledMessage_GivesItBack(int chain, ulong t)
    {
        RnsRing ring = RingInputs.Rings(Degree).ElementAt(chain);
        if (16 * (BigInteger)t >= ring.Product || BigInteger.GreatestCommonDivisor(t, ring.Product) != 1) return;
        ulong[] message = [.. Enumerable.Range(0, Degree).Select(j => (ulong)RingInputs.Value(j, t))], element = new ulong[ring.Words], back = new ulong[Degree];
        new MessageScale(ring, new Modulus(t)).AddTo(element, message);
        new MessageRounding(ring, new Modulus(t)).Round(element, back);
        Assert.Equal(message, back);
    }

    /// <summary>The message whose scaled value lies just below a half: (q mod t)·m = (t − 1)/2 modulo t.</summary>
    private static ulong Border(BigInteger q, ulong t)
    {
        if (t % 2 == 0) return t / 2;
        BigInteger inverse = 1, rest = q % t;
        for ((BigInteger r, BigInteger next, BigInteger s) = (t, rest, 0); next != 0;)
        {
            BigInteger quotient = r / next;
            (r, next) = (next, r - (quotient * next));
            (s, inverse) = (inverse, s - (quotient * inverse));
            if (next != 0) continue;
            inverse = s;
            break;
        }

        return (ulong)((((inverse * ((t - 1) / 2)) % t) + t) % t);
    }
}
