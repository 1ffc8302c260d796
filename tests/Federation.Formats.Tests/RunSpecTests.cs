using Federation.Formats.Runs;

namespace Federation.Formats.Tests;

public sealed class RunSpecTests
{
    public const string Good = """
        name: heart-disease
        data: { schema: heart-disease.schema.yaml }
        model: { kind: logistic, initial: weights.safetensors }
        task: { kind: binary-classification, label: disease }
        rounds: 50
        seed: 42
        cohort: { sites: all, minContributors: 3, deadline: 10m }
        local: { optimizer: { kind: adam, learningRate: 0.01 }, batchSize: 16, epochs: 1 }
        strategy: { kind: fedavg }
        secureAggregation: { kind: none }
        evaluate: { every: 10, metrics: [accuracy, auc] }
        privacy: none
        """;

    [Fact]
    public void Parse_TheDesignsExample_ReadsEveryField()
    {
        RunSpec spec = RunSpec.Parse(Good, "run.yaml");
        Assert.Equal(("heart-disease", 50, 42ul), (spec.Name, spec.Rounds, spec.Seed));
        Assert.Equal(new DataSpec("heart-disease.schema.yaml"), spec.Data);
        Assert.Equal(("weights.safetensors", ModelKind.Logistic), (spec.Model.Initial, spec.Model.Kind));
        Assert.Equal(new TaskSpec(TaskKind.BinaryClassification, "disease"), spec.Task);
        Assert.Equal(new CohortSpec(null, 3, TimeSpan.FromMinutes(10)), spec.Cohort);
        Assert.Equal(new LocalSpec(new OptimizerSpec(OptimizerKind.Adam, 0.01), 16, 1), spec.Local);
        Assert.Equal((10, "accuracy auc"), (spec.Evaluate!.Every, string.Join(' ', spec.Evaluate.Metrics)));
    }

    [Theory]
    [InlineData("rounds: 50", "roundz: 50", 5, "roundz", "Did you mean 'rounds'?")]
    [InlineData("rounds: 50", "rounds: 0", 5, "rounds", "1 to 1000000")]
    [InlineData("rounds: 50", "rounds: [1]", 5, "rounds", "A list")]
    [InlineData("rounds: 50", "rounds: 99999999999999999999", 5, "rounds", "not allowed")]
    [InlineData("seed: 42", "seed: -1", 6, "seed", "from 0")]
    [InlineData("learningRate: 0.01", "learningRate: .nan", 8, "local.optimizer.learningRate", "(0, 1000]")]
    [InlineData("learningRate: 0.01", "learningRate: 0", 8, "local.optimizer.learningRate", "(0, 1000]")]
    [InlineData("learningRate: 0.01", "lerningRate: 0.01", 8, "local.optimizer.lerningRate", "Did you mean 'learningRate'?")]
    [InlineData("epochs: 1", "epochs: 1, proximal: -0.1", 8, "local.proximal", "[0, 1000]")]
    [InlineData("kind: adam", "kind: adma", 8, "local.optimizer.kind", "Did you mean 'adam'?")]
    [InlineData("kind: adam, ", "kind: adam, momentum: 0.9, ", 8, "local.optimizer.momentum", "only sgd")]
    [InlineData("kind: logistic", "kind: mlp", 3, "model.hidden", "is missing")]
    [InlineData("kind: logistic", "kind: logistic, hidden: [4]", 3, "model.hidden", "only an mlp")]
    [InlineData("deadline: 10m", "deadline: 10", 7, "cohort.deadline", "10m")]
    [InlineData("deadline: 10m", "deadline: 999h", 7, "cohort.deadline", "168h")]
    [InlineData("sites: all", "sites: [a, a, b]", 7, "cohort.sites", "twice")]
    [InlineData("sites: all", "sites: [a, b]", 7, "cohort.minContributors", "3 contributors cannot come from 2 sites")]
    [InlineData("sites: all", "sites: [A]", 7, "cohort.sites", "lower-case")]
    [InlineData("{ kind: none }", "{ kind: threshold-bvf }", 10, "secureAggregation.kind", "Did you mean 'threshold-bfv'?")]
    [InlineData("{ kind: none }", "{ kind: threshold-bfv, treshold: 3 }", 10, "secureAggregation.treshold", "Did you mean 'threshold'?")]
    [InlineData("{ kind: none }", "{ kind: threshold-bfv, threshold: 1 }", 10, "secureAggregation.threshold", "2")]
    [InlineData("{ kind: none }", "{ kind: threshold-bfv, maxOpenings: 1 }", 10, "secureAggregation", "maxOpenings: 2 or more")]
    [InlineData("{ kind: none }", "{ kind: threshold-bfv, cut: 0 }", 10, "secureAggregation.cut", "(0, 1000000]")]
    [InlineData("{ kind: none }", "{ kind: none, threshold: 3 }", 10, "secureAggregation.threshold", "no meaning")]
    [InlineData("metrics: [accuracy, auc]", "metrics: [acuracy]", 11, "evaluate.metrics", "Did you mean 'accuracy'?")]
    [InlineData("kind: logistic, initial: weights.safetensors", "kind: custom", 3, "model", "brings its own data")]
    [InlineData("name: heart-disease", "name: Heart Disease", 1, "name", "lower-case")]
    public void Parse_OneMistake_NamesLineFieldAndRepair(string right, string wrong, int line, string field, string says)
    {
        var error = Assert.Throws<InvalidInputException>(() => RunSpec.Parse(Good.Replace(right, wrong), "run.yaml"));
        Problem problem = Assert.Single(error.Problems, problem => problem.Field == field);
        Assert.Equal(("run.yaml", line), (problem.File, problem.Line));
        Assert.Contains(says, $"{problem.Message} {problem.Repair}");
    }

