using Federation.Privacy.Accounting;
using Federation.Privacy.Mechanisms;
using Xunit;

namespace Federation.Privacy.Tests.Mechanisms;

public sealed class GridGaussianTests
{
    [Theory]
    [InlineData(1.0, 1.0, 1)]
    [InlineData(0.37, 2.5, 1000)]
    [InlineData(1e-6, 1e-9, 7)]
    [InlineData(5e4, 1.0, 100_000)]
    public void AddNoise_IsOnTheGridWithTheDeviationAndCostsNearlyTheContinuousMechanism(double deviation, double sensitivity, int dimension)
    {
        using SecureRandom random = new();
        GridGaussian mechanism = new(deviation, sensitivity, dimension, random);
        double[] values = new double[dimension];
        double square = 0;
        int releases = Math.Max(1, 200_000 / dimension);
        for (int release = 0; release < releases; release++)
        {
            for (int i = 0; i < dimension; i++) values[i] = sensitivity * Math.Sin(i + 1) / Math.Sqrt(dimension);
            double[] noisy = new double[dimension];
            mechanism.AddNoise(values, noisy);
            Assert.All(noisy, value => Assert.Equal(0, Math.IEEERemainder(value, mechanism.Step)));
            for (int i = 0; i < dimension; i++) square += (noisy[i] - values[i]) * (noisy[i] - values[i]);
        }

        double count = (double)releases * dimension;
        Assert.Equal(deviation, Math.Sqrt(square / count), deviation * 6 / Math.Sqrt(2 * count));
        double multiplier = Assert.IsType<GaussianEvent>(Assert.IsType<InexactEvent>(mechanism.Event).Exact).NoiseMultiplier.Value;
        Assert.InRange(multiplier / (deviation / sensitivity), 0.9998, 1);
    }

    [Theory] // the claim of the class in one dimension: the discrete mechanism costs at most its event
    [InlineData(64.0, 1)]
    [InlineData(64.0, 30)]
    [InlineData(20.0, 7)]
    public void Event_OneDimension_IsAboveTheDiscreteGaussiansOwnCost(double deviation, long sensitivity)
    {
        PldAccountant accountant = new();
        foreach (double delta in (double[])[1e-3, 1e-6, 1e-9])
        {
            double exact = accountant.AtDelta([new DiscreteGaussianEvent(deviation * deviation, sensitivity)], delta, NeighboringRelation.AddOrRemoveOne).Epsilon;
            double claimed = AnalyticGaussian.Epsilon(Math.Sqrt((deviation * deviation) - 4) / sensitivity, delta);
            Assert.True(exact <= claimed * (1 + 1e-4), $"{exact:R} above {claimed:R}");
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(15)]
    [InlineData(64)]
    [InlineData(2051)]
    public void Release_AnyLength_EqualsScalarTwinAndUsesUpTheNoise(int dimension)
    {
        using SecureRandom random = new();
        GridGaussian mechanism = new(0.7, 2, dimension, random);
        long[] noise = new long[dimension];
        mechanism.Draw(noise);
        float[] values = [.. Enumerable.Range(0, dimension).Select(i => (float)Math.Sin(i + 1))], expected = [.. values], exact = [.. values];
        mechanism.ReleaseScalar(expected, noise, 3);
        for (int i = 0; i < dimension; i++) Assert.Equal((exact[i] + (noise[i] * mechanism.Step)) / 3, expected[i], 2e-4);
        mechanism.Release(values, noise, 3);
        Assert.Equal(expected, values);
        Assert.All(noise, value => Assert.Equal(0, value));
    }

    [Theory] // whole steps get the noise that Draw gives from the same key
    [InlineData(1)]
    [InlineData(2051)]
    public void AddNoiseSteps_ToZeros_IsTheNoise(int dimension)
    {
        long[] noise = new long[dimension], sums = new long[dimension];
        using SecureRandom one = SecureRandom.WithKnownKey(new byte[32]), other = SecureRandom.WithKnownKey(new byte[32]);
        new GridGaussian(0.7, 2, dimension, one).Draw(noise);
        new GridGaussian(0.7, 2, dimension, other).AddNoiseSteps(sums);
        Assert.Equal(noise, sums);
        sums[^1] = long.MaxValue - 3;
        Assert.Throws<OverflowException>(() =>
        {
            for (int i = 0; i < 100; i++) new GridGaussian(0.7, 2, dimension, one).AddNoiseSteps(sums);
        });
    }

    [Fact] // a unit that can become anything else within Δ moves the rounded vector by twice what one more unit does
    public void Moved_Twice_HasHalfTheMultiplier()
    {
        using SecureRandom random = new();
        GridGaussian mechanism = new(1.3, 1, 100, random);
        InexactEvent once = Assert.IsType<InexactEvent>(mechanism.Moved(1)), twice = Assert.IsType<InexactEvent>(mechanism.Moved(2));
        Assert.Equal(mechanism.Event, once);
        Assert.Equal(Assert.IsType<GaussianEvent>(once.Exact).NoiseMultiplier.Value / 2, Assert.IsType<GaussianEvent>(twice.Exact).NoiseMultiplier.Value);
        Assert.Equal(once.StatisticalDistance, twice.StatisticalDistance);
        Assert.Throws<ArgumentOutOfRangeException>(() => mechanism.Moved(0));
    }

    [Fact]
    public void Release_NotFiniteOrTooLarge_IsRefusedAndChangesNothing()
    {
        using SecureRandom random = new();
        foreach (float bad in (float[])[float.NaN, float.NegativeInfinity, 3e38f])
        {
            GridGaussian mechanism = new(1, 1, 40, random);
            float[] values = new float[40];
            (values[3], values[37]) = (0.123f, bad);
            Assert.Contains("Value 37 of 40", Assert.Throws<NonFiniteValueException>(() => mechanism.Release(values, new long[40], 1)).Message, StringComparison.Ordinal);
            Assert.Equal(0.123f, values[3]);
        }

        Assert.Throws<ArgumentOutOfRangeException>(() => new GridGaussian(1, 1, 1, random).Release([0f], [0], 0));
    }

    [Fact]
    public void AddNoise_NotFiniteOrTooLarge_IsRefused()
    {
        using SecureRandom random = new();
        GridGaussian mechanism = new(1, 1, 2, random);
        foreach (double bad in (double[])[double.NaN, double.NegativeInfinity, 1e300])
        {
            Assert.Contains("Value 1 of 2", Assert.Throws<NonFiniteValueException>(() => mechanism.AddNoise([0, bad], new double[2])).Message, StringComparison.Ordinal);
        }

        Assert.Throws<ArgumentException>(() => mechanism.AddNoise([0], new double[1]));
        foreach (double bad in (double[])[0, -1, double.NaN, double.PositiveInfinity])
        {
            Assert.Throws<ArgumentOutOfRangeException>(() => new GridGaussian(bad, 1, 1, random));
            Assert.Throws<ArgumentOutOfRangeException>(() => new GridGaussian(1, bad, 1, random));
        }

        Assert.Throws<ArgumentOutOfRangeException>(() => new GridGaussian(1, 1, 0, random));
        Assert.Throws<ArgumentOutOfRangeException>(() => new GridGaussian(1e30, 1e-30, 1, random));
    }
}
