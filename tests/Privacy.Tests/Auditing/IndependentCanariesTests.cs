using Federation.Privacy.Accounting;
using Federation.Privacy.Auditing;
using Federation.Privacy.Mechanisms;
using Normal = MathNet.Numerics.Distributions.Normal;

namespace Federation.Privacy.Tests.Auditing;

public sealed class IndependentCanariesTests
{
    [Theory] // of 1,000 canaries: at most one honest run in 20 is called broken, half the noise nearly always
    [InlineData(0.4)]
    [InlineData(0.75)]
    [InlineData(1.5)]
    public void PValue_HalfTheNoise_IsRefutedAndTheWholeIsNot(double mu)
    {
        using SecureRandom random = SecureRandom.WithKnownKey(OneRunAuditTests.Key(3));
        double success = TradeOff.Of(new PldAccountant(), [new GaussianEvent(1 / mu)], NeighboringRelation.AddOrRemoveOne, []).AttackSuccess;
        Assert.Equal(Normal.CDF(0, 1, mu / 2), success, 1e-4);
        double[] honest = [.. Enumerable.Range(0, 100).Select(_ => IndependentCanaries.PValue(Guesses(random, 1000, mu), success))];
        Assert.InRange(honest.Count(value => value < 0.05), 0, 12); // 5 are expected at most; more than 12 happen in fewer than one key of 300
        Assert.InRange(Enumerable.Range(0, 100).Count(_ => IndependentCanaries.PValue(Guesses(random, 1000, 2 * mu), success) < 0.05), 97, 100);
    }

    [Theory]
    [InlineData(0.5)]
    [InlineData(1.0)]
    [InlineData(2.0)]
    public void GaussianEpsilon_GaussianCanaries_HoldsAndIsClose(double mu)
    {
        using SecureRandom random = SecureRandom.WithKnownKey(OneRunAuditTests.Key(4));
        double epsilon = AnalyticGaussian.Epsilon(1 / mu, 1e-5);
        double[] bounds = [.. Enumerable.Range(0, 100).Select(_ => IndependentCanaries.GaussianEpsilon(Guesses(random, 2000, mu), 1e-5, 0.95))];
        Assert.InRange(bounds.Count(bound => bound > epsilon), 0, 12);
        Assert.InRange(bounds.Average(), 0.75 * epsilon, epsilon);
    }

    [Fact]
    public void GaussianEpsilon_Guessing_IsZero() => Assert.Equal(0, IndependentCanaries.GaussianEpsilon(new(100, 100, 52), 1e-5, 0.95));

    [Fact]
    public void PValue_NoPrivacyClaimed_IsOne() => Assert.Equal(1, IndependentCanaries.PValue(new(10, 10, 10), 1));

    private static CanaryGuesses Guesses(SecureRandom random, int canaries, double mu)
    {
        bool[] included = [.. Enumerable.Range(0, canaries).Select(_ => OneRunAuditTests.Coin(random))];
        double[] scores = [.. included.Select(coin => (coin ? mu : 0) + Normal.InvCDF(0, 1, (random.NextUInt64() + 0.5) / 18446744073709551616.0))];
        return CanaryGuesses.Of(scores, included, canaries);
    }
}
