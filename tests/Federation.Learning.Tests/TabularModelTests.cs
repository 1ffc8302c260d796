using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Formats.Data;
using Federation.Formats.Evaluation;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning.Models;
using TorchSharp;

namespace Federation.Learning.Tests;

public sealed class TabularModelTests
{
    private const string SchemaYaml = """
        name: flowers
        columns:
          - { name: length, kind: number, range: [0, 3] }
          - { name: width, kind: number, range: [0, 3] }
          - { name: kind, kind: label, categories: [small, [middle, medium], large] }
        """;

    private static readonly DataSchema Schema = DataSchema.Parse(SchemaYaml, "schema");

    [Theory]
    [InlineData("{ kind: logistic }", "linear.bias linear.weight", "{ kind: adam, learningRate: 0.1 }")]
    [InlineData("{ kind: mlp, hidden: [16, 8] }", "layers.0.bias layers.0.weight layers.2.bias layers.2.weight layers.4.bias layers.4.weight", "{ kind: adamw, learningRate: 0.02, weightDecay: 0.001 }")]
    public void Train_ThreeClasses_LearnsThem(string model, string tensors, string optimizer)
    {
        using var folder = new TemporaryFolder();
        var random = new Random(1);
        string[] names = ["small", "medium", "large"];
        string path = folder.Write("x.csv", "length,width,kind\n" + string.Concat(Enumerable.Range(0, 300).Select(i => FormattableString.Invariant($"{(i % 3) + random.NextDouble():0.00},{(i % 3) + random.NextDouble():0.00},{names[i % 3]}\n"))));
        string split = folder.Write("split.csv", "line,set\n" + string.Concat(Enumerable.Range(202, 100).Select(line => $"{line},test\n")));
        RunSpec spec = Spec(model, optimizer);
        ModelState initial = TabularModel.Initial(spec, Schema);
        Assert.Equal(tensors, string.Join(' ', initial.Tensors.Select(tensor => tensor.Name)));
        using var learner = new TabularLearner([new DataSource("flowers", path, Split: split)], torch.CPU);
        var task = new LearningTask("run", "a", spec, Schema);
        Assert.Empty(learner.Check(task, initial));
        TrainingResult result = learner.Train(task, 1, initial, TestContext.Current.CancellationToken);
        var trained = new ModelState(initial.Tensors.Zip(result.WeightedDelta.Tensors, (before, delta) =>
            new NamedTensor(before.Name, before.Shape, [.. before.Values.Zip(delta.Values, (value, change) => (float)(value + (change / (double)result.Weight)))])));
        Metrics metrics = learner.Evaluate(task, trained, TestContext.Current.CancellationToken).ToMetrics();
        Assert.Equal((200ul, 100ul), (result.Weight, metrics.Examples));
        Assert.True(metrics.Accuracy > 0.9, $"accuracy {metrics.Accuracy}");
        Assert.True(metrics.LogLoss < 0.5 && metrics.Brier < 0.3, $"{metrics}");
        Assert.Null(metrics.Auc);
    }

    [Fact]
    public void Initial_WarmStart_TakesTheFile()
    {
        using var folder = new TemporaryFolder();
        ModelState saved = TabularModel.Initial(Spec("{ kind: logistic }", "{ kind: sgd, learningRate: 1 }", seed: 9), Schema);
        saved.Save(Path.Combine(folder.Path, "weights.safetensors"));
        RunSpec spec = Spec("{ kind: logistic, initial: weights.safetensors }", "{ kind: sgd, learningRate: 1 }");
        Assert.Equal(saved.Sha256, TabularModel.Initial(spec, Schema, folder.Path).Sha256);
        Assert.NotEqual(saved.Sha256, TabularModel.Initial(spec, Schema).Sha256);
    }

    [Fact]
    public void Initial_FileOfAnotherModel_ListsTheDifferences()
    {
        using var folder = new TemporaryFolder();
        TabularModel.Initial(Spec("{ kind: mlp, hidden: [4] }", "{ kind: sgd, learningRate: 1 }"), Schema).Save(Path.Combine(folder.Path, "weights.safetensors"));
        RunSpec spec = Spec("{ kind: logistic, initial: weights.safetensors }", "{ kind: sgd, learningRate: 1 }");
        var error = Assert.Throws<InvalidInputException>(() => TabularModel.Initial(spec, Schema, folder.Path));
        Assert.Contains(error.Problems, problem => problem.Message.Contains("'linear.weight' F32[3, 2] is missing"));
        Assert.All(error.Problems, problem => Assert.Equal("model.initial", problem.Field));
    }

    [Fact]
    public void Create_BinaryTaskWithThreeClasses_SaysWhatToWrite()
    {
        RunSpec spec = Spec("{ kind: logistic }", "{ kind: sgd, learningRate: 1 }") with { Task = new TaskSpec(TaskKind.BinaryClassification, "kind") };
        Assert.Contains("multiclass-classification", Assert.Throws<InvalidInputException>(() => TabularModel.Initial(spec, Schema)).Message);
    }

    private static RunSpec Spec(string model, string optimizer, ulong seed = 1) => RunSpec.Parse($$"""
        name: flowers
        data: { schema: s.yaml }
        model: {{model}}
        task: { kind: multiclass-classification, label: kind }
        rounds: 1
        seed: {{seed}}
        cohort: { minContributors: 1, deadline: 5s }
        local: { optimizer: {{optimizer}}, batchSize: 10, epochs: 40 }
        privacy: none
        secureAggregation: none
        """, "spec");
}
