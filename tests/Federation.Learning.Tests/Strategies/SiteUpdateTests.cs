using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning.Strategies;
using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning.Tests.Strategies;

/// <summary>What a site makes of its training for its run's strategy, by hand from the papers.</summary>
public sealed class SiteUpdateTests
{
    private static readonly ModelState s_moved = Moved(0.5f, -1); // over 4 examples: by 0.125 and −0.25

    [Fact] // d = Δ/‖a‖₁, with ρ = 0.5 and τ = 3: ‖a‖₁ = 4.25; both weighted by the examples
    public void Of_FedNova_NormalisesByTheSteps()
    {
        ModelState update = Of("fednova", new TrainingResult(s_moved, 4, 0) { Steps = 3 }, momentum: 0.5).WeightedDelta;
        Assert.Equal(["!", "bias", "weight"], update.Tensors.Select(tensor => tensor.Name));
        float[] values = [.. update.Tensors.Select(tensor => tensor.Values[0])];
        foreach ((double expected, float value) in new[] { 17, 0.5 / 4.25, -1 / 4.25 }.Zip(values)) Assert.Equal(expected, value, 1e-6);
    }

    [Fact] // q = 2, F = 3, L = 1/0.1: F^q = 9; (2·3·L‖Δ‖² + F^q), ‖Δ‖² = 0.125² + 0.25²; every site counts 1
    public void Of_QFedAvg_WeightsByTheLoss()
    {
        TrainingResult result = Of("q-fedavg, q: 2", new TrainingResult(s_moved, 4, 0) { Steps = 3, StartLoss = 3 });
        Assert.Equal(1ul, result.Weight);
        float[] values = [.. result.WeightedDelta.Tensors.Select(tensor => tensor.Values[0])];
        Assert.Equal((6 * 10 * 0.078125) + 9, values[0], 1e-5);
        Assert.Equal([9 * 0.125f, 9 * -0.25f], values[1..]);
    }

    [Fact] // ‖Δ‖² of the weight alone; the buffer is averaged like it
    public void Of_QFedAvgWithBuffers_CountsThemForNoGradient()
    {
        TrainingResult result = Of("q-fedavg, q: 2", new TrainingResult(s_moved, 4, 0) { Steps = 3, StartLoss = 3, Buffers = new HashSet<string> { "bias" } });
        float[] values = [.. result.WeightedDelta.Tensors.Select(tensor => tensor.Values[0])];
        Assert.Equal((6 * 10 * 0.0625) + 9, values[0], 1e-5);
        Assert.Equal([9 * 0.125f, 9 * -0.25f], values[1..]);
    }

    [Fact]
    public void Train_WithBatchNormalisation_SaysWhichTensorsAreBuffers()
    {
        using var learner = new ModuleLearner(() => nn.Sequential(("norm", nn.BatchNorm1d(2)), ("line", nn.Linear(2, 1, hasBias: false))), new Examples(ones(2, 2), ones(2, 1)), (output, target) => nn.functional.mse_loss(output, target));
        var start = new ModelState([.. new[] { "norm.bias", "norm.running_mean", "norm.running_var", "norm.weight" }.Select(name => new NamedTensor(name, [2], [1, 1])), new NamedTensor("line.weight", [1, 2], [1, 1])]);
        TrainingResult result = learner.Train(new LearningTask("run", "a", RunSpec.Parse(Yaml("fedavg").Replace("batchSize: 1", "batchSize: 2", StringComparison.Ordinal), "spec"), null), 1, start, TestContext.Current.CancellationToken);
        Assert.Equal(["norm.running_mean", "norm.running_var"], result.WeightedDelta.Tensors.Select(tensor => tensor.Name).Where(result.Buffers.Contains));
        Assert.Equal(result.Buffers, result.AsOne().Buffers);
    }

    [Fact] // q = 0: h = L, Δ = L(x − x̄): FedAvg in which every site counts 1
    public void Of_QFedAvgOfZero_IsTheUpdateItself() =>
        Assert.Equal([1f, 0.125f, -0.25f], Of("q-fedavg, q: 0", new TrainingResult(s_moved, 4, 0) { Steps = 3, StartLoss = 3 }).WeightedDelta.Tensors.Select(tensor => tensor.Values[0]));

    [Fact]
    public void Of_APersonalPart_IsNotInIt()
    {
        ModelState update = Of("fedavg", new TrainingResult(s_moved, 4, 0), more: "personal: { tensors: [\"bi*\"] }").WeightedDelta;
        Assert.Equal(("weight", -1f), (Assert.Single(update.Tensors).Name, update.Tensors[0].Values[0]));
    }

    [Theory]
    [InlineData("fednova", 0, 1, "TrainingResult.Steps")]
    [InlineData("q-fedavg", 3, double.NaN, "TrainingResult.StartLoss")]
    [InlineData("q-fedavg", 3, -1, "at least 0")]
    public void Of_ALearnerThatDoesNotSayWhatIsNeeded_Fails(string strategy, long steps, double loss, string says) =>
        Assert.Contains(says, Assert.Throws<LearningException>(() => Of(strategy, new TrainingResult(s_moved, 4, 0) { Steps = steps, StartLoss = loss })).Message, StringComparison.Ordinal);

