using System.Numerics;
using CsCheck;
using Federation.Privacy.Mechanisms;
using Federation.Privacy.Tests.Accounting;
using Xunit;

namespace Federation.Privacy.Tests.Mechanisms;

public sealed class DiscreteGaussianSamplerTests
{
    private static readonly Gen<double> s_variance = Gen.Double[-3, 29].Select(exponent => Math.Pow(10, exponent));

    [Theory]
    [InlineData(0.5)]
    [InlineData(37.21)] // σ = 6.1
    [InlineData(6400.0)]
    [InlineData(6401.5)]
    [InlineData(1e6)]
    [InlineData(1e6 + 0.125)]
    [InlineData(1e10)]
    [InlineData(1e16)]
    public void Fill_EightMillion_FitsTheDistribution(double variance)
    {
        using SecureRandom random = new();
        long[] values = new long[8_000_000];
        new DiscreteGaussianSampler(variance, random).Fill(values);
        Assert.Null(Fit.Complaint(values, variance));
    }

    [Theory] // what the fit can see
    [InlineData(37.21, 0.99)]
    [InlineData(37.21, 1.01)]
    [InlineData(1e6, 0.99)]
    [InlineData(1e6, 1.01)]
    [InlineData(1e16, 1.01)]
    public void Fit_OnePercentOfVarianceOff_Complains(double variance, double factor)
    {
        using SecureRandom random = new();
        long[] values = new long[8_000_000];
        new DiscreteGaussianSampler(variance * factor, random).Fill(values);
        Assert.NotNull(Fit.Complaint(values, variance));
    }

    // Samplers that are wrong in other ways, made from a right one.
    public static TheoryData<string> Wrongs => [.. s_wrongs.Keys];

    private static readonly Dictionary<string, Func<long[], long[]>> s_wrongs = new()
    {
        ["every value twice"] = values => [.. values.Select((_, i) => values[i / 2])],
        ["pairs of opposite sign"] = values => [.. values.Select((_, i) => i % 2 == 0 ? values[i] : -values[i - 1])],
        ["one sign for eight lanes"] = values => [.. values.Select((value, i) => values[i / 8 * 8] < 0 ? -Math.Abs(value) : Math.Abs(value))],
        ["chunks repeated"] = values => [.. values.Select((_, i) => values[i / 2048 * 1024 + (i % 1024)])],
        ["even values only"] = values => [.. values.Select(value => value & ~1L)],
        ["low bits lost"] = values => [.. values.Select(value => value & ~31L)],
        ["moved by three"] = values => [.. values.Select(value => value + 3)],
        ["cut at 4.5 deviations"] = values => [.. values.Select(value => Math.Abs(value) > 4500 ? 0 : value)],
        ["one-sided tail"] = values => [.. values.Select(value => value < -4200 ? -value : value)],
        ["absurd outliers"] = values => [.. values.Select((value, i) => i % 100_000 == 7 ? 100_000 : value)],
        ["zero too often"] = values => [.. values.Select((value, i) => i % 1000 == 7 ? 0 : value)],
    };

    [Theory] // what else the fit can see
    [MemberData(nameof(Wrongs))]
    public void Fit_WrongInAnotherWay_Complains(string wrong)
    {
        using SecureRandom random = new();
        long[] values = new long[8_000_000];
        new DiscreteGaussianSampler(1e6, random).Fill(values);
        Assert.Null(Fit.Complaint(values, 1e6));
        Assert.NotNull(Fit.Complaint(s_wrongs[wrong](values), 1e6));
    }

    [Fact]
    public void Fill_AnyVarianceAndLength_EqualsThePlainTwin() => Gen.Select(s_variance, Gen.Int[0, 3000], Gen.Byte.Array[32]).Sample((variance, length, key) =>
    {
        using SecureRandom one = SecureRandom.WithKnownKey(key), other = SecureRandom.WithKnownKey(key);
        long[] fast = new long[length], plain = new long[length];
        DiscreteGaussianSampler sampler = new(variance, one);
        sampler.Tables(); // without the exact beginning
        sampler.Fill(fast);
        new DiscreteGaussianSampler(variance, other).FillScalar(plain);
        Assert.Equal(plain, fast);
    }, iter: 60);

    [Fact] // enough draws for ties, one in 2^21
    public void Fill_WithTies_EqualsThePlainTwin()
    {
        byte[] key = [.. Enumerable.Range(0, 32).Select(i => (byte)i)];
        using SecureRandom one = SecureRandom.WithKnownKey(key), other = SecureRandom.WithKnownKey(key);
        long[] fast = new long[1 << 24], plain = new long[1 << 24];
        new DiscreteGaussianSampler(1000, one).Fill(fast);
        new DiscreteGaussianSampler(1000, other).FillScalar(plain);
        Assert.True(fast.AsSpan().SequenceEqual(plain));
    }

    [Fact] // one value at a time: exact ones first, then from tables
    public void Next_ManyTimes_FitsTheDistribution()
    {
        using SecureRandom random = new();
        DiscreteGaussianSampler sampler = new(37.21, random);
        long[] values = new long[4_000_000];
        for (int i = 0; i < values.Length; i++) values[i] = sampler.Next();
        Assert.Null(Fit.Complaint(values, 37.21));
    }

