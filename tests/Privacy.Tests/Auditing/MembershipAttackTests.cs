using Federation.Privacy.Accounting;
using Federation.Privacy.Auditing;
using Federation.Privacy.Mechanisms;
using Binomial = Federation.Privacy.Auditing.Binomial;
using Normal = MathNet.Numerics.Distributions.Normal;

namespace Federation.Privacy.Tests.Auditing;

public sealed class MembershipAttackTests
{
    [Fact] // ln N(x; 2, 1) − ln N(x; 0, 2): sample variances 1 and 4
    public void Score_FittedNormals_IsTheLogLikelihoodRatio()
    {
        MembershipAttack attack = new([1, 2, 3], [-2, 0, 2]);
        foreach (double x in (double[])[-1, 0, 0.7, 3]) Assert.Equal(Normal.PDFLn(2, 1, x) - Normal.PDFLn(0, 2, x), attack.Score(x), 1e-12);
    }

    [Theory]
    [InlineData(0.5, 0)]
    [InlineData(0.9, 2.1972245773362196)]
    [InlineData(0.1, -2.1972245773362196)]
    public void LogitScaled_Probability_IsItsLogit(double confidence, double expected) => Assert.Equal(expected, MembershipAttack.LogitScaled(confidence), 1e-12);

    [Fact]
    public void LogitScaled_OfCertainty_IsFinite()
    {
        Assert.InRange(MembershipAttack.LogitScaled(1), 20, 40);
        Assert.InRange(MembershipAttack.LogitScaled(0), -40, -20);
        Assert.Throws<ArgumentOutOfRangeException>(() => MembershipAttack.LogitScaled(double.NaN));
    }

    [Fact]
    public void Construct_OneValue_IsRefused() => Assert.Throws<ArgumentException>(() => new MembershipAttack([1], [1, 2]));

    [Fact]
    public void Score_EqualValues_StillSeparates() => Assert.True(new MembershipAttack([1, 1, 1], [0, 0, 0]).Score(1) > 0);

    /// <summary>Published quantiles: the one-sided 97.5 % limits for 0 of 10, 1 of 10 and 5 of 10 (Clopper and Pearson 1934; any table of exact binomial limits).</summary>
    [Theory]
    [InlineData(0, 10, 0.3085)]
    [InlineData(1, 10, 0.4450)]
    [InlineData(5, 10, 0.8129)]
    [InlineData(10, 10, 1.0)]
    public void UpperLimit_OfTables_IsTheSame(int successes, int trials, double expected)
    {
        Assert.Equal(expected, Binomial.UpperLimit(successes, trials, 0.025), 5e-5);
        Assert.Equal(1 - expected, Binomial.LowerLimit(trials - successes, trials, 0.025), 5e-5);
    }

    [Theory] // targets of a Gaussian mechanism with μ = 1.5, attacked with the true likelihoods: ε at δ is above the bound in 95 % of seeds
    [InlineData(1.5, 0.0)]
    [InlineData(1.5, 0.05)]
    public void Bound_IndependentTargets_HoldsAndIsNotEmpty(double mu, double delta)
    {
        using SecureRandom random = SecureRandom.WithKnownKey(OneRunAuditTests.Key(5));
        // At δ = 0 a Gaussian mechanism has no ε; only a test at δ > 0 has a true value to hold against.
        double epsilon = delta == 0 ? double.PositiveInfinity : AnalyticGaussian.Epsilon(1 / mu, delta);
        double[] bounds = [.. Enumerable.Range(0, 40).Select(_ => ThresholdAudit.Bound(Runs(random, 150, mu), Runs(random, 400, mu), delta, 0.95).Epsilon)];
        Assert.InRange(bounds.Count(bound => bound > epsilon), 0, 7);
        Assert.InRange(bounds.Average(), 0.6, 4);
    }

    [Fact] // no information at all
    public void Bound_Guessing_IsSeldomAboveZero()
    {
        using SecureRandom random = SecureRandom.WithKnownKey(OneRunAuditTests.Key(6));
        Assert.InRange(Enumerable.Range(0, 60).Count(_ => ThresholdAudit.Bound(Runs(random, 60, 0), Runs(random, 100, 0), 0, 0.95).Epsilon > 0), 0, 9);
    }

    [Fact]
    public void Bound_NobodyOut_IsZero() => Assert.Equal(0, ThresholdAudit.Bound([(1, true), (2, false)], [(1, true), (2, true)], 0, 0.95).Epsilon);

    private static (double Score, bool Included)[] Runs(SecureRandom random, int count, double mu) => [.. Enumerable.Range(0, count).Select(_ =>
    {
        bool included = OneRunAuditTests.Coin(random);
        double x = (included ? mu : 0) + Normal.InvCDF(0, 1, (random.NextUInt64() + 0.5) / 18446744073709551616.0);
        return (mu * x, included);
    })];
}