    [Fact] // beyond the cut it would be cut in silence
    public void Of_ANumberBeyondTheEncoding_Fails() =>
        Assert.Contains("Raise secureAggregation.maxWeight", Assert.Throws<LearningException>(() => Of("fednova", new TrainingResult(s_moved, 4, 0) { Steps = 101 }, secure: "{ kind: threshold-bfv, maxWeight: 100 }")).Message, StringComparison.Ordinal);

    [Fact] // option II: Δc = −c + (x − y)/(Kη), K = 2, η = 0.1: −1 − 0.125/0.2, −2 + 0.25/0.2; cᵢ + Δc
    public void After_Scaffold_IsOptionTwo()
    {
        ModelState global = Moved(1, 2), own = Moved(0.25f, 0.5f);
        Assert.Equal([0.75f, 1.5f], Scaffold.Drift(global, own).Tensors.Select(tensor => tensor.Values[0]));
        TrainingResult update = Scaffold.After(Spec("scaffold"), new TrainingResult(s_moved, 4, 0) { Steps = 2 }, global);
        Assert.Equal(1ul, update.Weight);
        Assert.Equal([0.125f, -0.25f, -1.625f, -0.75f], update.WeightedDelta.Tensors.Select(tensor => tensor.Values[0]));
        Assert.Equal([-1.375f, -0.25f], Scaffold.Moved(own, update.WeightedDelta).Tensors.Select(tensor => tensor.Values[0]));
    }

    [Theory] // g = 2(w − 1) + d from 0 with d = 0.5, one step of 0.1; around Torch's optimizers too
    [InlineData(false)]
    [InlineData(true)]
    public void Train_WithADrift_AddsItToEachStep(bool others)
    {
        using var learner = new ModuleLearner(() => Line(others), new Examples(ones(1, 2), ones(1, 1)), (output, target) => nn.functional.mse_loss(output, target));
        var start = new ModelState([new NamedTensor("weight", [1, 2], [0, 0])]);
        var task = new LearningTask("run", "a", Spec("scaffold"), null) { Drift = new ModelState([new NamedTensor("weight", [1, 2], [0.5f, -0.25f])]) };
        TrainingResult result = learner.Train(task, 1, start, TestContext.Current.CancellationToken);
        Assert.Equal(1, result.Steps);
        Assert.Equal(0.15, result.WeightedDelta.Tensors[0].Values[0], 1e-6);
        Assert.Equal(0.225, result.WeightedDelta.Tensors[0].Values[1], 1e-6);
    }

    [Fact] // what stays at the site is trained without noise, although the run is private
    public void Train_WhatStaysHere_IsTrainedAsItIs()
    {
        using var learner = new ModuleLearner(() => Line(false), new Examples(ones(1, 2), ones(1, 1)), (output, target) => nn.functional.mse_loss(output, target));
        RunSpec spec = RunSpec.Parse(Yaml("fedavg").Replace("privacy: none", "privacy: { unit: record, noise: own, steps: 1, samplingRate: 1, clip: 1, noiseMultiplier: 1000, delta: 1e-5 }", StringComparison.Ordinal), "spec");
        var start = new ModelState([new NamedTensor("weight", [1, 2], [0, 0])]);
        Assert.Equal([0.2f, 0.2f], learner.Train(new LearningTask("run", "a", spec, null) { StaysHere = true }, 1, start, TestContext.Current.CancellationToken).WeightedDelta.Tensors[0].Values);
    }

    private static TorchSharp.Modules.Linear Line(bool others)
    {
        TorchSharp.Modules.Linear line = nn.Linear(2, 1, hasBias: false);
        if (others) line.weight = new TorchSharp.Modules.Parameter(rand(2, 2)[.., ..1].t());
        return line;
    }

    private static TrainingResult Of(string strategy, TrainingResult trained, double momentum = 0, string secure = "none", string more = "")
    {
        RunSpec run = Spec(strategy, momentum, secure, more);
        return SiteUpdate.Of(new LearningTask("run", "a", run, null), trained, UpdateShape.Of(run, trained.WeightedDelta.Header));
    }

    private static ModelState Moved(float bias, float weight) => new([new NamedTensor("bias", [1], [bias]), new NamedTensor("weight", [1], [weight])]);

    private static RunSpec Spec(string strategy, double momentum = 0, string secure = "none", string more = "") => RunSpec.Parse(Yaml(strategy, momentum, secure, more), "spec");

    private static string Yaml(string strategy, double momentum = 0, string secure = "none", string more = "") => FormattableString.Invariant($$"""
        name: own
        model: { kind: custom }
        rounds: 1
        seed: 0
        cohort: { minContributors: 3, deadline: 5s }
        local: { optimizer: { kind: sgd, learningRate: 0.1, momentum: {{momentum}} }, batchSize: 1 }
        strategy: { kind: {{strategy}} }
        secureAggregation: {{secure}}
        privacy: none
        {{more}}
        """);
}
