using System.Numerics;
using System.Security.Cryptography;
using System.Runtime.InteropServices;
using Federation.Privacy.Homomorphic;
using Federation.Privacy.Mechanisms;

namespace Federation.Privacy.Tests.Homomorphic;

/// <summary>Each test raises a false alarm with probability 2·10⁻⁷ or less.</summary>
public sealed class RingSamplerTests
{
    private const int Draws = 1 << 20;
    private const double FalseAlarms = 1e-7;

    private static readonly double[] s_ternary = [1.0 / 3, 1.0 / 3, 1.0 / 3];

    /// <summary>Pr[x] = C(42, 21 + x)/2⁴².</summary>
    private static readonly double[] s_binomial = [.. Enumerable.Range(0, 43).Select(k => Binomial(42, k) / Math.Pow(2, 42))];

    [Fact]
    public void Ternary_ManyDraws_AreUniformAndIndependent() => Assert.Null(Frequencies.Complaint(Drawn(RingSampler.Ternary), -1, s_ternary, FalseAlarms));

    [Fact]
    public void Binomial_ManyDraws_HaveTheProbabilitiesAndAreIndependent()
    {
        int[] values = Drawn(RingSampler.Binomial);
        Assert.Null(Frequencies.Complaint(values, -21, s_binomial, FalseAlarms));
        double square = 0, fourth = 0;
        foreach (int value in values)
        {
            double x = (double)value * value;
            square += x;
            fourth += x * x;
        }

        // σ² = 10.5; the variance of a square is E[x⁴] − σ⁴ ≈ 2·σ⁴. 5.5 deviations: 4e-8.
        Assert.InRange(square / Draws, 10.5 - (5.5 * 10.5 * Math.Sqrt(2.0 / Draws)), 10.5 + (5.5 * 10.5 * Math.Sqrt(2.0 / Draws)));
        // E[x⁴] = 3σ⁴ − σ²/2 = 325.5; its deviation is below √96·σ⁴.
        Assert.InRange(fourth / Draws, 325.5 - (5.5 * 1081 / Math.Sqrt(Draws)), 325.5 + (5.5 * 1081 / Math.Sqrt(Draws)));
    }

    [Theory] // other samplers, each nearly right
    [InlineData("shifted", true)]
    [InlineData("two bits modulo 3", true)]
    [InlineData("four bits modulo 3", true)]
    [InlineData("each twice", true)]
    [InlineData("with memory of the last", true)]
    [InlineData("none zero", true)]
    [InlineData("20 and 21 bits", false)]
    [InlineData("20 and 20 bits", false)]
    [InlineData("22 and 21 bits", false)]
    [InlineData("rounded Gaussian", false)]
    [InlineData("overlapping bits", false)]
    [InlineData("each twice", false)]
    [InlineData("a sum, not a difference", false)]
    public void Complaint_AWrongSampler_IsCaught(string kind, bool ternary)
    {
        ulong[] words = new ulong[16 * Draws / 8];
        RandomNumberGenerator.Fill(MemoryMarshal.AsBytes(words.AsSpan()));
        int[] right = Drawn(ternary ? RingSampler.Ternary : RingSampler.Binomial), values = [.. right];
        for (int i = 0; i < values.Length; i++)
        {
            ulong word = words[i];
            values[i] = kind switch
            {
                "shifted" => right[i] + 1,
                "two bits modulo 3" => (int)(word & 3) % 3 - 1,
                "four bits modulo 3" => (int)(word & 15) % 3 - 1,
                "each twice" => right[i & ~1],
                "with memory of the last" => i > 0 && word % 50 == 0 ? values[i - 1] : right[i],
                "none zero" => right[i] == 0 ? (int)(word & 2) - 1 : right[i],
                "20 and 21 bits" => Ones(word, 20) - Ones(word >> 32, 21),
                "20 and 20 bits" => Ones(word, 20) - Ones(word >> 32, 20),
                "22 and 21 bits" => Ones(word, 22) - Ones(word >> 32, 21),
                "rounded Gaussian" => (int)Math.Round(3.2 * Math.Sqrt(-2 * Math.Log(1 - ((word >> 32) / 4294967296.0))) * Math.Cos(2 * Math.PI * (word & uint.MaxValue) / 4294967296.0)),
                "overlapping bits" => Ones(word, 21) - Ones(word >> 20, 21),
                _ => Ones(word, 21) + Ones(word >> 32, 21) - 20,
            };
        }

        Assert.NotNull(Frequencies.Complaint(values, ternary ? -1 : -21, ternary ? s_ternary : s_binomial, FalseAlarms));

        static int Ones(ulong word, int bits) => BitOperations.PopCount(word & ((1UL << bits) - 1));
    }

