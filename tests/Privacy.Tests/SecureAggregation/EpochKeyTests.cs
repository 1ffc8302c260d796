using System.Numerics;
using Federation.Privacy.Homomorphic;
using Federation.Privacy.SecureAggregation;
using Federation.Privacy.Tests.Homomorphic;

namespace Federation.Privacy.Tests.SecureAggregation;

/// <summary>The key of an epoch made by the protocol's own messages, put together from its shares as nobody may: what it is made of, and who could know it.</summary>
public sealed class EpochKeyTests : IDisposable
{
    private const int Members = 5, Threshold = 3;
    private const double FalseAlarms = 1e-8;

    private readonly TestFederation _federation = new(Members, Threshold);
    private readonly EpochCertificate _certificate;
    private readonly CommitteeShare[] _shares;
    private readonly RnsRing _ring;
    private readonly ulong[] _key;

    public EpochKeyTests()
    {
        (_certificate, _shares) = _federation.MakeEpoch();
        _ring = _certificate.Descriptor.Parameters.DataRing;
        _key = Interpolated([1, 2, 3]);
    }

    public void Dispose()
    {
        foreach (CommitteeShare share in _shares) share.Dispose();
        _federation.Dispose();
    }

    [Fact]
    public void Shares_EveryThreeOfFive_GiveTheKeyAndNoFewerDo()
    {
        Assert.All(PlainSharing.Sets(Members, Threshold), set => Assert.Equal(_key, Interpolated(set)));
        List<ulong[]> elements = [_key, .. _shares.Select(share => share.Words.ToArray()), .. PlainSharing.Sets(Members, Threshold - 1).Select(Interpolated)];
        // The key, each share, and what each two give: any two of them agree nowhere; by chance in a word with probability 2⁻⁴³.
        for (int i = 0; i < elements.Count; i++)
        {
            for (int j = 0; j < i; j++) Assert.Equal(0, elements[i].Zip(elements[j]).Count(pair => pair.First == pair.Second));
        }
    }

    [Fact] // two real shares and a key give one polynomial; that of the true key looks as random as that of any other
    public void Shares_TwoOfThem_FitTheKeyNoBetterThanAnother()
    {
        foreach (ulong[] key in (ulong[][])[_key, new ulong[_ring.Words], [.. _shares[4].Words]])
        {
            for (int prime = 0; prime < _ring.Moduli.Count; prime++)
            {
                Modulus q = _ring.Moduli[prime];
                ulong half = q.Inverse(2);
                long[] linear = new long[64], square = new long[64];
                for (int i = prime * _ring.Degree; i < (prime + 1) * _ring.Degree; i++)
                {
                    // f(1) = k + f₁ + f₂, f(2) = k + 2f₁ + 4f₂.
                    ulong first = _shares[0].Words[i], second = _shares[1].Words[i];
                    ulong top = q.Multiply(q.Subtract(q.Add(second, key[i]), q.Add(first, first)), half), middle = q.Subtract(q.Subtract(first, key[i]), top);
                    square[Bin(top, q)]++;
                    linear[Bin(middle, q)]++;
                }

                double[] even = [.. Enumerable.Range(0, 64).Select(bin => (double)(Edge(bin + 1, q) - Edge(bin, q)) / q.Value)];
                Assert.InRange(Frequencies.PValue(linear, even), FalseAlarms, 1);
                Assert.InRange(Frequencies.PValue(square, even), FalseAlarms, 1);
            }
        }

        static int Bin(ulong value, Modulus q) => (int)((UInt128)value * 64 / q.Value);

        static ulong Edge(int bin, Modulus q) => (ulong)((((UInt128)q.Value * (uint)bin) + 63) / 64); // the first value of it
    }

    [Fact]
    public void Key_OfAnEpoch_IsTheSumOfTernarySecretsUnderTheSumOfBinomialErrors()
    {
        ulong[] coefficients = [.. _key];
        _ring.Inverse(coefficients);
        BigInteger[] secret = PlainSharing.Centred(_ring, coefficients);
        AssertDrawnFrom(secret, Sums([1.0 / 3, 1.0 / 3, 1.0 / 3]), variance: Members * 2.0 / 3);

        // −(b + a·s) modulo all four primes.
        RnsRing all = _certificate.Descriptor.Parameters.KeyRing;
        ulong[] error = new ulong[all.Words];
        all.FromSigned([.. secret.Select(value => (int)value)], error);
        all.Forward(error);
        all.Multiply(error, _certificate.Key.Second);
        all.Add(error, _certificate.Key.First);
        all.Negate(error);
        all.Inverse(error);
        double[] binomial = [1];
        for (int bit = 0; bit < 42; bit++) binomial = Convolved(binomial, [0.5, 0.5]);
        AssertDrawnFrom(PlainSharing.Centred(all, error), Sums(binomial), variance: Members * 10.5);
    }

    private ulong[] Interpolated(int[] members) => PlainSharing.Interpolated(_ring, members.ToDictionary(member => member, member => _shares[member - 1].Words.ToArray()));

    /// <summary>Range, frequencies and variance, the last within 5.5 deviations (σ²·√(2/n) is above the deviation of either).</summary>
    /// <param name="probabilities">Of −reach … reach.</param>
    private static void AssertDrawnFrom(BigInteger[] values, double[] probabilities, double variance)
    {
        int reach = probabilities.Length / 2;
        Assert.All(values, value => Assert.InRange(value, -reach, reach));
        long[] counts = new long[probabilities.Length];
        foreach (BigInteger value in values) counts[(int)value + reach]++;
        Assert.InRange(Frequencies.PValue(counts, probabilities), FalseAlarms, 1);
        double spread = 5.5 * variance * Math.Sqrt(2.0 / values.Length);
        Assert.InRange(values.Average(value => (double)(value * value)), variance - spread, variance + spread);
    }

    /// <summary>Of the sum over all members.</summary>
    private static double[] Sums(double[] one) => Enumerable.Repeat(one, Members).Aggregate(Convolved);

    private static double[] Convolved(double[] a, double[] b)
    {
        double[] sum = new double[a.Length + b.Length - 1];
        for (int i = 0; i < a.Length; i++)
        {
            for (int j = 0; j < b.Length; j++) sum[i + j] += a[i] * b[j];
        }

        return sum;
    }
}