    [Fact] // the words that a column turns into each value are as many as its threshold says: draws have the masses that Mass adds up
    public void Table_EveryColumn_ComparesWithItsThreshold()
    {
        NoiseTable table = new(37.21);
        using SecureRandom random = SecureRandom.WithKnownKey(new byte[32]);
        ReadOnlySpan<uint> entries = table.Entries;
        for (uint column = 0; column < entries.Length; column++)
        {
            uint threshold = entries[(int)column] >> 11;
            int own = (int)column - 1024, alias = (int)(entries[(int)column] & 2047) - 1024;
            int Value(uint fraction) => table.Value((column << 21) | fraction, random);
            foreach (uint fraction in (uint[])[0, threshold / 2, threshold == 0 ? 0 : threshold - 1]) if (fraction < threshold) Assert.Equal(own, Value(fraction));
            foreach (uint fraction in (uint[])[threshold + 1, (threshold + (1u << 21)) / 2, (1u << 21) - 1]) if (fraction > threshold && fraction < 1u << 21) Assert.Equal(alias, Value(fraction));
            Assert.Contains(Value(threshold), (int[])[own, alias]);
        }
    }

    [Fact] // variance = Σ 4^(shifts before)·part, to the last bit; every sum smooth enough
    public void Split_AnyVariance_IsExact() => s_variance.Sample(variance =>
    {
        List<double> parts = [];
        List<int> shifts = [];
        DiscreteGaussianSampler.Split(variance, parts, shifts);
        Assert.All(parts, part => Assert.InRange(part, double.Epsilon, NoiseTable.LargestVariance));
        (BigInteger sum, BigInteger scale) = (0, BigInteger.One << 1100);
        for (int i = parts.Count - 1; i >= 0; i--)
        {
            (BigInteger numerator, BigInteger denominator) = ExactSampler.Fraction(parts[i]);
            BigInteger rest = i < shifts.Count ? sum << (2 * shifts[i]) : sum;
            sum = rest + (numerator * scale / denominator);
            // s² = σ₁²σ₂²/σ² ≥ 4
            if (i < shifts.Count) Assert.True(1000 * numerator * (rest >> (2 * shifts[i])) >= 3999 * sum * denominator);
        }

        (BigInteger n, BigInteger d) = ExactSampler.Fraction(variance);
        Assert.Equal(n * scale / d, sum);
    }, iter: 2000);

    [Theory] // the claim of the class: Pr[x]/Pr[0] of the sum of two tables against e^(−x²/2σ²), in 256-bit integers
    [InlineData(6401.5)]
    [InlineData(25000.0)]
    [InlineData(1e6)]
    public void SumOfTables_AgainstTheExactRatio_IsAsCloseAsClaimed(double variance)
    {
        List<double> parts = [];
        List<int> shifts = [];
        DiscreteGaussianSampler.Split(variance, parts, shifts);
        Assert.Equal(2, parts.Count);
        BigInteger[] low = NoiseTable.Masses(parts[0]), high = NoiseTable.Masses(parts[1]);
        BigInteger At(long x)
        {
            BigInteger sum = 0;
            for (int j = -1023; j < 1024; j++)
            {
                long rest = x - ((long)j << shifts[0]);
                if (Math.Abs(rest) < 1024) sum += low[1024 + rest] * high[1024 + j];
            }

            return sum;
        }

        (BigInteger numerator, BigInteger denominator) = ExactSampler.Fraction(variance);
        double sigma = Math.Sqrt(variance);
        foreach (long x in (long[])[1, 2, 17, (long)sigma, (long)(2.5 * sigma), (long)(5 * sigma)])
        {
            BigInteger exact = At(0) * NoiseTable.ExpOfMinus((denominator * x * x << 256) / (2 * numerator)) >> 256;
            // In units of Pr[0], whose masses are known to 2^-117.
            Assert.True(BigInteger.Abs(At(x) - exact) << 100 < At(0), $"x = {x}");
        }
    }

    [Fact]
    public void Table_AgainstExactProbabilities_Agrees()
    {
        int checks = 0;
        foreach (Dictionary<string, string> row in Reference.Read("discrete_gaussian_moments_extra"))
        {
            double variance = row.Number("sigma_squared");
            if (variance > NoiseTable.LargestVariance) continue;
            NoiseTable table = new(variance);
            foreach (int value in (int[])[0, 1, 5])
            {
                double expected = row.Number($"pmf{value}"), actual = Math.ScaleB((double)table.Mass(value), -128);
                Assert.Equal(expected, actual, (expected * 1e-14) + 1e-38);
                checks++;
            }
        }

        Assert.True(checks >= 9);
    }

    [Fact] // no mass is lost between the exact masses and the alias table
    public void Table_AnyVariance_DrawsItsMasses() => Gen.Double[-3, 3.8].Sample(exponent =>
    {
        double variance = Math.Pow(10, exponent);
        NoiseTable table = new(variance);
        BigInteger[] masses = NoiseTable.Masses(variance);
        foreach (int value in (int[])[-1023, -80, -1, 0, 1, 3, 200, 1023]) Assert.Equal(masses[1024 + value], table.Mass(value));
    }, iter: 10);

    [Fact]
    public void StatisticalDistance_AnyVariance_IsBelowItsBound() => s_variance.Sample(variance =>
    {
        using SecureRandom random = new();
        Assert.InRange(new DiscreteGaussianSampler(variance, random).StatisticalDistance, 0, Math.ScaleB(1, -107));
    }, iter: 20);

    [Theory]
    [InlineData(0.0)]
    [InlineData(-1.0)]
    [InlineData(double.NaN)]
    [InlineData(double.PositiveInfinity)]
    public void Constructor_VarianceOutOfRange_Throws(double variance)
    {
        using SecureRandom random = new();
        Assert.Throws<ArgumentOutOfRangeException>(() => new DiscreteGaussianSampler(variance, random));
        Assert.Throws<ArgumentOutOfRangeException>(() => new ExactSampler(random).DiscreteGaussian(variance));
    }
}
