using Federation.Privacy.Accounting;
using Federation.Privacy.SecureAggregation;
using Xunit;

namespace Federation.Privacy.Tests.SecureAggregation;

public sealed class UpdateEncodingTests
{
    private static readonly UpdateLayout s_two = UpdateLayout.Choose(14, 10); // L = 26214

    [Fact] // C = 6553.5, γ = 1/2, d = 100: C² + 100/16 + (C + 2.5)/2
    public void Sensitivity_WithoutNoise_IsTheHandDerivedOne()
    {
        UpdateEncoding encoding = UpdateEncoding.AnyWeight(s_two, 99, 6553.5, 1, null, 6553.5, 0);
        Assert.Equal((0.5, 13107.0, 100), (encoding.Grid, encoding.CutSteps, encoding.Dimension));
        Assert.Equal(42_951_646.5, encoding.SquaredSensitivity, 0.0001);
        Assert.True(encoding.SquaredSensitivity >= 42_951_646.5);
        Assert.Equal((UInt128)(42_951_646 * 4) + 2, encoding.LargestSquaredNorm);
        Assert.Equal(0, encoding.RangeErrorProbability);
        Assert.Equal(double.PositiveInfinity, encoding.ConcentratedEpsilon(10));
        Assert.Equal(double.PositiveInfinity, encoding.Rho(10));
    }

    [Fact] // γ = (6534.75 + 9·2)/(13107 − 1.5) = 1/2; Δ² = C² + C/2 + 7.5; n = 4 and, one colluding, 3
    public void Rho_WithNoise_IsTheHandDerivedOne()
    {
        UpdateEncoding encoding = new(s_two, 99, 6534.75, 1, null, 6534.75, 4);
        Assert.Equal((0.5, 4.0), (encoding.Grid, encoding.NoiseDeviationSteps));
        Assert.Equal(42_706_232.4375, encoding.SquaredSensitivity, 0.0001);
        Assert.Equal(42_706_232.4375 / 32, encoding.Rho(4), 1e-5);
        Assert.Equal(42_706_232.4375 / 24, encoding.Rho(3), 1e-5);
        Assert.Equal(Math.Sqrt(42_706_232.4375 / 16), encoding.ConcentratedEpsilon(4), 1e-8);
        Assert.InRange(encoding.RangeErrorProbability / RangeError, 1, 1 + 1e-9);
    }

    [Fact] // (C_u + γ√d)², and no rounding is drawn again
    public void Sensitivity_OfARecordWithinASite_IsTheHandDerivedOne()
    {
        UpdateEncoding encoding = new(s_two, 99, 6534.75, 1, null, 6534.75, 4, unitClip: 12);
        Assert.Equal(17 * 17, encoding.SquaredSensitivity, 1e-9); // γ√d = 5
        Assert.True(encoding.SquaredSensitivity >= 17 * 17);
        Assert.Equal(UInt128.MaxValue, encoding.LargestSquaredNorm);
        InexactEvent cost = Assert.IsType<InexactEvent>(encoding.Event(3, new SamplingRate(0.1)));
        GaussianEvent gaussian = Assert.IsType<GaussianEvent>(cost.Exact);
        Assert.Equal(Math.Sqrt((3 * 16) - 4) * 0.5 / 17, gaussian.NoiseMultiplier.Value, 1e-12);
        Assert.Equal(0.1, gaussian.SamplingRate.Value);
        Assert.InRange(cost.StatisticalDistance, RangeError, 1.01 * RangeError);
        Assert.IsType<NonPrivateEvent>(UpdateEncoding.AnyWeight(s_two, 99, 6553.5, 1, null, 6553.5, 0).Event(3, SamplingRate.All));
        Assert.Equal("noisySites", Assert.Throws<ArgumentOutOfRangeException>(() => encoding.Event(11, SamplingRate.All)).ParamName);
    }

