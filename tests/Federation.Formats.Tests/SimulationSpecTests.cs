using Federation.Formats.Runs;

namespace Federation.Formats.Tests;

public sealed class SimulationSpecTests
{
    public const string Good = """
        name: tried
        data: { schema: schema.yaml }
        task: { kind: multiclass-classification, label: digit }
        model: { kind: mlp, hidden: [8] }
        rounds: 3
        seed: 1
        cohort: { minContributors: 3, count: 5, deadline: 1m }
        local: { optimizer: { kind: sgd, learningRate: 0.1 }, batchSize: 4 }
        secureAggregation: none
        privacy: none
        simulation:
          clients: 100
          workers: 2
          speed: { examplesPerSecond: 10.5, spread: 0.5, delay: 2s }
          dropout: 0.25
          availability: { share: 0.5, period: 1d }
          evaluateEvery: 2
          checkpointEvery: 3
          data: { kind: npz, path: x.npz, classes: 3, normalization: { mean: [0.5], deviation: 0.25 } }
          partition: { kind: dirichlet, alpha: 0.5, minExamples: 2 }
        """;

    [Fact]
    public void Parse_OfARun_TakesNoNoticeButOfMistakes()
    {
        SimulationSpec simulation = RunSpec.Parse(Good, "run.yaml").Simulation!;
        Assert.Equal((100, 2, 0.25, 2, 3), (simulation.Clients, simulation.Workers, simulation.Dropout, simulation.EvaluateEvery, simulation.CheckpointEvery));
        Assert.Equal(new ClientSpeed(10.5, 0.5, TimeSpan.FromSeconds(2)), simulation.Speed);
        Assert.Equal(new ClientAvailability(0.5, TimeSpan.FromDays(1)), simulation.Availability);
        Assert.Equal((SimulatedDataKind.Npz, PartitionKind.Dirichlet), (simulation.Data!.Kind, simulation.Partition.Kind));
    }

    [Theory]
    [InlineData("  clients: 100\n", "", "simulation.clients", 11)]
    [InlineData("dropout: 0.25", "dropout: 1", "simulation.dropout", 15)]
    [InlineData("dropout: 0.25", "dropuot: 0.25", "simulation.dropuot", 15)]
    [InlineData("spread: 0.5", "spread: -1", "simulation.speed.spread", 14)]
    [InlineData("share: 0.5", "share: 0", "simulation.availability.share", 16)]
    [InlineData("alpha: 0.5, ", "", "simulation.partition.alpha", 20)]
    public void Parse_AMistake_IsNamedByLineAndField(string right, string wrong, string field, int line)
    {
        var error = Assert.Throws<InvalidInputException>(() => RunSpec.Parse(Good.Replace(right, wrong, StringComparison.Ordinal), "run.yaml"));
        Assert.Contains(error.Problems, problem => problem.Field == field && problem.File == "run.yaml" && (problem.Line == line || right.StartsWith("  clients", StringComparison.Ordinal)));
    }

    [Fact] // The examples say what inputs and classes are
    public void ParseSimulation_WithoutDataAndTask_IsRight()
    {
        string yaml = Good.Replace("data: { schema: schema.yaml }\ntask: { kind: multiclass-classification, label: digit }\n", "", StringComparison.Ordinal);
        Assert.Null(RunSpec.ParseSimulation(yaml, "run.yaml").Data);
        Assert.Throws<InvalidInputException>(() => RunSpec.Parse(yaml, "run.yaml"));
        Assert.Throws<InvalidInputException>(() => RunSpec.ParseSimulation(yaml[..yaml.IndexOf("simulation:", StringComparison.Ordinal)], "run.yaml"));
    }

    [Fact]
    public void ParseSimulation_WithChanges_ReadsThemInTheFieldsPlace()
    {
        RunSpec spec = RunSpec.ParseSimulation(Good, "run.yaml", ("local.optimizer.learningRate", "0.5"), ("rounds", "7"));
        Assert.Equal((0.5, 7), (spec.Local.Optimizer.LearningRate, spec.Rounds));
        Assert.Null(RunSpec.ParseSimulation(Good.Replace("secureAggregation: none", "secureAggregation: { kind: threshold-bfv }", StringComparison.Ordinal), "run.yaml", ("secureAggregation.cut", "none")).SecureAggregation);
        var error = Assert.Throws<InvalidInputException>(() => RunSpec.ParseSimulation(Good, "run.yaml", ("locl.batchSize", "1")));
        Assert.Contains("locl", error.Message, StringComparison.Ordinal);
    }
}
