using Federation.Formats.Configuration;
using Federation.Formats.Data;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning.Models;
using TorchSharp;

namespace Federation.Learning.Tests;

public sealed class LocalTrainingTests
{
    private const string SchemaYaml = """
        name: synthetic
        testFraction: 0.25
        columns:
          - { name: x, kind: number, unit: none, range: [0, 1], missing: "?" }
          - { name: colour, kind: category, categories: [red, green] }
          - { name: y, kind: label, categories: [0, 1] }
        """;

    private static string Spec(string optimizer = "{ kind: adam, learningRate: 0.1 }", string model = "{ kind: logistic }") => $$"""
        name: synthetic
        data: { schema: synthetic.schema.yaml }
        model: {{model}}
        task: { kind: binary-classification, label: y }
        rounds: 2
        seed: 42
        cohort: { sites: all, minContributors: 1, deadline: 60s }
        local: { optimizer: {{optimizer}}, batchSize: 16, epochs: 2 }
        privacy: none
        secureAggregation: none
        """;

    [Fact]
    public async Task Train_SameSeed_GivesTheSameBytesAlsoBesideOtherTraining()
    {
        using var folder = new TemporaryFolder();
        DataSource source = Write(folder);
        var spec = RunSpec.Parse(Spec(model: "{ kind: mlp, hidden: [8] }"), "spec");
        var schema = DataSchema.Parse(SchemaYaml, "schema");
        ModelState initial = TabularModel.Initial(spec, schema);
        var task = new LearningTask("run", "a", spec, schema);
        string Once()
        {
            using var learner = new TabularLearner([source], torch.CPU);
            return learner.Train(task, 1, initial, CancellationToken.None).WeightedDelta.Sha256;
        }

        string[] alone = [.. Enumerable.Range(0, 20).Select(_ => Once())];
        string[] together = await Task.WhenAll(Enumerable.Range(0, 20).Select(_ => Task.Run(Once)));
        Assert.Single(alone.Distinct());
        Assert.Single(together.Append(alone[0]).Distinct());
    }

    [Fact]
    public void Initial_SameSeed_GivesTheSameBytes()
    {
        var schema = DataSchema.Parse(SchemaYaml, "schema");
        foreach (string model in new[] { "{ kind: logistic }", "{ kind: mlp, hidden: [8, 4] }" })
        {
            var spec = RunSpec.Parse(Spec(model: model), "spec");
            string first = TabularModel.Initial(spec, schema).Sha256;
            torch.rand(10).Dispose(); // moves Torch's own generator, which must not matter
            Assert.Equal(first, TabularModel.Initial(spec, schema).Sha256);
            Assert.NotEqual(first, TabularModel.Initial(spec with { Seed = 43 }, schema).Sha256);
        }
    }

    private static DataSource Write(TemporaryFolder folder)
    {
        var random = new Random(1);
        string path = Path.Combine(folder.Path, "a.csv");
        File.WriteAllLines(path, ["x,colour,y", .. Enumerable.Range(0, 120).Select(i => FormattableString.Invariant($"{random.NextDouble():0.000},{(i % 3 == 0 ? "red" : "green")},{random.Next(2)}"))]);
        return new DataSource("synthetic", path);
    }
}
