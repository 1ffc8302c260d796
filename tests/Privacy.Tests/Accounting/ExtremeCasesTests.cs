using System.Text.Json;
using Federation.Privacy.Accounting;

namespace Federation.Privacy.Tests.Accounting;

/// <summary>Cases at the edges, with values by mpmath (quadrature of the definition at 30 digits and more) or by direct convolution. Each was once wrong or far off.</summary>
public sealed class ExtremeCasesTests
{
    private const string Rare = """{"mechanism":"gaussian","noiseMultiplier":1,"samplingRate":1e-5}""";

    [Theory] // a tail many orders of magnitude below what a Fourier transform resolves
    [InlineData(Rare, 1e-20, 0.034563)]
    [InlineData("""{"mechanism":"gaussian","noiseMultiplier":0.8,"samplingRate":1e-5}""", 1e-15, 0.042599)]
    [InlineData("""{"mechanism":"gaussian","noiseMultiplier":1,"samplingRate":1e-4}""", 1e-15, 0.094681)]
    [InlineData("""{"mechanism":"gaussian","noiseMultiplier":0.5,"samplingRate":1e-5}""", 1e-6, 4.4045e-4)]
    [InlineData("""{"mechanism":"discrete-gaussian","variance":1.5379,"sensitivity":1,"samplingRate":1e-4}""", 1.6e-14, 0.012929)]
    [InlineData("""{"mechanism":"discrete-gaussian","variance":80.115,"sensitivity":10,"samplingRate":1e-4}""", 9.3e-14, 0.10273)]
    // few atoms, far apart
    [InlineData("""{"mechanism":"discrete-gaussian","variance":0.01134468,"sensitivity":1,"samplingRate":0.01}""", 1.2e-13, 39.47)]
    [InlineData("""{"mechanism":"discrete-gaussian","variance":0.005928201052,"sensitivity":1}""", 5.34e-14, 84.34)]
    [InlineData("""{"mechanism":"discrete-gaussian","variance":0.00723996,"sensitivity":1,"count":30}""", 2.6e-11, 2071.83)]
    [InlineData("""{"mechanism":"discrete-gaussian","variance":0.0304171571932,"sensitivity":1}""", 2.8e-21, 49.31)]
    [InlineData("""{"mechanism":"discrete-gaussian","variance":0.0533081408,"sensitivity":3}""", 4.4e-29, 196.97)]
    [InlineData("""{"mechanism":"discrete-gaussian","variance":0.9316,"sensitivity":2,"samplingRate":1e-6}""", 4.04e-9, 6.121e-4)]
    // losses near nothing
    [InlineData("""{"mechanism":"laplace","scale":629.1436,"sensitivity":1,"samplingRate":0.001}""", 7.936209905e-7, 1.590095e-9)]
    [InlineData("""{"mechanism":"laplace","scale":452.49,"sensitivity":1,"samplingRate":0.001}""", 8.7873325e-8, 2.0363014975e-6)]
    public void Pld_Edge_IsWithinTolerance(string one, double delta, double truth)
    {
        double epsilon = new PldAccountant().AtDelta(Events(one), delta, NeighboringRelation.AddOrRemoveOne).Epsilon;
        Assert.InRange(epsilon, truth * (1 - 1.2e-4), truth * (1 + 1e-3)); // truths above have 4 to 5 digits
    }

    [Theory] // mpmath, 30 digits
    [InlineData(8.5802810008, 1, 512, 0.115191759)]
    [InlineData(11.4925566, 1, 512, 0.0856583003)]
    [InlineData(1.9077182897, 1, 512, 0.522831869)]
    [InlineData(9.14192667, 0.5, 512, 0.0547310624)]
    public void Rdp_LaplaceAtHighOrders_EqualsTheExactValue(double b, double q, double order, double exact) => Assert.Equal(exact, LaplaceRdp.At(b, q, order), exact * 1e-8 + 5e-10);

