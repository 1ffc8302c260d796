using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Formats.Data;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning.Tests.DifferentialPrivacy;

/// <summary>A person with many rows as the privacy unit: on tables by a key column, and of one's own modules.</summary>
public sealed class PersonTests
{
    private const string SchemaYaml = """
        name: visits
        columns:
          - { name: patient, kind: ignore }
          - { name: x, kind: number, unit: none, range: [0, 1] }
          - { name: y, kind: label, categories: [0, 1] }
        """;

    private static readonly DataSchema s_schema = DataSchema.Parse(SchemaYaml, "schema");

    [Fact] // with every person in the step and no noise yet: without one person, however many rows, the sum moves by at most ηC/b, and other people's parts stay
    public void Train_WithoutOnePerson_MovesTheSumByOneClippedGradient()
    {
        string[] rows = [.. Enumerable.Range(0, 120).Select(i => $"p{i % 9},{(i * 7 % 100) / 100.0},{i % 2}")];
        float[] all = Sum(rows);
        double largest = 0;
        for (int person = 0; person < 9; person++)
        {
            float[] without = Sum([.. rows.Where(row => !row.StartsWith($"p{person},", StringComparison.Ordinal))]);
            largest = Math.Max(largest, Math.Sqrt(all.Zip(without, (one, other) => Math.Pow(one - other, 2)).Sum()));
        }

        const double bound = 0.5 / 4 * 0.1;
        Assert.InRange(largest, bound * 0.999, bound * 1.001); // clipped: somebody moves it by all of it, nobody by more
        float[] twice = Sum([.. rows, .. rows]); // a person with the same rows twice counts the same
        Assert.Equal(all, twice, (one, other) => Math.Abs(one - other) < 1e-6);
    }

    [Theory]
    [InlineData("p1,0.5,1\n,0.5,1", 3, "no key")]
    [InlineData("p1,0.5,1\n  ,0.5,0", 3, "no key")]
    public void Check_ARowOfNobody_IsLeftOutAndNamedInTheSitesOwnLog(string rows, int line, string says)
    {
        using var folder = new TemporaryFolder();
        using TabularLearner learner = Learner(folder, rows);
        RunSpec spec = Spec();
        var task = new LearningTask("run", "a", spec, s_schema);
        Assert.Empty(learner.Check(task, TabularModel.Initial(spec, s_schema)));
        Assert.Contains(learner.NotesOn(task), note => note.Contains(FormattableString.Invariant($":{line}: patient: "), StringComparison.Ordinal) && note.Contains(says, StringComparison.Ordinal));
    }