    [Theory] // by enumeration: what one coordinate really opens, with and without one record that moves it by as many steps as it can
    [InlineData(1, 2.5, 1)]
    [InlineData(2, 2.1, 0.3)]
    [InlineData(3, 4, 0.05)]
    public void Event_OfASharedNoise_IsAboveTheTrueLoss(int sites, double steps, double rate)
    {
        const double grid = 1.0 / 13105;
        double variance = Math.Pow(steps * grid, 2);
        UpdateEncoding encoding = new(s_two, 1, 1, 0.5f, null, 1, variance, unitClip: 4 * grid);
        int shift = (int)(Math.Sqrt(encoding.SquaredSensitivity) / encoding.Grid);
        Assert.Equal(5, shift);
        double[] noise = [1];
        for (int site = 0; site < sites; site++) noise = Convolve(noise, DiscreteGaussianOf(encoding.NoiseDeviationSteps));
        int length = noise.Length + shift;
        double[] without = new double[length], with = new double[length];
        for (int i = 0; i < length; i++)
        {
            without[i] = i < noise.Length ? noise[i] : 0;
            with[i] = ((1 - rate) * without[i]) + (rate * (i >= shift ? noise[i - shift] : 0));
        }

        foreach (double epsilon in new[] { 0, 0.1, 0.5, 1.5, 3 })
        {
            double exact = Math.Max(Beyond(with, without), Beyond(without, with));
            double bound = new PldAccountant().AtEpsilon([encoding.Event(sites, new SamplingRate(rate))], epsilon, NeighboringRelation.AddOrRemoveOne).Delta;
            Assert.True(exact <= bound, $"ε {epsilon}: δ is {exact:R}, above {bound:R}");
            Assert.True(bound < 0.1 + (2 * exact) || sites == 1);

            double Beyond(double[] one, double[] other) => one.Zip(other).Sum(pair => Math.Max(0, pair.First - (Math.Exp(epsilon) * pair.Second)));
        }
    }

    private static double[] DiscreteGaussianOf(double deviation)
    {
        int reach = (int)(12 * deviation);
        double[] weights = [.. Enumerable.Range(-reach, (2 * reach) + 1).Select(x => Math.Exp(-(double)x * x / (2 * deviation * deviation)))];
        double sum = weights.Sum();
        return [.. weights.Select(weight => weight / sum)];
    }

    private static double[] Convolve(double[] one, double[] other)
    {
        double[] sum = new double[one.Length + other.Length - 1];
        for (int i = 0; i < one.Length; i++)
        {
            for (int j = 0; j < other.Length; j++) sum[i + j] += one[i] * other[j];
        }

        return sum;
    }

    private const double RangeError = 7.17362587329945678e-18; // 2·100·Pr[N(0,1) > 9.125]

    [Theory] // coarse noise, so that τ is seen; each of the two bounds is the least of some
    [InlineData(12, 3, 0.5, 50, 10.63120945565168)]
    [InlineData(12, 3, 0.9, 50, 2.025515086657684)]
    [InlineData(12, 1, 0.9, 50, 3.464101615137755)]
    [InlineData(0.0001, 4, 0.6, 1000, 13.36382929774466)]
    [InlineData(10000, 2, 0.5, 50, 71.30781845261509)]
    public void ConcentratedEpsilon_OfCoarseNoise_IsTheHandDerivedOne(double squaredRatio, int sites, double steps, int dimension, double expected) =>
        Assert.Equal(expected, UpdateEncoding.ConcentratedEpsilon(squaredRatio, sites, steps, dimension), expected * 1e-10);

    [Fact]
    public void Cut_WithRotation_IsSixDeviationsOfAnEvenCoordinate()
    {
        UpdateEncoding encoding = new(s_two, 10_000, 2, 1, new byte[32], null, 0);
        Assert.Equal(10_240, encoding.Dimension);
        Assert.Equal(3, encoding.Blocks);
        Assert.Equal(12 / Math.Sqrt(10_240), encoding.Cut, 1e-15);
        Assert.Equal(encoding.Cut * 2 / 26214, encoding.Grid, 1e-18);
        Assert.Equal(0.1, new UpdateEncoding(s_two, 10_000, 2, 1, new byte[32], 0.1, 0).Cut);
        Assert.Equal(2048, new UpdateEncoding(s_two, 2047, 2, 1, new byte[32], null, 0).Dimension);
        Assert.Equal(4096, new UpdateEncoding(s_two, 2048, 2, 1, new byte[32], null, 0).Dimension);
    }

    [Theory] // the range holds the cut value, one step for its rounding, 9σ and half a step
    [InlineData(0.001)]
    [InlineData(0.01)]
    [InlineData(1)]
    [InlineData(50)]
    public void Grid_WithNoise_HoldsNineDeviations(double variance)
    {
        UpdateEncoding encoding = new(s_two, 5000, 10, 1, null, 3, variance);
        Assert.True(encoding.NoiseDeviationSteps >= 2);
        double largest = Math.Ceiling(encoding.CutSteps);
        Assert.True(26214 + 1e-6 >= (2 * (largest + (9 * encoding.NoiseDeviationSteps))) + 1);
        Assert.InRange(encoding.RangeErrorProbability, 1e-16, 5001 * 2.3e-19);
    }

