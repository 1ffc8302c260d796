using System.Globalization;
using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Formats.Data;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning.Auditing;
using Federation.Learning.Data;
using Federation.Learning.Models;
using Federation.Privacy.Auditing;

namespace Federation.Learning.Tests.Auditing;

/// <summary>The trainer of real runs, attacked: as it is, and with what breaks privacy.</summary>
public sealed class SiteAuditTests : IDisposable
{
    private static readonly DataSchema s_schema = DataSchema.Parse("""
        name: synthetic
        columns:
          - { name: x, kind: number, unit: none, range: [0, 1] }
          - { name: z, kind: number, unit: none, range: [-2, 2] }
          - { name: y, kind: label, categories: [0, 1] }
        """, "schema");

    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory] // false alarms: each run's three tests share 5 %; more than 2 of 6 or of 4 happen less often than once in 400
    [InlineData("noise: own, steps: 3, samplingRate: 0.2, noiseMultiplier: auto, maxEpsilon: 3", "logistic }", 6, 2)]
    [InlineData("noise: shared, samplingRate: 0.3, noiseMultiplier: auto, maxEpsilon: 3", "logistic }", 4, 2)]
    [InlineData("noise: own, steps: 3, samplingRate: 0.2, noiseMultiplier: auto, maxEpsilon: 3, clipping: per-layer", "mlp, hidden: [4] }", 4, 2)]
    public void OneRun_TheRealTrainer_StaysBelowItsClaim(string privacy, string model, int runs, int alarms)
    {
        LearningTask task = Task(privacy, model);
        CanaryAudit[] audits = [.. Enumerable.Range(0, runs).Select(_ => OneRun(task, task.Spec, 600))];
        Assert.All(audits, audit => Assert.InRange(audit.Claim.Epsilon, 2.9, 3));
        Assert.InRange(audits.Count(audit => !audit.Holds), 0, alarms);
        Assert.InRange(audits.Average(audit => audit.Bound.Epsilon), 0.3, 3); // it sees something
        Assert.InRange(audits.Average(audit => audit.GaussianEpsilon), 0.4, 3);
    }

    [Theory]
    [InlineData("noise: own, steps: 3, samplingRate: 0.2, noiseMultiplier: auto, maxEpsilon: 3")]
    [InlineData("noise: shared, samplingRate: 0.3, noiseMultiplier: auto, maxEpsilon: 3")]
    public void OneRun_HalfTheNoise_IsCaught(string privacy)
    {
        LearningTask task = Task(privacy);
        double sigma = task.Spec.Sigma;
        CanaryAudit audit = OneRun(task, With(task.Spec, task.Spec.Privacy! with { NoiseMultiplier = sigma / 2 }), 1000);
        Assert.False(audit.Holds, $"{audit}, {audit.Claim.AttackSuccess}");
        Assert.False(audit.IsAsDocumented);
        Assert.True(audit.GaussianEpsilon > audit.Claim.Epsilon, $"{audit.GaussianEpsilon} is not above {audit.Claim.Epsilon}.");
    }

    [Theory]
    [InlineData("noise: own, steps: 3, samplingRate: 0.2, noiseMultiplier: auto, maxEpsilon: 3")]
    [InlineData("noise: shared, samplingRate: 0.5, noiseMultiplier: auto, maxEpsilon: 3")]
    public void OneRun_NoClipping_ShowsMoreThanIsClaimed(string privacy)
    {
        LearningTask task = Task(privacy);
        PrivacySpec claimed = task.Spec.Privacy!;
        // The same noise, and a bound that no gradient reaches.
        CanaryAudit audit = OneRun(task, With(task.Spec, claimed with { Clip = claimed.Clip * 1000, NoiseMultiplier = task.Spec.Sigma / 1000 }), 1000);
        Assert.False(audit.Holds);
        Assert.True(audit.Bound.Epsilon > audit.Claim.Epsilon, $"{audit}");
    }

    [Fact] // a rate of sampling above the one that is accounted for
    public void OneRun_SampledMoreOften_IsCaught()
    {
        LearningTask task = Task("noise: own, steps: 3, samplingRate: 0.1, noiseMultiplier: 2");
        CanaryAudit audit = OneRun(task, With(task.Spec, task.Spec.Privacy! with { SamplingRate = 0.5 }), 1000);
        Assert.False(audit.Holds);
    }

    [Fact] // too little noise, and enough canaries to show it without any assumption about the mechanism
    public void OneRun_QuarterOfTheNoiseAndManyCanaries_ShowsMoreThanIsClaimed()
    {
        LearningTask task = Task("noise: own, steps: 1, samplingRate: 1, noiseMultiplier: auto, maxEpsilon: 1", rounds: 1);
        double sigma = task.Spec.Sigma;
        CanaryAudit audit = OneRun(task, With(task.Spec, task.Spec.Privacy! with { NoiseMultiplier = sigma / 4 }), 4000);
        Assert.True(audit.Bound.Epsilon > audit.Claim.Epsilon, $"{audit.Bound.Epsilon} is not above {audit.Claim.Epsilon}.");
    }

    [Fact] // the model's own weights are trained as without canaries: with next to no noise, to the same place
    public void Losses_OfCanaries_DoNotMoveTheModel()
    {
        LearningTask task = Task("noise: own, steps: 3, samplingRate: 1, noiseMultiplier: 1e-5");
        ModelState initial = TabularModel.Initial(task.Spec, s_schema);
        TabularDataSet data = Data();
        using var learner = new TabularLearner(data, TorchSharp.torch.CPU);
        ModelState model = initial;
        for (int round = 1; round <= task.Spec.Rounds; round++)
        {
            ModelState update = learner.Train(task, round, model, CancellationToken.None).WeightedDelta;
            model = new(model.Tensors.Zip(update.Tensors, (before, moved) => before with { Values = [.. before.Values.Zip(moved.Values, (a, b) => a + b)] }));
        }

        using var module = new CanaryModule(Loaded(task, initial), 20, task.Spec.Privacy!);
        using var scope = TorchSharp.torch.NewDisposeScope();
        var inputs = TorchSharp.torch.tensor(data.Train.Features, [data.Train.Count, data.Train.Width]);
        using var random = new Federation.Privacy.Mechanisms.SecureRandom();
        Rehearsal.Run(module, Federation.Learning.DifferentialPrivacy.PrivacyUnits.Records(data.Train.Count + 3), module.Losses(Federation.Learning.Training.RowLosses.Of(module, data.Train, inputs, true), data.Train.Count, [2, 5, 19]), task, [], 1, _ => { }, random, CancellationToken.None);
        ModelState trained = ModuleState.Of(module);
        foreach (NamedTensor expected in model.Tensors)
        {
            float[] found = trained.Tensors.Single(tensor => tensor.Name.EndsWith(expected.Name, StringComparison.Ordinal)).Values;
            for (int i = 0; i < found.Length; i++) Assert.Equal(expected.Values[i], found[i], 1e-3f);
        }

        float[] canaries = trained.Tensors.Single(tensor => tensor.Name == module.CanaryWeights.Single()).Values;
        Assert.Equal([2, 5, 19], Enumerable.Range(0, 20).Where(canary => Math.Abs(canaries[canary]) > 0.01));
    }

    [Fact]
    public void Membership_LittleNoise_IsSeenInTheLastModelAndTheClaimHolds()
    {
        LearningTask task = Task("noise: own, steps: 2, samplingRate: 1, noiseMultiplier: 0.2", rounds: 2);
        MembershipAudit audit = SiteAudit.Membership(task, TabularModel.Initial(task.Spec, s_schema), Data(), 150);
        Assert.True(audit.Holds);
        Assert.InRange(audit.Bound.Epsilon, 0.3, audit.Claim.Epsilon);
        Assert.Equal((150, 50), (audit.Runs, audit.Bound.Runs));
    }

    [Fact] // some 100 times the gradient that is claimed
    public void Membership_NoClipping_ShowsMoreThanIsClaimed()
    {
        LearningTask task = Task("noise: own, steps: 2, samplingRate: 1, noiseMultiplier: auto, maxEpsilon: 0.5, clip: 0.01", rounds: 1);
        PrivacySpec claimed = task.Spec.Privacy!;
        MembershipAudit audit = SiteAudit.Membership(task, With(task.Spec, claimed with { Clip = 100, NoiseMultiplier = task.Spec.Sigma * claimed.Clip / 100 }), TabularModel.Initial(task.Spec, s_schema), Data(), 120, 0.95, null, CancellationToken.None);
        Assert.True(audit.Bound.Epsilon > audit.Claim.Epsilon, $"{audit.Bound.Epsilon} is not above {audit.Claim.Epsilon}.");
        Assert.False(audit.Holds);
    }

    [Fact]
    public void LowerBound_ForAReport_IsThatOfOneRun()
    {
        LearningTask task = Task("noise: own, steps: 1, samplingRate: 1, noiseMultiplier: 0.5", rounds: 2);
        Assert.InRange(SiteAudit.LowerBound(task.Spec, s_schema, "a", Data(), 300), 1, 15);
    }

    [Theory]
    [InlineData("", 600, "claim")]
    [InlineData("noise: own, steps: 1, samplingRate: 1, noiseMultiplier: 1", 15, "15 canaries")]
    [InlineData("noise: shared, samplingRate: 0.3, noiseMultiplier: 1", 9000, "8188 canaries")]
    public void OneRun_NothingToAudit_IsRefusedByName(string privacy, int canaries, string complaint)
    {
        LearningTask task = Task(privacy);
        Assert.Contains(complaint, Assert.Throws<InvalidInputException>(() => OneRun(task, task.Spec, canaries)).Message, StringComparison.Ordinal);
    }

    private CanaryAudit OneRun(LearningTask claimed, RunSpec trained, int canaries) =>
        SiteAudit.OneRun(claimed, trained, TabularModel.Initial(claimed.Spec, s_schema), Data(), canaries, 0.95, CancellationToken.None);

    private static RunSpec With(RunSpec spec, PrivacySpec privacy) => spec with { Privacy = privacy };

    private static TorchSharp.torch.nn.Module<TorchSharp.torch.Tensor, TorchSharp.torch.Tensor> Loaded(LearningTask task, ModelState initial)
    {
        var module = TabularModel.Create(task.Spec, s_schema, 0);
        ModuleState.Load(module, initial);
        return module;
    }

    private static LearningTask Task(string privacy, string model = "logistic }", int rounds = 10)
    {
        string clip = privacy.Contains("clip:", StringComparison.Ordinal) ? "" : ", clip: 0.6", section = privacy.Length == 0 ? "privacy: none" : $"privacy: {{ unit: record{clip}, {privacy}, delta: 1e-5 }}";
        RunSpec spec = RunSpec.Parse($$"""
            name: synthetic
            data: { schema: synthetic.schema.yaml }
            model: { kind: {{model}}
            task: { kind: binary-classification, label: y }
            rounds: {{rounds}}
            seed: 42
            cohort: { minContributors: 3, deadline: 60s }
            local: { optimizer: { kind: sgd, learningRate: 0.5 }, batchSize: 16 }
            {{section}}
            """, "spec");
        return new LearningTask("run", "a", spec, s_schema);
    }

    private TabularDataSet Data()
    {
        string path = Path.Combine(_folder.Path, "table.csv");
        List<string> lines = ["x,z,y"];
        for (int i = 0; i < 60; i++)
        {
            double x = (i * 0.618) % 1, z = (((i * 0.414) % 1) * 4) - 2;
            lines.Add(string.Create(CultureInfo.InvariantCulture, $"{x:F3},{z:F3},{(x + (z / 4) > 0.5 ? 1 : 0)}"));
        }

        File.WriteAllLines(path, lines);
        RunSpec spec = Task("").Spec;
        return TabularDataSet.Load(new DataSource("synthetic", path), s_schema, spec.Data!, spec.Task!);
    }
}