    [Fact] // who says nothing of secure aggregation gets it
    public void Parse_SecureAggregation_IsOnUnlessNone()
    {
        Assert.Null(RunSpec.Parse(Good, "x").SecureAggregation);
        Assert.Null(RunSpec.Parse(Good.Replace("{ kind: none }", "none"), "x").SecureAggregation);
        Assert.Equal(new SecureAggregationSpec(), RunSpec.Parse(Good.Replace("secureAggregation: { kind: none }\n", ""), "x").SecureAggregation);
        Assert.Equal(new SecureAggregationSpec(), RunSpec.Parse(Good.Replace("{ kind: none }", "threshold-bfv"), "x").SecureAggregation);
        Assert.Equal(
            new SecureAggregationSpec(3, CommitteeLoss.Abort, 0.5, 14, 500, 7),
            RunSpec.Parse(Good.Replace("{ kind: none }", "{ kind: threshold-bfv, threshold: 3, onCommitteeLoss: abort, cut: 0.5, bits: 14, maxWeight: 500, maxOpenings: 7 }"), "x").SecureAggregation);
        Problem problem = Assert.Single(Assert.Throws<InvalidInputException>(() => RunSpec.Parse(Good.Replace("{ kind: none }", "threshold-bfv").Replace("minContributors: 3", "minContributors: 2"), "x")).Problems);
        Assert.Equal((7, "cohort"), (problem.Line, problem.Field));
        Assert.Contains("at least 3 sites must contribute", problem.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Parse_SeveralMistakes_ReportsAllOfThem()
    {
        var error = Assert.Throws<InvalidInputException>(() => RunSpec.Parse("name: x\nrounds: -1\nmodl: 1\n", "run.yaml"));
        string[] fields = [.. error.Problems.Select(problem => problem.Field!)];
        foreach (string field in new[] { "rounds", "modl", "model", "seed", "cohort", "local", "data", "task" }) Assert.Contains(field, fields);
    }

    [Theory]
    [InlineData("", "empty")]
    [InlineData("just a text", "no fields")]
    [InlineData("- a\n- b", "no fields")]
    [InlineData("a: 1\na: 2", "stands twice")]
    [InlineData("a: 1\n---\nb: 2", "more than one document")]
    [InlineData("a: &x 1\nb: *x", "anchor")]
    [InlineData("a: !!binary aGk=", "tag")]
    [InlineData("a:\n\t- b", "YAML")]
    [InlineData("a: [1", "YAML")]
    public void Parse_NoProperDocument_SaysWhy(string yaml, string says)
    {
        var error = Assert.Throws<InvalidInputException>(() => RunSpec.Parse(yaml, "run.yaml"));
        Assert.Contains(says, error.Message);
        Assert.All(error.Problems, problem => Assert.Equal("run.yaml", problem.File));
    }

    [Fact]
    public void Parse_DeepNesting_IsRefusedWithoutOverflow() =>
        Assert.Throws<InvalidInputException>(() => RunSpec.Parse("a: " + new string('[', 100_000), "run.yaml"));

    [Fact]
    public void Load_AbsentFile_NamesIt()
    {
        var error = Assert.Throws<InvalidInputException>(() => RunSpec.Load("absent.yaml"));
        Assert.Equal(new Problem("There is no such file.", "absent.yaml"), Assert.Single(error.Problems));
    }
}
