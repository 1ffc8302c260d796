using Federation.Learning.DifferentialPrivacy;
using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning.Tests.DifferentialPrivacy;

/// <summary>The first step finds rules that say something else than they add.</summary>
public sealed class OwnRuleTests
{
    [Theory] // the sum is right, so only the bound would be broken
    [InlineData(1e-6f)]
    [InlineData(0.9f)]
    [InlineData(1.1f)]
    [InlineData(0f)]
    public void Register_NormsOfOtherGradientsThanTheSum_IsRefusedByName(float times)
    {
        using Twins twins = Twins(Rule("scale", (_, squares) => squares * times));
        LearningException error = Assert.Throws<LearningException>(() => Sum(twins));
        Assert.Contains("The rule for Halved gives '2' squared norms that are not those", error.Message, StringComparison.Ordinal);
    }

    [Fact] // right for all but one unit
    public void Register_NormOfOneUnitIsWrong_IsRefused()
    {
        using Twins twins = Twins(Rule("scale", (unit, squares) => where(unit == 3, squares / 2, squares)));
        Assert.Contains("squared norms", Assert.Throws<LearningException>(() => Sum(twins)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Register_RightNormsAndSums_EqualsOneBackwardPassARecord()
    {
        using Twins twins = Twins(Rule("scale", (_, squares) => squares));
        twins.AssertEqual();
    }

    [Fact]
    public void Register_NoPartForAWeight_IsRefusedByName()
    {
        LayerRules rules = new();
        rules.Register<ModelCheckTests.Halved>(_ => []);
        using Twins twins = Twins(rules);
        Assert.Contains("'2.scale' do not add up", Assert.Throws<LearningException>(() => Sum(twins)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void RegisterPerRecord_AMisspelledWeight_NamesItAndTheRightOnes()
    {
        LayerRules rules = new();
        rules.RegisterPerRecord<ModelCheckTests.Halved>((_, call) => new Dictionary<string, Tensor> { ["scales"] = (call.OutputGradient * call.Input).sum(new long[] { 1 }) / 2 });
        using Twins twins = Twins(rules);
        Assert.Contains("The rule for Halved names 'scales', which is no parameter that it can give a gradient of; 'scale' is right.", Assert.Throws<LearningException>(() => Sum(twins)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Register_AMisspelledWeight_NamesItAndTheRightOnes()
    {
        using Twins twins = Twins(Rule("scales", (_, squares) => squares));
        Assert.Contains("names 'scales'", Assert.Throws<LearningException>(() => Sum(twins)).Message, StringComparison.Ordinal);
    }

    private static Twins Twins(LayerRules rules) => new(nn.Sequential(("0", nn.Linear(4, 3)), ("1", nn.Unflatten(1, [1, 3])), ("2", new ModelCheckTests.Halved()), ("3", nn.Linear(3, 2))), randn(7, 4), rules);

    private static float[] Sum(Twins twins) => twins.Sum(PrivateBatch.OneEach([0, 1, 2, 3, 4, 5, 6]), ClippingKind.Flat, [1]);

    private static LayerRules Rule(string parameter, Func<Tensor, Tensor, Tensor> squares)
    {
        LayerRules rules = new();
        rules.Register<ModelCheckTests.Halved>(calls => [new Part(parameter, calls.Units.Sum((calls.Calls[0].OutputGradient * calls.Calls[0].Input).sum(new long[] { 1 }) / 2), squares)]);
        return rules;
    }

    private sealed class Part(string parameter, Tensor perUnit, Func<Tensor, Tensor, Tensor> squares) : GradientPart
    {
        public override Tensor SquaredNorms() => squares(arange(perUnit.shape[0]), perUnit.square().sum(new long[] { 1 }));

        public override void AddSum(Tensor factors, Func<string, Tensor> sums) => sums(parameter).add_((perUnit * factors.unsqueeze(1)).sum(new long[] { 0 }));
    }
}
