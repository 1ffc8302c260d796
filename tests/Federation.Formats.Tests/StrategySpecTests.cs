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
    [InlineData("{ kind: fednova }", StrategyKind.FedNova, "")]
    [InlineData("{ kind: scaffold }", StrategyKind.Scaffold, "learningRate 1")]
    [InlineData("{ kind: q-fedavg, q: 0.5 }", StrategyKind.QFedAvg, "q 0.5")]
    [InlineData("{ kind: custom, name: my-own, parameters: { alpha: 0.5, b: 2 } }", StrategyKind.Custom, "alpha 0.5, b 2")]
    public void Parse_AKind_IsReadWithItsDefaults(string yaml, StrategyKind kind, string numbers)
    {
        StrategySpec strategy = RunSpec.Parse(Base + yaml, "run.yaml").Strategy;
        Assert.Equal((kind, numbers), (strategy.Kind, string.Join(", ", strategy.Numbers.Select(number => FormattableString.Invariant($"{number.Key} {number.Value}")))));
        Assert.Equal(kind == StrategyKind.Custom ? "my-own" : null, strategy.Name);
    }

    [Theory]
    [InlineData("{ kind: fedadm }", "strategy.kind", "Did you mean 'fedadam'?")]
    [InlineData("{ kind: q-fedavg, q: -1 }", "strategy.q", "[0, 100]")]
    [InlineData("{ kind: fednova, q: 1 }", "strategy.q", "belongs to q-fedavg")]
    [InlineData("{ kind: fedbn }", "strategy.kind", "Write personal: { tensors:")]
    [InlineData("{ kind: fedprox }", "strategy.kind", "Write local: { …, proximal: 0.01 }")]
    [InlineData("{ kind: fedadam, momentum: 0.9 }", "strategy.momentum", "belongs to fedavgm")]
    [InlineData("{ kind: fedavg, learningRate: 0.1 }", "strategy.learningRate", "fedavgm and fedadagrad and fedadam and fedyogi and scaffold")]
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

    [Theory] // what a strategy would open, or keep, that nobody pays for
    [InlineData("fednova", "unit: record, noise: own, steps: 5, samplingRate: 0.1", "where fednova is fedavg")]
    [InlineData("fednova", "unit: site, noise: shared", "tells of their numbers of examples")]
    [InlineData("q-fedavg", "unit: record, noise: shared, samplingRate: 0.1", "training losses, which no noise hides")]
    [InlineData("q-fedavg", "unit: site, noise: shared", "training losses, which no noise hides")]
    [InlineData("scaffold", "unit: record, noise: own, steps: 5, samplingRate: 0.1", "beside its update")]
    [InlineData("scaffold", "unit: site, noise: shared", "beside its update")]
    public void Parse_AKindWithAPartAtTheSitesUnderDifferentialPrivacy_IsRefused(string kind, string privacy, string says)
    {
        string yaml = Base.Replace("secureAggregation: none", "secureAggregation: threshold-bfv", StringComparison.Ordinal).Replace("privacy: none", $"privacy: {{ {privacy}, clip: 1, noiseMultiplier: 1, delta: 1e-5 }}", StringComparison.Ordinal) + $"{{ kind: {kind} }}";
        Problem problem = Assert.Single(Assert.Throws<InvalidInputException>(() => RunSpec.Parse(yaml, "run.yaml")).Problems);
        Assert.Equal("strategy", problem.Field);
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("fednova", "kind: sgd", "kind: adam", "steps of sgd")]
    [InlineData("fednova", "batchSize: 16", "batchSize: 16, proximal: 2", "learningRate·proximal = 1")]
    [InlineData("q-fedavg", "kind: sgd", "kind: adamw", "steps of sgd")]
    [InlineData("scaffold", "learningRate: 0.5", "learningRate: 0.5, momentum: 0.9", "momentum and proximal")]
    [InlineData("scaffold", "batchSize: 16", "batchSize: 16, proximal: 0.1", "momentum and proximal")]
    public void Parse_AKindWithATrainingThatItDoesNotReckonWith_IsRefused(string kind, string right, string wrong, string says)
    {
        string yaml = Base.Replace(right, wrong, StringComparison.Ordinal) + $"{{ kind: {kind} }}";
        Assert.Contains(says, Assert.Single(Assert.Throws<InvalidInputException>(() => RunSpec.Parse(yaml, "run.yaml")).Problems).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Parse_APersonalPart_IsRead()
    {
        RunSpec run = RunSpec.Parse(Base + "{ kind: fedavg }\npersonal: { tensors: [\"bn*\", head.bias], fineTuneEpochs: 5 }", "run.yaml");
        Assert.Equal(5, run.Personal!.FineTuneEpochs);
        Assert.Equal([true, true, false, false], new[] { "bn1.weight", "head.bias", "head.biases", "a.bn1" }.Select(run.Personal.Keeps));
    }

    [Theory]
    [InlineData("{ }", "personal", "says nothing")]
    [InlineData("{ tensors: [] }", "personal.tensors", "names 0 patterns")]
    [InlineData("{ tensors: [\"a?\"] }", "personal.tensors", "no pattern")]
    [InlineData("{ fineTuneEpochs: 0 }", "personal.fineTuneEpochs", "1 to 10000")]
    [InlineData("{ tensor: [a], fineTuneEpochs: 1 }", "personal.tensor", "Did you mean 'tensors'?")]
    public void Parse_AWrongPersonalPart_NamesFieldAndRepair(string personal, string field, string says)
    {
        Problem problem = Assert.Single(Assert.Throws<InvalidInputException>(() => RunSpec.Parse(Base + "{ kind: fedavg }\npersonal: " + personal, "run.yaml")).Problems);
        Assert.Equal(field, problem.Field);
        Assert.Contains(says, $"{problem.Message} {problem.Repair}", StringComparison.Ordinal);
    }

    [Fact] // trained without noise, what stays would speak through what is shared in later rounds
    public void Parse_APersonalPartWithSharedNoise_IsRefused()
    {
        string shared = PrivacySpecTests.Good + "\npersonal: { tensors: [\"*.bias\"] }";
        Assert.Contains("nobody pays for that", Assert.Single(Assert.Throws<InvalidInputException>(() => RunSpec.Parse(shared, "run.yaml")).Problems).Message, StringComparison.Ordinal);
        RunSpec.Parse(PrivacySpecTests.Good + "\npersonal: { fineTuneEpochs: 3 }", "run.yaml");
        RunSpec.Parse(PrivacySpecTests.Site + "\npersonal: { tensors: [\"*.bias\"] }", "run.yaml");
        RunSpec.Parse(PrivacySpecTests.Good.Replace("noise: shared", "noise: own, steps: 5", StringComparison.Ordinal) + "\npersonal: { tensors: [\"*.bias\"] }", "run.yaml");
    }

    [Theory]
    [InlineData("scaffold", "no control variates")]
    [InlineData("fedbuff, buffer: 5", "has none at the sites")]
    public void Parse_APersonalPartOfAStrategyThatHasNoPlaceForIt_IsRefused(string kind, string says) =>
        Assert.Contains(says, Assert.Single(Assert.Throws<InvalidInputException>(() => RunSpec.Parse($"{Base}{{ kind: {kind} }}\npersonal: {{ tensors: [a] }}", "run.yaml")).Problems).Message, StringComparison.Ordinal);

    [Fact]
    public void Parse_ARobustKindWithTheCoordinatorsNoise_IsRefused()
    {
        string yaml = PrivacySpecTests.Central + "\nstrategy: { kind: median }";
        Assert.Contains("no clipped sum", Assert.Single(Assert.Throws<InvalidInputException>(() => RunSpec.Parse(yaml, "run.yaml")).Problems).Message, StringComparison.Ordinal);
        Assert.Equal(StrategyKind.FedAdam, RunSpec.Parse(PrivacySpecTests.Central + "\nstrategy: { kind: fedadam }", "run.yaml").Strategy.Kind);
    }
}
