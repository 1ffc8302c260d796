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

    [Theory] // Andrew et al. 2021, Theorem 1: together they cost at most what z alone would, with the count's discrete noise too
    [InlineData(1.2, 5.0)]
    [InlineData(0.3, 1.05)]
    [InlineData(1.0, 1.2)]
    [InlineData(2.0, 20.0)]
    public void UpdateNoiseMultiplier_WithTheCount_CostsAtMostTheWhole(double z, double countNoise)
    {
        PldAccountant accountant = new();
        foreach (NeighboringRelation relation in Enum.GetValues<NeighboringRelation>())
        {
            double noise = relation == NeighboringRelation.ReplaceOne ? 2 * countNoise : countNoise;
            double left = AdaptiveClipping.UpdateNoiseMultiplier(z, noise, relation);
            foreach (double delta in (double[])[1e-3, 1e-6])
            {
                double whole = AnalyticGaussian.Epsilon(z, delta);
                double together = accountant.AtDelta([new GaussianEvent(left), new DiscreteGaussianEvent(4 * noise * noise, relation == NeighboringRelation.ReplaceOne ? 2 : 1)], delta, relation).Epsilon;
                Assert.InRange(together, whole * 0.5, whole * (1 + 3e-5));
            }
        }
    }

    [Fact]
    public void UpdateNoiseMultiplier_CountThatCostsMore_IsRefused()
    {
        foreach ((double z, double noise) in (IEnumerable<(double, double)>)[(1.2, 0.6), (0.3, 0.16), (1, 0.51), (1.2, double.NaN)]) Assert.Throws<ArgumentOutOfRangeException>(() => AdaptiveClipping.UpdateNoiseMultiplier(z, noise, NeighboringRelation.AddOrRemoveOne));
        foreach (double z in (double[])[0, -1.2, double.NaN]) Assert.Throws<ArgumentOutOfRangeException>(() => AdaptiveClipping.UpdateNoiseMultiplier(z, 5, NeighboringRelation.AddOrRemoveOne));
    }

    [Fact]
    public void Norm_DrivenByNoiseAlone_StaysPositiveAndFinite()
    {
        using SecureRandom random = new();
        AdaptiveClipping clipping = new(1, 0.5, 1, 1e6, random);
        for (int i = 0; i < 20; i++)
        {
            clipping.Update(0, 1);
            Assert.InRange(clipping.Norm, 1e-30, 1e30);
        }
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
        double sampled = accountant.AtDelta([new RepeatedEvent(clipping.Event(NeighboringRelation.AddOrRemoveOne, 0.01), 1000)], 1e-6, NeighboringRelation.AddOrRemoveOne).Epsilon;
        Assert.InRange(sampled, 0.1, 0.2);
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