    [Fact] // primes at both ends of their bits: 2^b less a little (few words drawn again) and 2^(b−1) and a little more (half of them)
    public void Uniform_ManyDraws_FillEveryPrimeEvenly()
    {
        const int Degree = 1 << 15, Repeats = 8, Bins = 64;
        ulong justAbove = (1UL << 45) + 1;
        while (!new Modulus(justAbove).IsPrime()) justAbove += 2 * Degree;
        RnsRing ring = new(Degree, [RingInputs.Prime(60, Degree), justAbove, RingInputs.Prime(20, Degree)]);
        using SecureRandom random = new();
        long[,] high = new long[3, Bins], pairs = new long[3, Bins], across = new long[3, Bins], low = new long[3, Bins];
        ulong[] element = new ulong[ring.Words];
        for (int repeat = 0; repeat < Repeats; repeat++)
        {
            RingSampler.Uniform(random, ring, element);
            Assert.True(ring.IsCanonical(element));
            for (int i = 0; i < 3; i++)
            {
                for (int j = 0; j < Degree; j++)
                {
                    high[i, Bin(i, j, Bins)]++;
                    low[i, (int)(element[(i * Degree) + j] % Bins)]++;
                    if (j % 2 == 0) pairs[i, (Bin(i, j, 8) * 8) + Bin(i, j + 1, 8)]++;
                    across[i, (Bin(i, j, 8) * 8) + Bin((i + 1) % 3, j, 8)]++;
                }
            }
        }

        // q is no multiple of the number of bins: for the smallest, 2²⁰, a relative 6e-5, far below what 2¹⁸ draws show.
        double[] even = [.. Enumerable.Repeat(1.0 / Bins, Bins)];
        foreach (long[,] table in (long[][,])[high, low, pairs, across])
        {
            for (int i = 0; i < 3; i++) Assert.True(Frequencies.PValue([.. Enumerable.Range(0, Bins).Select(bin => table[i, bin])], even) > FalseAlarms / 12);
        }

        int Bin(int prime, int place, int bins) => (int)((UInt128)element[(prime * Degree) + place] * (uint)bins / ring.Moduli[prime].Value);
    }

    [Fact]
    public void Samplers_AnyLength_FillAll()
    {
        using SecureRandom random = new();
        foreach (int length in (int[])[0, 1, 511, 512, 513, 1025])
        {
            int[] values = [.. Enumerable.Repeat(int.MaxValue, length)];
            RingSampler.Ternary(random, values);
            Assert.All(values, value => Assert.InRange(value, -1, 1));
            values.AsSpan().Fill(int.MaxValue);
            RingSampler.Binomial(random, values);
            Assert.All(values, value => Assert.InRange(value, -21, 21));
        }
    }

    private static int[] Drawn(Sampler sampler)
    {
        using SecureRandom random = new();
        int[] values = new int[Draws];
        sampler(random, values);
        return values;
    }

    private delegate void Sampler(SecureRandom random, Span<int> values);

    private static double Binomial(int n, int k)
    {
        double value = 1;
        for (int i = 1; i <= k; i++) value = value * (n - k + i) / i;
        return value;
    }
}