    [Theory] // E[(1 − q + q·e^L)^s] by a million-step midpoint rule
    [InlineData(0.3, 0.01, 3.7)]
    [InlineData(2, 0.5, 10.9)]
    [InlineData(0.05, 0.001, 1.1)]
    [InlineData(5, 0.1, 63)]
    public void Rdp_SampledLaplace_EqualsTheDefinition(double b, double q, double order)
    {
        double Moment(double s)
        {
            const int Steps = 2_000_000;
            double sum = (0.5 * Math.Exp(s * StepLoss.Sampled(-1 / b, q))) + (0.5 * Math.Exp((-1 / b) + (s * StepLoss.Sampled(1 / b, q))));
            for (int i = 0; i < Steps; i++)
            {
                double x = (i + 0.5) / Steps; // outputs between the two centres
                sum += Math.Exp((-x / b) + (s * StepLoss.Sampled(((2 * x) - 1) / b, q))) / (2 * b) / Steps;
            }

            return Math.Log(sum) / (order - 1);
        }

        double exact = Math.Max(Moment(order), Moment(1 - order));
        Assert.Equal(exact, LaplaceRdp.At(b, q, order), exact * 1e-6);
    }

    [Theory] // direct summation at 30 digits
    [InlineData(1, 0.01, 50.5, 20.5518)]
    [InlineData(1, 0.01, 128, 59.3586)]
    [InlineData(100, 0.01, 1024, 0.513964)]
    [InlineData(4, 0.5, 1024, 127.306)]
    public void Rdp_SampledDiscreteGaussianAtHighOrders_EqualsTheExactValue(double variance, double q, double order, double exact) =>
        Assert.Equal(exact, RenyiDivergence.Of(new DiscreteGaussianEvent(variance, 1, q), NeighboringRelation.AddOrRemoveOne)(order), exact * 4e-6);

    [Fact] // once never answered, or a little too low
    public void Pld_OneSampledStep_IsAnsweredAndExact()
    {
        PldAccountant pld = new();
        Assert.Equal(0.620114477716, pld.AtDelta([new LaplaceEvent(1, 1, 0.5)], 1e-8, NeighboringRelation.ReplaceOne).Epsilon, 1e-5);
        Assert.True(pld.AtDelta([new GaussianEvent(1e-4, 0.5)], 1e-8, NeighboringRelation.ReplaceOne).Epsilon > 1e7);
        Assert.InRange(pld.AtDelta([new LaplaceEvent(81385.66528956621, 1, 1e-6)], 3.2737e-12, NeighboringRelation.AddOrRemoveOne).Epsilon, 5.739720e-12, 5.7398e-12);
    }

    [Fact] // an event that costs much must not vanish beside others
    public void Rdp_NarrowDiscreteGaussian_IsItsLoss()
    {
        RdpAccountant rdp = new();
        double alone = rdp.AtDelta([new DiscreteGaussianEvent(1e-4)], 1e-5, NeighboringRelation.AddOrRemoveOne).Epsilon;
        Assert.InRange(alone, 5000, 5050);
        double with = rdp.AtDelta([new DiscreteGaussianEvent(1e-4), new RepeatedEvent(new GaussianEvent(0.5, 0.5), 100_000)], 1e-5, NeighboringRelation.AddOrRemoveOne).Epsilon;
        Assert.True(with > alone);
        Assert.Equal(5001.386, RenyiDivergence.Of(new DiscreteGaussianEvent(1e-4), NeighboringRelation.AddOrRemoveOne)(1.5), 0.001);
        Assert.Equal(2942.562765, RenyiDivergence.Of(new DiscreteGaussianEvent(1.70e-4), NeighboringRelation.AddOrRemoveOne)(1.5), 1e-5);
    }

