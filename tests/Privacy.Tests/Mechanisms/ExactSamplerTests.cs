using System.Numerics;
using Federation.Privacy.Mechanisms;
using Xunit;

namespace Federation.Privacy.Tests.Mechanisms;

public sealed class ExactSamplerTests
{
    [Theory]
    [InlineData(0.5)]
    [InlineData(2.0)]
    [InlineData(37.21)]
    public void DiscreteGaussian_ManyDraws_FitTheDistribution(double variance)
    {
        using SecureRandom random = new();
        ExactSampler sampler = new(random);
        long[] values = new long[1_000_000];
        for (int i = 0; i < values.Length; i++) values[i] = (long)sampler.DiscreteGaussian(variance);
        Assert.Null(Fit.Complaint(values, variance));
    }

    [Theory]
    [InlineData(1, 2)]
    [InlineData(7, 3)]
    [InlineData(20, 1)]
    public void DiscreteLaplace_ManyDraws_HaveTheProbabilities(int numerator, int denominator)
    {
        using SecureRandom random = new();
        ExactSampler sampler = new(random);
        Dictionary<BigInteger, int> counts = [];
        const int Draws = 200_000;
        for (int i = 0; i < Draws; i++)
        {
            BigInteger value = sampler.DiscreteLaplace(numerator, denominator);
            counts[value] = counts.GetValueOrDefault(value) + 1;
        }

        double inverse = (double)denominator / numerator;
        for (int x = -5; x <= 5; x++)
        {
            double expected = Draws * Math.Tanh(inverse / 2) * Math.Exp(-inverse * Math.Abs(x));
            Assert.InRange(counts.GetValueOrDefault(x), expected - (6 * Math.Sqrt(expected + 1)), expected + (6 * Math.Sqrt(expected + 1)));
        }
    }

    [Theory] // the double's exact value, subnormals too
    [InlineData(1.0, 1, 0)]
    [InlineData(0.375, 3, 3)]
    [InlineData(double.Epsilon, 1, 1074)]
    [InlineData(6400.0, 6400, 0)]
    public void Fraction_ADouble_IsExact(double value, int numerator, int shift)
    {
        (BigInteger n, BigInteger d) = ExactSampler.Fraction(value);
        Assert.Equal(n << shift, numerator * d);
    }

    [Fact]
    public void Scale_NotPositive_Throws()
    {
        using SecureRandom random = new();
        ExactSampler sampler = new(random);
        Assert.Throws<ArgumentOutOfRangeException>(() => sampler.DiscreteLaplace(0, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => sampler.DiscreteLaplace(1, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => sampler.DiscreteGaussian(-1, 1));
        Assert.Throws<ArgumentOutOfRangeException>(() => sampler.DiscreteGaussian(1, 0));
    }
}
