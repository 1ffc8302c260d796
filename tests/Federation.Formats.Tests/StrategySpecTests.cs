using Federation.Formats.Runs;

namespace Federation.Formats.Tests;

public sealed class StrategySpecTests
{
    private const string Base = """
        name: heart-disease
        data: { schema: heart-disease.schema.yaml }
        model: { kind: logistic }
        task: { kind: binary-classification, label: disease }
        rounds: 50
        seed: 42
        cohort: { sites: all, minContributors: 5, deadline: 10m }
        local: { optimizer: { kind: sgd, learningRate: 0.5 }, batchSize: 16 }
        secureAggregation: none
        privacy: none
        strategy: 
        """;

    [Theory]
    [InlineData("{ kind: fedavg }", StrategyKind.FedAvg, "")]
    [InlineData("{ kind: fedavgm }", StrategyKind.FedAvgM, "learningRate 1, momentum 0.9")]
    [InlineData("{ kind: fedadam, beta2: 0.5 }", StrategyKind.FedAdam, "learningRate 0.1, beta1 0.9, beta2 0.5, tau 0.001")]
    [InlineData("{ kind: fedadagrad, tau: 0.01 }", StrategyKind.FedAdagrad, "learningRate 0.1, beta1 0, tau 0.01")]
    [InlineData("{ kind: fedyogi, learningRate: 2 }", StrategyKind.FedYogi, "learningRate 2, beta1 0.9, beta2 0.99, tau 0.001")]
    [InlineData("{ kind: median }", StrategyKind.Median, "")]
    [InlineData("{ kind: trimmed-mean, trim: 0.2 }", StrategyKind.TrimmedMean, "trim 0.2")]
    [InlineData("{ kind: krum, keep: 2 }", StrategyKind.Krum, "malicious 1, keep 2")]
    [InlineData("{ kind: norm-bound, maxNorm: 3 }", StrategyKind.NormBound, "maxNorm 3")]
    [InlineData("{ kind: custom, name: my-own, parameters: { alpha: 0.5, b: 2 } }", StrategyKind.Custom, "alpha 0.5, b 2")]
    public void Parse_AKind_IsReadWithItsDefaults(string yaml, StrategyKind kind, string numbers)
    {
        StrategySpec strategy = RunSpec.Parse(Base + yaml, "run.yaml").Strategy;
        Assert.Equal((kind, numbers), (strategy.Kind, string.Join(", ", strategy.Numbers.Select(number => FormattableString.Invariant($"{number.Key} {number.Value}")))));
        Assert.Equal(kind == StrategyKind.Custom ? "my-own" : null, strategy.Name);
    }

    [Theory]
    [InlineData("{ kind: fedadm }", "strategy.kind", "Did you mean 'fedadam'?")]
    [InlineData("{ kind: fedprox, mu: 0.1 }", "strategy.kind", "Write local: { …, proximal: 0.01 }")]
    [InlineData("{ kind: fedadam, momentum: 0.9 }", "strategy.momentum", "belongs to fedavgm")]
    [InlineData("{ kind: fedavg, learningRate: 0.1 }", "strategy.learningRate", "fedavgm and fedadagrad and fedadam and fedyogi")]
    [InlineData("{ kind: fedavgm, momentum: 1 }", "strategy.momentum", "[0, 1)")]
    [InlineData("{ kind: trimmed-mean, trim: 0.5 }", "strategy.trim", "[0, 0.5)")]
    [InlineData("{ kind: krum, malicious: 1.5 }", "strategy.malicious", "whole")]
    [InlineData("{ kind: krum, malicious: 2 }", "strategy", "needs 7 updates; cohort.minContributors is 5")]
    [InlineData("{ kind: norm-bound }", "strategy.maxNorm", "missing")]
    [InlineData("{ kind: median, name: mine }", "strategy.name", "kind: custom")]
    [InlineData("{ kind: custom }", "strategy.name", "missing")]
    [InlineData("{ kind: custom, name: mine, parameters: { alpha: much } }", "strategy.parameters", "alpha is 'much'")]
    [InlineData("{ kind: custom, name: mine, tau: 1 }", "strategy.tau", "no known field")]
    public void Parse_OneMistake_NamesFieldAndRepair(string yaml, string field, string says)
    {
        Problem problem = Assert.Single(Assert.Throws<InvalidInputException>(() => RunSpec.Parse(Base + yaml, "run.yaml")).Problems);
        Assert.Equal(("run.yaml", field), (problem.File, problem.Field));
        Assert.True(problem.Line > 0);
        Assert.Contains(says, $"{problem.Message} {problem.Repair}", StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("median")]
    [InlineData("trimmed-mean")]
    [InlineData("krum")]
    [InlineData("norm-bound, maxNorm: 1")]
    public void Parse_ARobustKindUnderSecureAggregation_IsRefusedWithTheReason(string kind)
    {
        string yaml = Base.Replace("secureAggregation: none", "secureAggregation: threshold-bfv", StringComparison.Ordinal) + $"{{ kind: {kind} }}";
        Problem problem = Assert.Single(Assert.Throws<InvalidInputException>(() => RunSpec.Parse(yaml, "run.yaml")).Problems);
        Assert.Equal("strategy", problem.Field);
        Assert.Contains("nobody sees one, and only their sum is opened", problem.Message, StringComparison.Ordinal);
        Assert.Contains("secureAggregation: none", problem.Repair, StringComparison.Ordinal);
    }

    [Fact]
    public void Parse_ARobustKindWithTheCoordinatorsNoise_IsRefused()
    {
        string yaml = PrivacySpecTests.Central + "\nstrategy: { kind: median }";
        Assert.Contains("no clipped sum", Assert.Single(Assert.Throws<InvalidInputException>(() => RunSpec.Parse(yaml, "run.yaml")).Problems).Message, StringComparison.Ordinal);
        Assert.Equal(StrategyKind.FedAdam, RunSpec.Parse(PrivacySpecTests.Central + "\nstrategy: { kind: fedadam }", "run.yaml").Strategy.Kind);
    }
}