    [Theory] // never NaN, never an unnamed exception, whatever the parameters
    [InlineData("""{"mechanism":"discrete-gaussian","variance":4,"sensitivity":1,"samplingRate":0.001,"count":100}""")]
    [InlineData("""{"mechanism":"discrete-laplace","parameter":10,"sensitivity":1000,"samplingRate":1e-6,"count":10}""")]
    [InlineData("""{"mechanism":"discrete-laplace","parameter":800,"sensitivity":1,"samplingRate":0.1}""")]
    [InlineData("""{"mechanism":"laplace","scale":1e-5,"sensitivity":1,"samplingRate":0.1,"count":10}""")]
    [InlineData("""{"mechanism":"discrete-gaussian","variance":1,"sensitivity":100000,"samplingRate":0.5}""")]
    [InlineData("""{"mechanism":"discrete-gaussian","variance":0.0067293,"sensitivity":10,"count":30}""")]
    [InlineData("""{"mechanism":"discrete-gaussian","variance":1e12,"sensitivity":100000,"samplingRate":0.01,"count":10}""")]
    [InlineData("""{"mechanism":"gaussian","noiseMultiplier":0.001,"samplingRate":0.01}""")]
    [InlineData("""{"mechanism":"gaussian","noiseMultiplier":1e-160,"samplingRate":0.1}""")]
    [InlineData("""{"mechanism":"gaussian","noiseMultiplier":1e160,"samplingRate":0.1}""")]
    [InlineData("""{"mechanism":"gaussian","noiseMultiplier":1e-170}""")]
    [InlineData("""{"mechanism":"gaussian","noiseMultiplier":1,"samplingRate":0.01,"count":9200000000000000000}""")]
    [InlineData("""{"mechanism":"laplace","scale":1e-300,"sensitivity":1e300}""")]
    [InlineData("""{"mechanism":"discrete-laplace","parameter":1e300,"sensitivity":1}""")]
    [InlineData("""{"mechanism":"discrete-laplace","parameter":1e-300,"sensitivity":1,"count":5}""")]
    public void AnyAccountant_Extreme_GivesAnOrderedBound(string one)
    {
        IReadOnlyList<PrivacyEvent> events = Events(one);
        double pld = new PldAccountant().AtDelta(events, 1e-8, NeighboringRelation.AddOrRemoveOne).Epsilon;
        double rdp = new RdpAccountant().AtDelta(events, 1e-8, NeighboringRelation.AddOrRemoveOne).Epsilon;
        Assert.True(pld >= 0 && pld <= (rdp * (1 + 1e-5)) + 1e-9, $"PLD {pld}, RDP {rdp}");
        double delta = new PldAccountant().AtEpsilon(events, 1, NeighboringRelation.AddOrRemoveOne).Delta;
        Assert.InRange(delta, 0, 1);
        Assert.True(delta <= new RdpAccountant().AtEpsilon(events, 1, NeighboringRelation.AddOrRemoveOne).Delta + 1e-9);
    }

    [Theory] // the two ways to integrate the sampled Gaussian
    [InlineData(0.01, 0.05, 2.5)]
    [InlineData(0.3, 0.02, 10.9)]
    [InlineData(1e-4, 0.1, 1.1)]
    public void Rdp_SmallNoise_EqualsTheFineTrapezoid(double q, double sigma, double order)
    {
        double low = -13 * sigma, high = order + (13 * sigma), step = 0.2 * sigma * sigma;
        LogSum sum = new();
        for (double x = low; x <= high; x += step)
        {
            double exponent = ((2 * x) - 1) / (2 * sigma * sigma), ratio = exponent > 0 ? exponent + Math.Log(q + ((1 - q) * Math.Exp(-exponent))) : Math.Log(1 - q + (q * Math.Exp(exponent)));
            sum.Add((-x * x / (2 * sigma * sigma)) + (order * ratio));
        }

        double exact = (sum.Value + Math.Log(step / (sigma * Math.Sqrt(2 * Math.PI)))) / (order - 1);
        Assert.Equal(exact, SampledGaussianRdp.At(q, sigma, order), Math.Abs(exact) * 1e-8);
    }

