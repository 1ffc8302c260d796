using CsCheck;
using Federation.Privacy.Accounting;

namespace Federation.Privacy.Tests.Accounting;

public sealed class PldAccountantTests
{
    private static readonly PldAccountant s_pld = new();
    private static readonly RdpAccountant s_rdp = new();

    private static readonly Gen<PrivacyEvent> s_event = Gen.OneOf(
        Gen.Select(LogUniform(0.4, 20), LogUniform(0.001, 1), (sigma, q) => (PrivacyEvent)new GaussianEvent(sigma, q > 0.9 ? 1 : q)),
        Gen.Select(LogUniform(0.3, 50), LogUniform(0.01, 1), (b, q) => (PrivacyEvent)new LaplaceEvent(b, 1, q > 0.9 ? 1 : q)),
        Gen.Select(LogUniform(0.2, 400), Gen.Long[1, 4], (variance, sensitivity) => (PrivacyEvent)new DiscreteGaussianEvent(variance, sensitivity)),
        Gen.Select(LogUniform(0.02, 2), Gen.Long[1, 4], (parameter, sensitivity) => (PrivacyEvent)new DiscreteLaplaceEvent(parameter, sensitivity)));

    private static readonly Gen<(PrivacyEvent Event, long Count)> s_run = Gen.Select(s_event, LogUniform(1, 3000), (one, count) => (one, (long)count));

    private static readonly Gen<double> s_delta = LogUniform(1e-12, 0.1);

    [Fact] // the plain twin: quadrature of the definition
    public void AtEpsilon_OneAndTwoSampledSteps_EqualsTheDefinition() => Gen.Select(LogUniform(0.5, 4), LogUniform(0.01, 0.9), Gen.Double[0, 2]).Sample((sigma, q, epsilon) =>
    {
        foreach (int steps in (int[])[1, 2])
        {
            double Plain(PlainLoss loss) => steps == 1 ? loss.Delta(epsilon) : loss.DeltaOfTwo(epsilon);
            double expected = Math.Max(Plain(PlainLoss.Remove(sigma, q)), Plain(PlainLoss.Add(sigma, q)));
            double actual = s_pld.AtEpsilon([new RepeatedEvent(new GaussianEvent(sigma, q), steps)], epsilon, NeighboringRelation.AddOrRemoveOne).Delta;
            Assert.True(actual >= (expected * (1 - 1e-6)) - 1e-12 && actual <= (expected * 1.001) + 1e-9, $"σ {sigma}, q {q}, ε {epsilon}, {steps} steps: {actual:R}, by quadrature {expected:R}");
        }
    }, iter: 5);

    [Fact]
    public void AtEpsilon_ReplaceOneSampled_IsAboveTheTruePairOfOneAndTwoSteps() => Gen.Select(LogUniform(0.3, 3), LogUniform(0.02, 0.9), Gen.Double[0, 2]).Sample((sigma, q, epsilon) =>
    {
        // Sensitivity 1 under ReplaceOne: two units a whole apart, each half from nothing.
        double one = s_pld.AtEpsilon([new GaussianEvent(sigma, q)], epsilon, NeighboringRelation.ReplaceOne).Delta;
        double two = s_pld.AtEpsilon([new RepeatedEvent(new GaussianEvent(sigma, q), 2)], epsilon, NeighboringRelation.ReplaceOne).Delta;
        Assert.True(one >= PlainLoss.Replace(sigma, q).Delta(epsilon) - 1e-9);
        Assert.True(two >= PlainLoss.Replace(sigma, q).DeltaOfTwo(epsilon) - 1e-9);
        // One step: q·δ₀ where e^ε = 1 + q(e^ε₀ − 1).
        double unsampled = Math.Log(1 + ((Math.Exp(epsilon) - 1) / q));
        Assert.Equal(q * AnalyticGaussian.Delta(sigma, unsampled), one, 1e-6 + (1e-3 * one));
    }, iter: 12);