    [Fact]
    public void Check_AnUnknownKey_NamesTheNearestColumn()
    {
        using var folder = new TemporaryFolder();
        using TabularLearner learner = Learner(folder, "p1,0.5,1");
        RunSpec spec = Spec(key: "patients");
        Assert.Contains("Did you mean 'patient'?", Assert.Throws<InvalidInputException>(() => learner.Check(new LearningTask("run", "a", spec, s_schema), TabularModel.Initial(spec, s_schema))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Evaluate_CountsOneRowOfEachPerson()
    {
        using var folder = new TemporaryFolder();
        var schema = DataSchema.Parse("testFraction: 0.5\n" + SchemaYaml, "schema");
        using TabularLearner learner = Learner(folder, string.Join('\n', Enumerable.Range(0, 400).Select(i => $"p{i % 7},{i / 400.0},{i % 2}")));
        RunSpec spec = Spec();
        Assert.Equal(7UL, learner.Evaluate(new LearningTask("run", "a", spec, schema), TabularModel.Initial(spec, schema), CancellationToken.None).Examples);
    }

    [Fact] // a module of one's own: the same bound, and what is missing is said before the first round
    public void ModuleLearner_WithRecordLosses_TrainsPrivately()
    {
        RunSpec spec = RunSpec.Parse("""
            name: own
            model: { kind: custom }
            rounds: 1
            seed: 0
            cohort: { minContributors: 3, deadline: 5s }
            local: { optimizer: { kind: sgd, learningRate: 1 }, batchSize: 1 }
            privacy: { unit: person, key: patient, noise: shared, clip: 0.5, noiseMultiplier: 1, samplingRate: 1, delta: 1e-5 }
            """, "spec");
        LearningTask task = new("run", "a", spec, null);
        using ModuleLearner plain = new(() => nn.Linear(1, 1), new Examples(ones(4, 1), zeros(4, 1)), (output, target) => (output - target).square().mean());
        var zero = new ModelState([new NamedTensor("weight", [1, 1], [0]), new NamedTensor("bias", [1], [0])]);
        Assert.Collection(plain.Check(task, zero), one => Assert.Contains("recordLosses", one, StringComparison.Ordinal), two => Assert.Contains("no persons", two, StringComparison.Ordinal));
        Assert.Throws<LearningException>(() => plain.Train(task, 1, zero, CancellationToken.None));

        using ModuleLearner learner = new(() => nn.Linear(1, 1), new Examples(ones(4, 1), ones(4, 1)), (output, target) => (output - target).square().mean(), recordLosses: (output, target) => (output - target).square().reshape(-1), persons: ["a", "a", "a", "b"]);
        Assert.Empty(learner.Check(task, zero));
        TrainingResult result = learner.Train(task, 1, zero, CancellationToken.None);
        // Each person's gradient of (w + b − 1)² at 0 is (−2, −2), cut to norm 0.5; two persons.
        double each = 0.5 / Math.Sqrt(2);
        Assert.Equal(1UL, result.Weight);
        Assert.All(result.WeightedDelta.Tensors, tensor => Assert.Equal(2 * each, tensor.Values[0], 1e-5));
    }

    [Theory] // nothing ensures that one record moves each figure by 1 at most, as the noise takes for granted
    [InlineData("unit: record", "")]
    [InlineData("unit: person, key: patient", "")]
    [InlineData("unit: record", "evaluate: { every: 1, noiseMultiplier: 3 }")]
    [InlineData("unit: person, key: patient", "evaluate: { every: 1, noiseMultiplier: 3 }")]
    public void ModuleLearner_EvaluatesUnderDifferentialPrivacy_IsRefusedWithTheRepair(string unit, string evaluate)
    {
        RunSpec spec = RunSpec.Parse($$"""
            name: own
            model: { kind: custom }
            rounds: 1
            seed: 0
            cohort: { minContributors: 3, deadline: 5s }
            local: { optimizer: { kind: sgd, learningRate: 1 }, batchSize: 1 }
            privacy: { {{unit}}, noise: shared, clip: 0.5, noiseMultiplier: 1, samplingRate: 1, delta: 1e-5 }
            {{evaluate}}
            """, "spec");
        LearningTask task = new("run", "a", spec, null);
        var zero = new ModelState([new NamedTensor("weight", [1, 1], [0]), new NamedTensor("bias", [1], [0])]);
        using ModuleLearner tested = Learner(new Examples(ones(2, 1), ones(2, 1))), untested = Learner(null);
        Assert.Empty(untested.Check(task, zero)); // it evaluates nothing
        if (evaluate.Length == 0) Assert.Empty(tested.Check(task, zero));
        else Assert.Contains("Remove evaluate", Assert.Single(tested.Check(task, zero)), StringComparison.Ordinal);

        static ModuleLearner Learner(Examples? test) => new(
            () => nn.Linear(1, 1), new Examples(ones(4, 1), ones(4, 1)), (output, target) => (output - target).square().mean(), test,
            recordLosses: (output, target) => (output - target).square().reshape(-1), persons: ["a", "a", "a", "b"]);
    }

    [Fact]
    public void ModuleLearner_WithBatchNorm_IsRefusedWithAdvice()
    {
        RunSpec spec = RunSpec.Parse("name: own\nmodel: { kind: custom }\nrounds: 1\nseed: 0\ncohort: { minContributors: 3, deadline: 5s }\nlocal: { optimizer: { kind: sgd, learningRate: 1 }, batchSize: 1 }\nprivacy: { unit: record, noise: shared, clip: 1, noiseMultiplier: 1, samplingRate: 1, delta: 1e-5 }", "spec");
        using ModuleLearner learner = new(() => nn.Sequential(("norm", nn.BatchNorm1d(2)), ("linear", nn.Linear(2, 1))), new Examples(ones(4, 2), ones(4, 1)), (output, target) => (output - target).square().mean(), recordLosses: (output, target) => (output - target).square().reshape(-1));
        using nn.Module<Tensor, Tensor> module = nn.Sequential(("norm", nn.BatchNorm1d(2)), ("linear", nn.Linear(2, 1)));
        Assert.Contains(learner.Check(new LearningTask("run", "a", spec, null), ModuleState.Of(module)), one => one.Contains("GroupNorm", StringComparison.Ordinal));
    }

    private static RunSpec Spec(string key = "patient") => RunSpec.Parse($$"""
        name: visits
        data: { schema: visits.schema.yaml }
        model: { kind: logistic }
        task: { kind: binary-classification, label: y }
        rounds: 5
        seed: 42
        cohort: { minContributors: 3, deadline: 60s }
        local: { optimizer: { kind: sgd, learningRate: 0.5 }, batchSize: 4 }
        privacy: { unit: person, key: {{key}}, maxUnitRecords: 100, noise: shared, clip: 0.1, noiseMultiplier: 2, samplingRate: 1, delta: 1e-5 }
        """, "spec");

    private static TabularLearner Learner(TemporaryFolder folder, string rows) => new([new DataSource("visits", folder.Write("visits.csv", "patient,x,y\n" + rows + "\n"))], CPU);

    private static float[] Sum(string[] rows)
    {
        using var folder = new TemporaryFolder();
        using TabularLearner learner = Learner(folder, string.Join('\n', rows));
        RunSpec spec = Spec();
        return [.. learner.Train(new LearningTask("run", "a", spec, s_schema), 1, TabularModel.Initial(spec, s_schema), CancellationToken.None).WeightedDelta.Tensors.SelectMany(tensor => tensor.Values)];
    }
}
