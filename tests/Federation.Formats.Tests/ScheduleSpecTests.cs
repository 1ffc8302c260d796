using Federation.Formats.Runs;

namespace Federation.Formats.Tests;

/// <summary>Who is asked, what changes from round to round, and when a run ends early.</summary>
public sealed class ScheduleSpecTests
{
    public const string Good = """
        name: heart-disease
        data: { schema: heart-disease.schema.yaml }
        model: { kind: logistic }
        task: { kind: binary-classification, label: disease }
        rounds: 50
        seed: 42
        cohort: { labels: { region: eu, gpu: "yes" }, fraction: 0.1, overSelect: 1.3, minContributors: 3, deadline: 10m }
        local: { optimizer: { kind: sgd, learningRate: 0.1, momentum: 0.9 }, batchSize: 16, epochs: 1 }
        secureAggregation: none
        evaluate: { every: 2 }
        schedule: [ { fromRound: 10, learningRate: 0.01, batchSize: 32 }, { fromRound: 20, epochs: 2 } ]
        stop: { metric: auc, patience: 3, minDelta: 0.001, target: 0.9 }
        privacy: none
        """;

    private const string Private = "privacy: { unit: record, noise: own, clip: 1, noiseMultiplier: 1, samplingRate: 0.1, steps: 5, delta: 1e-5 }";

    [Fact]
    public void Parse_TheExample_ReadsEveryField()
    {
        RunSpec spec = RunSpec.Parse(Good, "run.yaml");
        Assert.Equal(new DrawSpec(null, 0.1, 1.3), spec.Cohort.Draw);
        Assert.Equal(["gpu=yes", "region=eu"], spec.Cohort.Labels!.Select(label => $"{label.Key}={label.Value}").Order());
        Assert.Equal([new RoundSettings(10, 0.01, 32), new RoundSettings(20, Epochs: 2)], spec.Schedule);
        Assert.Equal(new StopSpec("auc", 3, 0.001, 0.9), spec.Stop);
        Assert.Equal(new DrawSpec(20, null), RunSpec.Parse(Good.Replace("fraction: 0.1, overSelect: 1.3", "count: 20"), "x").Cohort.Draw);
    }

    [Fact]
    public void At_ARound_HasItsLocalTraining()
    {
        RunSpec spec = RunSpec.Parse(Good, "run.yaml");
        LocalSpec first = spec.Local, second = new(first.Optimizer with { LearningRate = 0.01 }, 32, 1);
        Assert.Equal(0.5, (spec with { Local = spec.Local with { Proximal = 0.5 } }).At(20).Local.Proximal);
        Assert.Equal([first, first, second, second, second with { Epochs = 2 }, second with { Epochs = 2 }], new[] { 1, 9, 10, 19, 20, 50 }.Select(round => spec.At(round).Local));
    }

    [Theory]
    [InlineData("fraction: 0.1", "fraction: 0", 7, "cohort.fraction", "[0.000001, 1]")]
    [InlineData("fraction: 0.1", "fraction: 0.1, count: 5", 7, "cohort.fraction", "Remove one")]
    [InlineData("fraction: 0.1", "count: 2", 7, "cohort.count", "cannot give the 3 updates")]
    [InlineData("fraction: 0.1, ", "", 7, "cohort.overSelect", "Write count or fraction")]
    [InlineData("overSelect: 1.3", "overSelect: 0.5", 7, "cohort.overSelect", "[1, 10]")]
    [InlineData("region: eu", "Region: eu", 7, "cohort.labels", "at most 32 labels")]
    [InlineData("{ region: eu, gpu: \"yes\" }", "eu", 7, "cohort.labels", "{ region: eu }")]
    [InlineData("labels:", "sites: [a, b, c], labels:", 7, "cohort.labels", "choose among all sites")]
    [InlineData("fromRound: 20", "fromRound: 10", 11, "schedule[1].fromRound", "does not come after 10")]
    [InlineData("fromRound: 20", "fromRound: 51", 11, "schedule[1].fromRound", "last of the run's 50 rounds")]
    [InlineData("fromRound: 10", "fromRound: 1", 11, "schedule[0].fromRound", "from 2")]
    [InlineData(", epochs: 2 }", " }", 11, "schedule[1].fromRound", "nothing says what changes")]
    [InlineData("epochs: 2", "epoch: 2", 11, "schedule[1].epoch", "Did you mean 'epochs'?")]
    [InlineData("metric: auc", "metric: auk", 12, "stop.metric", "Did you mean 'auc'?")]
    [InlineData("metric: auc", "metric: log-loss", 12, "stop.metric", "none of evaluate.metrics")]
    [InlineData("evaluate: { every: 2 }", "strategy: { kind: fedavg }", 12, "stop.metric", "the run has none")]
    [InlineData("patience: 3, minDelta: 0.001, target: 0.9", "minDelta: 0.001", 12, "stop.minDelta", "belongs to patience")]
    [InlineData("patience: 3, minDelta: 0.001, target: 0.9", "", 12, "stop.metric", "when it is enough")]
    [InlineData("binary-classification", "multiclass-classification", 12, "stop.metric", "several classes")]
    public void Parse_OneMistake_NamesLineFieldAndRepair(string right, string wrong, int line, string field, string says)
    {
        var error = Assert.Throws<InvalidInputException>(() => RunSpec.Parse(Good.Replace(right, wrong), "run.yaml"));
        Problem[] problems = [.. error.Problems.Where(problem => problem.Field == field)];
        Assert.Contains(problems, problem => problem.Line == line && $"{problem.Message} {problem.Repair}".Contains(says, StringComparison.Ordinal));
    }