    [Fact]
    public void LeastLevels_OfSomeNoise_IsWhereTheEncodingBegins()
    {
        double cut = 1, variance = 0.0004; // σ = 0.02: 239 levels
        Assert.Equal(239, UpdateEncoding.LeastLevels(cut, variance));
        string message = Assert.Throws<UpdateLayoutException>(() => new UpdateEncoding(UpdateLayout.Choose(7, 1000), 10, 2, 1, null, cut, variance)).Message; // 130 levels
        Assert.Contains("at least 2 are needed", message, StringComparison.Ordinal);
        Assert.Contains("at least 8 bits", message, StringComparison.Ordinal);
        UpdateEncoding encoding = new(UpdateLayout.Choose(8, 1000), 10, 2, 1, null, cut, variance);
        Assert.True(encoding.NoiseDeviationSteps >= 2);
        Assert.Contains("leave no room", Assert.Throws<UpdateLayoutException>(() => new UpdateEncoding(UpdateLayout.Choose(1, 1), 10, 2, 1, null, cut, variance)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Direct_MoreThanOneCiphertext_IsRefused()
    {
        UpdateLayout direct = UpdateLayout.ChooseDirect(20, 100);
        Assert.Equal(4, new UpdateEncoding(direct, 8191, 1, 1, null, 1, 0).Blocks);
        Assert.Contains("8193 values", Assert.Throws<UpdateLayoutException>(() => new UpdateEncoding(direct, 8192, 1, 1, null, 1, 0)).Message, StringComparison.Ordinal);
    }

    [Fact] // a weight beyond the cut, or finer than the grid, would be opened as another without a sign of it
    public void Weight_ThatGridOrCutDoNotHold_IsRefused()
    {
        UpdateLayout layout = UpdateLayout.Choose(14, 10);
        Assert.Contains("beyond the cut of 0.05: a scale of the weight of at most 0.005", Refused(0.1f, 10), StringComparison.Ordinal);
        Assert.Contains("less than 16 grid steps", Refused(1e-6f, 1), StringComparison.Ordinal);
        Assert.Contains("clipping norm", Assert.Throws<UpdateLayoutException>(() => new UpdateEncoding(layout, 4000, 10, 11, new byte[32], null, 0)).Message, StringComparison.Ordinal);
        UpdateEncoding encoding = new(layout, 4000, 10, 0.005f, null, 0.05, 0, largestWeight: 10);
        Assert.Contains("in (0, 10]", Assert.Throws<ArgumentOutOfRangeException>(() => UpdateEncoder.Prepare(encoding, new float[4000], 10.1, new byte[32])).Message, StringComparison.Ordinal);

        string Refused(float scale, double largest) => Assert.Throws<UpdateLayoutException>(() => new UpdateEncoding(layout, 4000, 10, scale, null, 0.05, 0, largest)).Message;
    }

    [Fact]
    public void SamplerDistance_OfAnUpload_IsThatOfAllItsValues()
    {
        UpdateEncoding encoding = new(s_two, 9_999, 10, 1, null, 3, 0.1);
        Assert.InRange(encoding.SamplerDistance, 10_000 * Math.Pow(2, -120), 10_000 * Math.Pow(2, -107));
        Assert.Equal(0, new UpdateEncoding(s_two, 9_999, 10, 1, null, 3, 0).SamplerDistance);
    }

    [Fact]
    public void BadArguments_AreNamed()
    {
        static void Refused(string name, int values = 10, double clip = 1, float scale = 1, byte[]? seed = null, double? cut = 1, double variance = 0) =>
            Assert.Equal(name, Assert.ThrowsAny<ArgumentException>(() => new UpdateEncoding(s_two, values, clip, scale, seed, cut, variance)).ParamName);
        Refused("values", values: 0);
        Refused("values", values: int.MaxValue);
        foreach (double clip in (double[])[0, -1, double.NaN, double.PositiveInfinity, 1e300]) Refused("clip", clip: clip);
        foreach (float scale in (float[])[0, -1, float.NaN, float.PositiveInfinity]) Refused("weightScale", scale: scale);
        Refused("rotationSeed", seed: new byte[31]);
        foreach (double? cut in (double?[])[null, 0, -1, 1.5, double.NaN, 1e-12]) Refused("cut", cut: cut);
        foreach (double variance in (double[])[-1, double.NaN, double.PositiveInfinity]) Refused("noiseVariance", variance: variance);
        UpdateEncoding encoding = new(s_two, 10, 1, 1, null, 1, 0.1);
        Assert.Throws<ArgumentOutOfRangeException>(() => encoding.Rho(0));
        Assert.Throws<ArgumentOutOfRangeException>(() => encoding.ConcentratedEpsilon(11));
    }
}