    [Fact]
    public void Functions_OutOfRange_AreRefusedOrInfinite()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => AnalyticGaussian.Delta(1, double.NaN));
        Assert.Throws<ArgumentOutOfRangeException>(() => AnalyticGaussian.Delta(1, -1));
        Assert.Throws<ArgumentOutOfRangeException>(() => AnalyticGaussian.Delta(-1, 1));
        Assert.Equal(double.PositiveInfinity, AnalyticGaussian.Epsilon(0, 1e-5));
        Assert.Equal(1, AnalyticGaussian.Delta(0, 3));
        Assert.Equal(double.PositiveInfinity, ZeroConcentrated.Epsilon(ZeroConcentrated.Rho(new(0)), 1e-5));
        foreach ((double q, double sigma, double order) in (IEnumerable<(double, double, double)>)[(double.NaN, 1, 2), (2, 1, 2), (0, 1, 2), (0.1, -1, 2), (0.1, double.NaN, 2), (0.1, double.PositiveInfinity, 2), (0.1, 1, double.PositiveInfinity), (0.1, 1, 1)])
        {
            Assert.Throws<ArgumentOutOfRangeException>(() => SampledGaussianRdp.At(q, sigma, order));
        }

        foreach (double variance in (double[])[0, -1, double.NaN, double.PositiveInfinity])
        {
            Assert.Throws<ArgumentOutOfRangeException>(() => DiscreteGaussian.Probability(variance, 1));
            Assert.Throws<ArgumentOutOfRangeException>(() => DiscreteGaussian.Variance(variance));
        }

        TradeOff steep = new([new PrivacyLoss(0, 0.9, NeighboringRelation.AddOrRemoveOne), new PrivacyLoss(800, 0.1, NeighboringRelation.AddOrRemoveOne)]);
        Assert.Equal(0.9, steep.FalseNegativeRate(0), 1e-12);
        Assert.Throws<ArgumentOutOfRangeException>(() => Calibration.Steps(new PldAccountant(), new(double.PositiveInfinity, 1e-5, NeighboringRelation.AddOrRemoveOne), new GaussianEvent(1)));
        Assert.Equal(Calibration.MostSteps, Calibration.Steps(new PldAccountant(), new(1, 1e-5, NeighboringRelation.AddOrRemoveOne), new GaussianEvent(100, 1e-5)));
    }

    [Theory] // a step's exact δ near the end of a finite loss
    [InlineData(1.0986, 9.2e-6)]
    [InlineData(0.5, 0.3378)]
    public void RandomizedResponse_OneStep_IsExact(double epsilon, double delta) =>
        Assert.Equal(delta, new PldAccountant().AtEpsilon([new RandomizedResponseEvent(0.5, 2)], epsilon, NeighboringRelation.ReplaceOne).Delta, delta * 0.01);

    [Fact] // the continuous order is at least as good, and for one Gaussian it is the known infimum
    public void ContinuousOrders_AreAtMostTheListAndEqualZeroConcentrated()
    {
        ContinuousRdpAccountant continuous = new();
        foreach (double sigma in (double[])[0.3, 1, 5, 40])
        {
            Assert.Equal(ZeroConcentrated.Epsilon(ZeroConcentrated.Rho(new(sigma)), 1e-6), continuous.AtDelta([new GaussianEvent(sigma)], 1e-6, NeighboringRelation.AddOrRemoveOne).Epsilon, 1e-9);
        }

        foreach (Dictionary<string, string> row in Reference.Read("rdp_epsilon"))
        {
            double epsilon = continuous.AtDelta([new RepeatedEvent(new GaussianEvent(row.Number("sigma"), row.Number("q")), (long)row.Number("steps"))], row.Number("delta"), NeighboringRelation.AddOrRemoveOne).Epsilon;
            Assert.InRange(epsilon, row.Number("eps_pld") * (1 - 1e-4), row.Number("eps_rdp_exact") * (1 + 1e-9));
        }
    }

    private static IReadOnlyList<PrivacyEvent> Events(string one) => PrivacyEventJson.Read(JsonDocument.Parse($"[{one}]").RootElement);
}