    [Fact] // the grid errs to one side: a coarser one never shows less
    public void Epsilon_FinerGrid_IsNotHigher() => Gen.Select(s_run, s_delta).Sample((run, delta) =>
    {
        StepLoss Step(LossDirection direction) => new(LossPair.Of(run.Event), PldAccountant.Rate(run.Event), direction);
        foreach (LossDirection direction in (LossDirection[])[LossDirection.Remove, LossDirection.Add])
        {
            double At(double gridError)
            {
                LossComposition composition = new([(Step(direction), run.Count)], gridError);
                return composition.Compose(composition.PlanForDelta(Math.Log(delta)), whole: true).Epsilon(delta) is { } answer ? answer.Epsilon : double.PositiveInfinity;
            }

            double coarse = At(1e-4), fine = At(3e-6);
            // What is cut off is planned for each grid, and counts as infinite loss: with single steps of little noise that differs by some 2e-5, both above the exact figure.
            Assert.True(fine <= coarse * (1 + 1e-4), $"{run}, δ {delta}, {direction}: {fine:R} above {coarse:R}");
            Assert.True(coarse <= (fine * 1.001) + 1e-6 || double.IsPositiveInfinity(coarse), $"{run}, δ {delta}, {direction}: {coarse:R} far above {fine:R}");
        }
    }, iter: 30);

    [Fact]
    public void Epsilon_MoreStepsLessNoiseLargerRateSmallerDelta_NeverLower() => Gen.Select(LogUniform(0.5, 8), LogUniform(0.001, 0.5), LogUniform(1, 3000), s_delta, Gen.Double[1.05, 3]).Sample((sigma, q, steps, delta, factor) =>
    {
        foreach (IPrivacyAccountant accountant in (IPrivacyAccountant[])[s_pld, s_rdp])
        {
            double At(double noise, double rate, double count, double d) => accountant.AtDelta([new RepeatedEvent(new GaussianEvent(noise, rate), (long)count)], d, NeighboringRelation.AddOrRemoveOne).Epsilon;
            double here = At(sigma, q, steps, delta) * (1 - 1e-4);
            Assert.True(At(sigma, q, Math.Ceiling(steps * factor), delta) >= here, "steps");
            Assert.True(At(sigma / factor, q, steps, delta) >= here, "noise");
            Assert.True(At(sigma, Math.Min(1, q * factor), steps, delta) >= here, "rate");
            Assert.True(At(sigma, q, steps, delta / factor) >= here, "delta");
        }
    }, iter: 20);

    [Fact]
    public void Epsilon_AnyOrderOrNestingOfEvents_IsTheSame() => Gen.Select(s_run, s_run, s_run, s_delta).Sample((a, b, c, delta) =>
    {
        RepeatedEvent first = new(a.Event, a.Count), second = new(b.Event, b.Count), third = new(c.Event, c.Count);
        foreach (IPrivacyAccountant accountant in (IPrivacyAccountant[])[s_pld, s_rdp])
        {
            double one = accountant.AtDelta([first, second, third], delta, NeighboringRelation.AddOrRemoveOne).Epsilon;
            double other = accountant.AtDelta([new ComposedEvent([third, new RepeatedEvent(a.Event, 1)]), new RepeatedEvent(second, 1), new RepeatedEvent(a.Event, Math.Max(1, a.Count - 1))], delta, NeighboringRelation.AddOrRemoveOne).Epsilon;
            if (a.Count > 1) Assert.Equal(one, other, 1e-4 * one);
        }
    }, iter: 15);