    [Theory] // what a round costs is what the ledgers were told: only what costs nothing may change
    [InlineData("{ fromRound: 10, learningRate: 0.01 }", "", "")]
    [InlineData("{ fromRound: 10, learningRate: 0.01, batchSize: 8 }", "batchSize", "one expected size")]
    [InlineData("{ fromRound: 10, epochs: 3 }", "epochs", "a round has steps")]
    public void Parse_ScheduleUnderDifferentialPrivacy_ChangesTheLearningRateAlone(string change, string field, string says)
    {
        string yaml = Good[..Good.IndexOf("evaluate", StringComparison.Ordinal)].Replace(", epochs: 1", "", StringComparison.Ordinal) + $"schedule: [ {change} ]\n" + Private;
        if (field.Length == 0)
        {
            RunSpec spec = RunSpec.Parse(yaml, "x");
            Assert.Equal(0.01, spec.At(10).Local.Optimizer.LearningRate);
            Assert.Equal(PrivacyCost.OfRound(spec, 10, 3), PrivacyCost.OfRound(spec.At(10), 10, 3));
            return;
        }

        Problem problem = Assert.Single(Assert.Throws<InvalidInputException>(() => RunSpec.Parse(yaml, "x")).Problems);
        Assert.Equal($"schedule[0].{field}", problem.Field);
        Assert.Contains(says, problem.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Parse_ScheduleOfStepsWithFedNovaEncrypted_IsRefusedWithTheReason()
    {
        string yaml = Good.Replace("secureAggregation: none", "strategy: { kind: fednova }", StringComparison.Ordinal);
        Problem[] problems = [.. Assert.Throws<InvalidInputException>(() => RunSpec.Parse(yaml, "x")).Problems];
        Assert.Equal(["schedule[0].fromRound", "schedule[1].fromRound"], problems.Select(problem => problem.Field));
        Assert.Contains("room for those of one batch size", problems[0].Message, StringComparison.Ordinal);
        Assert.NotEmpty(RunSpec.Parse(Good.Replace("secureAggregation: none", "secureAggregation: none\nstrategy: { kind: fednova }", StringComparison.Ordinal), "x").Schedule);
    }

    [Fact]
    public void Parse_ScheduleWithSharedNoise_IsRefusedWithTheReason()
    {
        string yaml = Good[..Good.IndexOf("secureAggregation", StringComparison.Ordinal)].Replace(", momentum: 0.9", "", StringComparison.Ordinal).Replace(", epochs: 1", "", StringComparison.Ordinal)
            + "schedule: [ { fromRound: 10, learningRate: 0.01 } ]\n" + Private.Replace("noise: own", "noise: shared", StringComparison.Ordinal).Replace(", steps: 5", "", StringComparison.Ordinal);
        Problem problem = Assert.Single(Assert.Throws<InvalidInputException>(() => RunSpec.Parse(yaml, "x")).Problems);
        Assert.Contains("made for one learning rate", problem.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("buffer: 3", "", "")]
    [InlineData("buffer: 2", "strategy", "less than the 3 updates")]
    [InlineData("maxStaleness: 3", "strategy.buffer", "is missing")]
    [InlineData("buffer: 3, momentum: 0.5", "strategy.momentum", "fedbuff takes buffer, learningRate, maxStaleness")]
    public void Parse_FedBuff_TakesABufferOfEnoughUpdates(string numbers, string field, string says)
    {
        string yaml = Good.Replace("fraction: 0.1, overSelect: 1.3, ", "", StringComparison.Ordinal) + $"\nstrategy: {{ kind: fedbuff, {numbers} }}";
        if (field.Length == 0)
        {
            Assert.Equal((3.0, 1.0, 10.0), (RunSpec.Parse(yaml, "x").Strategy["buffer"], RunSpec.Parse(yaml, "x").Strategy["learningRate"], RunSpec.Parse(yaml, "x").Strategy["maxStaleness"]));
            return;
        }

        Assert.Contains(Assert.Throws<InvalidInputException>(() => RunSpec.Parse(yaml, "x")).Problems, problem => problem.Field == field && $"{problem.Message} {problem.Repair}".Contains(says, StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("secureAggregation: none", "secureAggregation: threshold-bfv", "age of the model")]
    [InlineData("labels: {", "count: 5, labels: {", "no cohort to draw")]
    [InlineData("labels: { region: eu, gpu: \"yes\" }", "sites: [a, b, c]", "is never full")]
    public void Parse_FedBuffWhereItCannotBe_IsRefusedWithTheReason(string right, string wrong, string says)
    {
        string yaml = Good.Replace("fraction: 0.1, overSelect: 1.3, ", "", StringComparison.Ordinal).Replace(right, wrong, StringComparison.Ordinal) + "\nstrategy: { kind: fedbuff, buffer: 4 }";
        Assert.Contains(Assert.Throws<InvalidInputException>(() => RunSpec.Parse(yaml, "x")).Problems, problem => problem.Field == "strategy" && problem.Message.Contains(says, StringComparison.Ordinal));
    }
}
