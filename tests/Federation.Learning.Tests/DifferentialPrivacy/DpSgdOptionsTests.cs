using Federation.Learning.DifferentialPrivacy;

namespace Federation.Learning.Tests.DifferentialPrivacy;

public sealed class DpSgdOptionsTests
{
    [Fact]
    public void ToParameters_NothingGiven_NamesEverySettingThatPrivacyNeeds()
    {
        OptionsException error = Assert.Throws<OptionsException>(() => new DpSgdOptions().ToParameters());
        foreach (string name in (string[])["Clipping", "ClippingNorm", "NoiseMultiplier", "SamplingRate", "ExpectedBatchSize"])
        {
            Assert.Contains(error.Errors, line => line.StartsWith($"{name} is missing;", StringComparison.Ordinal));
        }

        Assert.Equal(5, error.Errors.Count);
    }

    [Theory]
    [InlineData(double.NaN)]
    [InlineData(0.0)]
    [InlineData(-1.0)]
    [InlineData(double.PositiveInfinity)]
    public void ToParameters_NumberThatCannotBe_IsRefusedByName(double bad)
    {
        OptionsException error = Assert.Throws<OptionsException>(() =>
            new DpSgdOptions { Clipping = ClippingKind.Flat, ClippingNorm = bad, NoiseMultiplier = bad, SamplingRate = bad, ExpectedBatchSize = bad, Stability = bad, PhysicalBatchSize = 0 }.ToParameters());
        foreach (string name in (string[])["ClippingNorm", "NoiseMultiplier", "SamplingRate", "ExpectedBatchSize", "Stability", "PhysicalBatchSize"])
        {
            Assert.Contains(error.Errors, line => line.StartsWith($"{name} is ", StringComparison.Ordinal));
        }
    }

    [Fact]
    public void ToParameters_LayerNorms_BelongToPerLayerClippingAlone()
    {
        DpSgdOptions options = Valid();
        options.LayerNorms = [1, 2];
        Assert.Equal(2, Assert.Throws<OptionsException>(options.ToParameters).Errors.Count); // flat, and a norm beside
        (options.Clipping, options.ClippingNorm) = (ClippingKind.PerLayer, null);
        Assert.Equal([1.0, 2.0], options.ToParameters().LayerNorms!);
        options.LayerNorms = [1, 0];
        Assert.Single(Assert.Throws<OptionsException>(options.ToParameters).Errors);
    }

    internal static DpSgdOptions Valid() => new() { Clipping = ClippingKind.Flat, ClippingNorm = 1, NoiseMultiplier = 1, SamplingRate = 0.25, ExpectedBatchSize = 8 };
}