    [Fact]
    public void Epsilon_ByPld_IsAtMostByRdp() => Gen.Select(s_run, s_run, s_delta).Sample((a, b, delta) =>
    {
        List<PrivacyEvent> events = [new RepeatedEvent(a.Event, a.Count), new RepeatedEvent(b.Event, b.Count)];
        double pld = s_pld.AtDelta(events, delta, NeighboringRelation.AddOrRemoveOne).Epsilon, rdp = s_rdp.AtDelta(events, delta, NeighboringRelation.AddOrRemoveOne).Epsilon;
        Assert.True(pld <= rdp * (1 + 1e-5), $"{a}, {b}, δ {delta}: PLD {pld:R}, RDP {rdp:R}");
    }, iter: 40);

    [Fact]
    public void EpsilonOfDelta_WhereDeltaFalls_ComesBack() => Gen.Select(s_run, LogUniform(1e-10, 0.01)).Sample((run, delta) =>
    {
        List<PrivacyEvent> events = [new RepeatedEvent(run.Event, run.Count)];
        double epsilon = s_pld.AtDelta(events, delta, NeighboringRelation.AddOrRemoveOne).Epsilon;
        if (epsilon == 0) return;
        double back = s_pld.AtEpsilon(events, epsilon, NeighboringRelation.AddOrRemoveOne).Delta;
        if (back < 0.9 * delta) return; // at a cliff of δ: not strictly decreasing there
        double again = s_pld.AtDelta(events, Math.Min(0.99, back), NeighboringRelation.AddOrRemoveOne).Epsilon;
        Assert.True(Math.Abs(again - epsilon) <= (2e-4 * epsilon) + 1e-6, $"{run}: ε({delta}) = {epsilon:R}, δ there {back:R}, ε of that {again:R}");
    }, iter: 30);

    [Theory] // one Gaussian, against the exact formula, through the whole machine (a second, nearly free event keeps it from the short cut)
    [InlineData(1, 1e-300)]
    [InlineData(0.1, 1e-200)]
    [InlineData(30, 1e-20)]
    [InlineData(0.02, 1e-6)]
    [InlineData(1000, 1e-9)]
    public void Epsilon_ExtremeDeltaOrNoise_StaysTight(double sigma, double delta)
    {
        LossComposition composition = new([(new StepLoss(new GaussianLossPair(sigma), 1, LossDirection.Remove), 1)]);
        (double Epsilon, bool Loose)? answer = composition.Compose(composition.PlanForDelta(Math.Log(delta)), whole: false).Epsilon(delta);
        double exact = AnalyticGaussian.Epsilon(sigma, delta);
        Assert.NotNull(answer);
        Assert.InRange(answer.Value.Epsilon, exact, exact * 1.0001);
    }

    [Theory]
    [InlineData(0.5, 5.0, 1_000_000)]
    [InlineData(0.001, 50.0, 10_000_000)]
    public void Epsilon_VeryLongRuns_StayFiniteAndBelowRdp(double q, double sigma, long steps)
    {
        RepeatedEvent run = new(new GaussianEvent(sigma, q), steps);
        double pld = s_pld.AtDelta([run], 1e-6, NeighboringRelation.AddOrRemoveOne).Epsilon, rdp = s_rdp.AtDelta([run], 1e-6, NeighboringRelation.AddOrRemoveOne).Epsilon;
        Assert.InRange(pld, 0.3 * rdp, rdp);
    }

    [Fact]
    public void Epsilon_NoiseFurtherThanExact_CostsItsStatisticalDistance()
    {
        const double Delta = 1e-6, Distance = 1e-12;
        DiscreteGaussianEvent exact = new(100);
        InexactEvent inexact = new(exact, Distance);
        foreach (IPrivacyAccountant accountant in (IPrivacyAccountant[])[s_pld, s_rdp])
        {
            double epsilon = accountant.AtDelta([new RepeatedEvent(inexact, 100)], Delta, NeighboringRelation.AddOrRemoveOne).Epsilon;
            double expected = accountant.AtDelta([new RepeatedEvent(exact, 100)], Delta - ((1 + Math.Exp(epsilon)) * 100 * Distance), NeighboringRelation.AddOrRemoveOne).Epsilon;
            Assert.Equal(expected, epsilon, 1e-6);
            Assert.Equal(double.PositiveInfinity, accountant.AtDelta([new RepeatedEvent(inexact, 100)], 1e-9, NeighboringRelation.AddOrRemoveOne).Epsilon);
        }
    }

