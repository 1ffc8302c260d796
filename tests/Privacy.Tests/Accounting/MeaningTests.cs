using Federation.Privacy.Accounting;

namespace Federation.Privacy.Tests.Accounting;

public sealed class MeaningTests
{
    private static readonly PldAccountant s_pld = new();

    [Theory] // Dong, Roth, Su 2022: a Gaussian's trade-off is Φ(Φ⁻¹(1 − α) − 1/σ)
    [InlineData(1.0)]
    [InlineData(3.0)]
    public void TradeOff_Gaussian_IsJustBelowTheExactOne(double sigma)
    {
        TradeOff curve = TradeOff.Of(s_pld, [new GaussianEvent(sigma)], NeighboringRelation.AddOrRemoveOne, Enumerable.Range(1, 400).Select(i => i / 50.0));
        foreach (double alpha in (double[])[0.001, 0.01, 0.1, 0.5, 0.9])
        {
            double exact = MathNet.Numerics.Distributions.Normal.CDF(0, 1, MathNet.Numerics.Distributions.Normal.InvCDF(0, 1, 1 - alpha) - (1 / sigma));
            Assert.InRange(curve.FalseNegativeRate(alpha), exact - 2e-4, exact + 1e-9);
        }

        Assert.Equal(AnalyticGaussian.Delta(sigma, 0), curve.Advantage, 1e-9);
        Assert.Equal((1 + curve.Advantage) / 2, curve.AttackSuccess);
        Assert.Equal(0, curve.Posterior(0, 0.01));
        Assert.InRange(curve.Posterior(0.5, 0.01), 0.5, 1);
    }

    [Fact] // sensitivity grows k-fold, so the exact ε of the group is below the general bound
    public void ForGroup_Gaussian_IsAboveTheExactGroup()
    {
        PrivacyLoss one = s_pld.AtDelta([new GaussianEvent(5)], 1e-8, NeighboringRelation.AddOrRemoveOne), three = one.ForGroup(3);
        Assert.True(AnalyticGaussian.Epsilon(5.0 / 3, three.Delta) <= three.Epsilon);
        Assert.Equal(3 * one.Epsilon, three.Epsilon, 1e-12);
        Assert.Equal(9 * ZeroConcentrated.Rho(new(5)), ZeroConcentrated.RhoForGroup(ZeroConcentrated.Rho(new(5)), 3), 1e-12);
        Assert.Equal(3e-9, new PrivacyLoss(0, 1e-9, NeighboringRelation.AddOrRemoveOne).ForGroup(3).Delta, 1e-15);
    }

    [Fact]
    public void Calibration_StepsAndRate_JustMeetTheTarget()
    {
        PrivacyLoss target = new(2, 1e-5, NeighboringRelation.AddOrRemoveOne);
        double Epsilon(double rate, long steps) => s_pld.AtDelta([new RepeatedEvent(new GaussianEvent(1, rate), steps)], 1e-5, NeighboringRelation.AddOrRemoveOne).Epsilon;
        long steps = Calibration.Steps(s_pld, target, new GaussianEvent(1, 0.01));
        Assert.True(Epsilon(0.01, steps) <= 2 && Epsilon(0.01, steps + 1) > 2 * (1 - 1e-5));
        double rate = Calibration.SamplingRate(s_pld, target, q => [new RepeatedEvent(new GaussianEvent(new NoiseMultiplier(1), q), 500)]).Value;
        Assert.True(Epsilon(rate, 500) <= 2 && Epsilon(rate * 1.0001, 500) > 2);
        Assert.Equal(0, Calibration.Steps(s_pld, target, new GaussianEvent(0.1)));
        Assert.Throws<UnreachableTargetException>(() => Calibration.NoiseMultiplier(s_pld, target, noise => [new GaussianEvent(noise, SamplingRate.All), new LaplaceEvent(0.1)]));
    }
}
