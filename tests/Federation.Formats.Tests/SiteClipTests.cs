using CsCheck;
using Federation.Formats.Runs;
using Federation.Privacy.Accounting;
using Federation.Privacy.SecureAggregation;

namespace Federation.Formats.Tests;

/// <summary>A site as the privacy unit: its vector is bounded whatever it trained, and the clip follows a quantile.</summary>
public sealed class SiteClipTests
{
    private static readonly RunSpec s_run = RunSpec.Parse(PrivacySpecTests.Site, "run.yaml");
    private static readonly PrivacySpec s_privacy = s_run.Privacy!;

    [Fact] // update, vote and the weight that the encoding adds: never longer than the encoding's clip, so that it scales nothing
    public void Vector_OfAnyUpdate_IsWithinTheWholeNorm() =>
        Gen.Select(Gen.Float[-1e20f, 1e20f].Array[1, 40], Gen.Double[-6, 6]).Sample((update, power) =>
        {
            double whole = SiteClip.First(s_privacy) * Math.Pow(10, power / 2);
            float[] vector = SiteClip.Vector(s_privacy, update, whole);
            double weight = SecureEncoding.Of(s_run, update.Length, 50, whole).WeightScale;
            Assert.True(Math.Sqrt(vector.Sum(value => (double)value * value) + (weight * weight)) <= whole);
            bool fits = Math.Sqrt(update.Sum(value => (double)value * value)) <= SiteClip.Of(s_privacy, whole);
            Assert.Equal(fits, vector[^1] > 0);
            if (fits) Assert.Equal(update, vector[..^1]);
        });

    [Fact] // 1000 sites with norms from 0 to 10: half of them are within the clip that it comes to
    public void Next_WithoutNoise_ComesToTheQuantile()
    {
        double whole = SiteClip.First(s_privacy);
        for (int round = 0; round < 200; round++)
        {
            double votes = Enumerable.Range(0, 1000).Average(i => SiteClip.Vector(s_privacy, [i / 100f], whole)[^1]);
            whole = SiteClip.Next(s_privacy, whole, votes);
            Assert.True(SiteClip.IsPossible(s_privacy, whole));
        }

        Assert.InRange(SiteClip.Of(s_privacy, whole), 4.9, 5.1);
    }

    [Fact] // whatever noise says, it stays where it can come back from
    public void Next_WithAnyVote_StaysPossible() => Gen.Double[-1e6, 1e6].Sample(vote => SiteClip.IsPossible(s_privacy, SiteClip.Next(s_privacy, SiteClip.First(s_privacy), vote)));

    [Theory] // σ over the whole vector's norm, whatever the clip has come to; a record can make the vector another one
    [InlineData(14)]
    [InlineData(9000)]
    public void Cost_DoesNotDependOnTheClip(int values)
    {
        double sigma = s_run.Sigma;
        foreach (double factor in new[] { 1, 0.01, 300 })
        {
            UpdateEncoding encoding = SecureEncoding.Of(s_run, values, 50, SiteClip.First(s_privacy) * factor);
            Assert.Equal(PrivacyCost.Epsilon([encoding.Event(36, new SamplingRate(1))], 1e-5), PrivacyCost.Epsilon(PrivacyCost.OfUnit(s_run, null, values, 50, 1, outside: false), 1e-5), 1e-6);
        }

        Assert.InRange(PrivacyCost.Epsilon(PrivacyCost.OfUnit(s_run, null, values, 50, 50, outside: false), 1e-5), 7.9, 8);
        double one = PrivacyCost.Epsilon(PrivacyCost.OfUnit(s_run, null, values, 50, 1, outside: false), 1e-5), charged = PrivacyCost.Epsilon([PrivacyCost.OfRound(s_run, values, 50)], 1e-5);
        Assert.InRange(one, AnalyticGaussian.Epsilon(sigma, 1e-5), AnalyticGaussian.Epsilon(sigma, 1e-5) * 1.01);
        Assert.InRange(charged, AnalyticGaussian.Epsilon(sigma / 2, 1e-5), AnalyticGaussian.Epsilon(sigma / 2, 1e-5) * 1.01);
    }

    [Fact]
    public void IsPossible_WithoutAdaptation_IsTheSpecsOwnAlone()
    {
        PrivacySpec still = s_privacy with { AdaptiveClip = null };
        Assert.True(SiteClip.IsPossible(still, SiteClip.First(still)));
        Assert.False(SiteClip.IsPossible(still, SiteClip.First(still) * 1.0001));
        Assert.False(SiteClip.IsPossible(s_privacy, SiteClip.First(s_privacy) * 3e6));
        Assert.False(SiteClip.IsPossible(s_privacy, double.NaN));
    }
}