    [Fact]
    public void Epsilon_NoNoise_IsInfinite()
    {
        foreach (IPrivacyAccountant accountant in (IPrivacyAccountant[])[s_pld, s_rdp])
        {
            foreach (PrivacyEvent one in (PrivacyEvent[])[new GaussianEvent(0), new LaplaceEvent(0), new DiscreteGaussianEvent(0), new DiscreteLaplaceEvent(double.PositiveInfinity)])
            {
                Assert.Equal(double.PositiveInfinity, accountant.AtDelta([one], 1e-5, NeighboringRelation.AddOrRemoveOne).Epsilon);
                Assert.Equal(1, accountant.AtEpsilon([one], 1, NeighboringRelation.AddOrRemoveOne).Delta);
            }

            Assert.Equal(0, accountant.AtDelta([], 1e-5, NeighboringRelation.AddOrRemoveOne).Epsilon);
        }
    }

    [Fact]
    public void RandomizedResponse_UnderReplaceOne_IsItsLogRatio()
    {
        // Own category 1 − p + p/k = 0.8, each other 0.1: ε = ln 8 at δ = 0.
        RandomizedResponseEvent response = new(0.3, 3);
        Assert.Equal(Math.Log(8), s_pld.AtDelta([response], 1e-12, NeighboringRelation.ReplaceOne).Epsilon, 1e-9);
        Assert.Equal(0.7, s_pld.AtEpsilon([response], 0, NeighboringRelation.ReplaceOne).Delta, 1e-6);
        Assert.Throws<UnsupportedEventException>(() => s_pld.AtDelta([response], 1e-5, NeighboringRelation.AddOrRemoveOne));
    }

    [Fact]
    public void Accountants_BadInput_NameIt()
    {
        foreach (double delta in (double[])[0, 1, -1, 2, double.NaN]) Assert.Throws<ArgumentOutOfRangeException>(() => s_pld.AtDelta([], delta, NeighboringRelation.AddOrRemoveOne));
        foreach (double epsilon in (double[])[-1, double.NaN, double.PositiveInfinity]) Assert.Throws<ArgumentOutOfRangeException>(() => s_rdp.AtEpsilon([], epsilon, NeighboringRelation.AddOrRemoveOne));
        foreach (double order in (double[])[1, 0.5, double.NaN, double.PositiveInfinity]) Assert.Throws<ArgumentOutOfRangeException>(() => new RdpAccountant([order]));
        foreach (double rate in (double[])[0, -0.1, 1.1, double.NaN]) Assert.Throws<ArgumentOutOfRangeException>(() => new GaussianEvent(1, rate));
        foreach (double noise in (double[])[-1, double.NaN, double.PositiveInfinity]) Assert.Throws<ArgumentOutOfRangeException>(() => new GaussianEvent(noise));
        Assert.Throws<ArgumentOutOfRangeException>(() => new RepeatedEvent(new GaussianEvent(1), 0));
        PrivacyEvent many = new RepeatedEvent(new RepeatedEvent(new GaussianEvent(1), long.MaxValue), 2);
        Assert.Throws<OverflowException>(() => s_pld.AtDelta([many], 1e-5, NeighboringRelation.AddOrRemoveOne));
        Assert.Throws<UnsupportedEventException>(() => s_rdp.AtDelta([new GaussianEvent(1, 0.5)], 1e-5, NeighboringRelation.ReplaceOne));
    }

    private static Gen<double> LogUniform(double low, double high) => Gen.Double[Math.Log(low), Math.Log(high)].Select(Math.Exp);
}
