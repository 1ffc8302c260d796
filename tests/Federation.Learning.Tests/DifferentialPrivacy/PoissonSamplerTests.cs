using Federation.Learning.DifferentialPrivacy;
using Federation.Privacy.Mechanisms;

namespace Federation.Learning.Tests.DifferentialPrivacy;

public sealed class PoissonSamplerTests
{
    [Theory] // false alarms: each of the two tests once in a million runs
    [InlineData(40, 0.3)]
    [InlineData(1000, 0.004)]
    [InlineData(513, 0.5)]
    public void Next_ManySamples_SizesAreBinomialAndUnitsAlike(int units, double rate)
    {
        const int Samples = 20_000;
        using SecureRandom random = new();
        PoissonSampler sampler = new(units, new(rate), random);
        double[] sizes = new double[units + 1], chosen = new double[units];
        for (int i = 0; i < Samples; i++)
        {
            List<int> sample = sampler.Next();
            sizes[sample.Count]++;
            foreach (int unit in sample) chosen[unit]++;
        }

        double[] expected = [.. Binomial(units, rate).Select(probability => probability * Samples)];
        List<double> terms = Pooled(sizes, expected);
        AssertFits(terms, terms.Count - 1);
        double variance = Samples * rate * (1 - rate);
        AssertFits([.. chosen.Select(count => (count - (Samples * rate)) * (count - (Samples * rate)) / variance)], units);
    }

    [Fact] // false alarms: 1 in a million
    public void Next_TwoUnits_AreChosenIndependently()
    {
        const int Samples = 40_000;
        using SecureRandom random = new();
        PoissonSampler sampler = new(2, new(0.25), random);
        double both = 0;
        for (int i = 0; i < Samples; i++) both += sampler.Next().Count == 2 ? 1 : 0;
        Assert.Equal(Samples / 16.0, both, 4.9 * Math.Sqrt(Samples / 16.0 * 15 / 16));
    }

    [Fact]
    public void Next_RateOne_TakesEveryUnit()
    {
        using SecureRandom random = new();
        PoissonSampler sampler = new(1000, new(1), random);
        for (int i = 0; i < 20; i++) Assert.Equal(Enumerable.Range(0, 1000), sampler.Next());
    }

    [Theory]
    [InlineData(1e-19)] // below 2⁻⁶³
    [InlineData(1e-30)] // rounded down to none
    public void Next_TinyRate_TakesNone(double rate)
    {
        using SecureRandom random = new();
        PoissonSampler sampler = new(100_000, new(rate), random);
        for (int i = 0; i < 10; i++) Assert.Empty(sampler.Next());
    }

    [Fact]
    public void PoissonSampler_NoUnits_IsRefused()
    {
        using SecureRandom random = new();
        Assert.Throws<ArgumentOutOfRangeException>(() => new PoissonSampler(-1, new(1), random));
    }

    /// <summary>Sizes with fewer than eight expected go together.</summary>
    private static List<double> Pooled(double[] seen, double[] expected)
    {
        List<double> terms = [];
        double have = 0, want = 0;
        for (int i = 0; i < seen.Length; i++)
        {
            have += seen[i];
            want += expected[i];
            if (want < 8 || expected[(i + 1)..].Sum() is > 0 and < 8) continue;
            terms.Add((have - want) * (have - want) / want);
            (have, want) = (0, 0);
        }

        return terms;
    }

    /// <summary>χ² by Wilson and Hilferty 1931: its cube root is normal.</summary>
    private static void AssertFits(IReadOnlyList<double> terms, double degrees)
    {
        double width = 2 / (9 * degrees);
        double normal = (Math.Cbrt(terms.Sum() / degrees) - (1 - width)) / Math.Sqrt(width);
        Assert.InRange(normal, -4.9, 4.9);
    }

    private static IEnumerable<double> Binomial(int n, double p)
    {
        double log = n * Math.Log(1 - p);
        for (int k = 0; k <= n; k++)
        {
            yield return Math.Exp(log);
            log += Math.Log((n - k) / (k + 1.0) * (p / (1 - p)) + 1e-300);
        }
    }
}
