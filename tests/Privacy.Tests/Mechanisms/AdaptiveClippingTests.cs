using Federation.Privacy.Accounting;
using Federation.Privacy.Mechanisms;
using Xunit;

namespace Federation.Privacy.Tests.Mechanisms;

public sealed class AdaptiveClippingTests
{
    [Theory]
    [InlineData(0.5, 0.001)]
    [InlineData(0.5, 1000.0)]
    [InlineData(0.9, 1.0)]
    public void Norm_ManyRounds_IsTheQuantile(double quantile, double initial)
    {
        using SecureRandom random = new();
        AdaptiveClipping clipping = new(initial, quantile, 0.2, countNoise: 10, random);
        double[] norms = [.. Enumerable.Range(1, 200).Select(i => i / 20.0)]; // 0.05 … 10
        double sum = 0;
        for (int round = 0; round < 400; round++)
        {
            clipping.Update(norms.Sum(clipping.Vote), norms.Length);
            if (round >= 200) sum += Math.Log(clipping.Norm);
        }

        Assert.Equal(quantile * 10, Math.Exp(sum / 200), 0.06 * quantile * 10);
    }

    [Fact] // Andrew et al. 2021, Theorem 1: together they cost what z alone would
    public void UpdateNoiseMultiplier_WithTheCount_CostsTheWhole()
    {
        const double Z = 1.2, CountNoise = 5;
        double left = AdaptiveClipping.UpdateNoiseMultiplier(Z, CountNoise);
        Assert.Equal(1 / (Z * Z), (1 / (left * left)) + (1 / (4 * CountNoise * CountNoise)), 1e-12);
        Assert.Throws<ArgumentOutOfRangeException>(() => AdaptiveClipping.UpdateNoiseMultiplier(1.2, 0.6));
    }

    [Fact]
    public void Event_IsTheVotesOwn()
    {
        using SecureRandom random = new();
        AdaptiveClipping clipping = new(1, 0.5, 0.2, 5, random);
        PldAccountant accountant = new();
        double one = accountant.AtDelta([clipping.Event(NeighboringRelation.AddOrRemoveOne)], 1e-6, NeighboringRelation.AddOrRemoveOne).Epsilon;
        Assert.Equal(AnalyticGaussian.Epsilon(10, 1e-6), one, 0.01 * one);
        double replaced = accountant.AtDelta([clipping.Event(NeighboringRelation.ReplaceOne)], 1e-6, NeighboringRelation.ReplaceOne).Epsilon;
        Assert.Equal(AnalyticGaussian.Epsilon(5, 1e-6), replaced, 0.01 * replaced);
        AdaptiveClipping open = new(1, 0.5, 0.2, 0, random);
        Assert.Equal(double.PositiveInfinity, accountant.AtDelta([open.Event(NeighboringRelation.AddOrRemoveOne)], 1e-6, NeighboringRelation.AddOrRemoveOne).Epsilon);
    }

    [Fact]
    public void BadArguments_AreRefused()
    {
        using SecureRandom random = new();
        Assert.Throws<ArgumentOutOfRangeException>(() => new AdaptiveClipping(0, 0.5, 0.2, 1, random));
        Assert.Throws<ArgumentOutOfRangeException>(() => new AdaptiveClipping(1, 1.5, 0.2, 1, random));
        Assert.Throws<ArgumentOutOfRangeException>(() => new AdaptiveClipping(1, 0.5, double.NaN, 1, random));
        Assert.Throws<ArgumentOutOfRangeException>(() => new AdaptiveClipping(1, 0.5, 0.2, -1, random));
        Assert.Throws<ArgumentOutOfRangeException>(() => new AdaptiveClipping(1, 0.5, 0.2, 1, random).Update(3, 0));
    }
}
