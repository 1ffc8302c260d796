using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning.DifferentialPrivacy;
using Federation.Learning.Models;
using Federation.Learning.Optimizers;
using Federation.Learning.Training;
using Federation.Privacy.Mechanisms;
using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning.Tests;

/// <summary>Learning rates that move with the steps, averages of the weights and accumulated gradients, each by hand: one weight w from 0.</summary>
public sealed class StepwiseTrainingTests
{
    private const string Cosine = ", learningRateSchedule: { kind: cosine, over: steps }";

    [Theory] // loss (w − 1)², sgd with 0.1: without a schedule w is 0.2, 0.36
    [InlineData("sgd", 1, Cosine, 1, 0.28)] // factors 1 and ½: 0.2, then by 0.05·1.6
    [InlineData("sgd", 2, Cosine, 1, 0.3365685)] // the first half of four steps: 1 and 0.8535534
    [InlineData("sgd", 2, Cosine, 2, 0.1263604)] // the other half: 0.5 and 0.1464466
    [InlineData("sgd", 2, Cosine, 7, 0.1263604)] // abandoned rounds count: as the last
    [InlineData("sgd", 1, ", weightAverage: 0.5", 1, 0.3066667)] // (½·(½·0.2) + ½·0.36) / (1 − ½²)
    [InlineData("sgd", 1, Cosine + ", weightAverage: 0.5", 1, 0.2533333)] // the same of 0.2 and 0.28
    [InlineData("adamw", 1, Cosine, 1, 0.1497939)] // by Algorithm 1 with α = 0.1 and then 0.05
    public void Train_TwoSteps_EqualTheHandDerivedWeight(string optimizer, int rounds, string more, int round, double expected)
    {
        using ModuleLearner learner = new(Line, new Examples(ones(1, 1), ones(1, 1)), (output, target) => nn.functional.mse_loss(output, target));
        TrainingResult result = learner.Train(Task(optimizer, 1, 2, more, rounds), round, Zero(), TestContext.Current.CancellationToken);
        Assert.Equal(expected, Assert.Single(result.WeightedDelta.Tensors).Values[0], 1e-6);
    }

    [Fact] // targets 1, 2, 4: the mean gradient at 0 is −2·7/3, whatever the parts are; the parts' own means would give −2·(1.5 + 4)
    public void Train_ABatchInParts_IsTheStepOfTheWhole()
    {
        foreach (string more in new[] { "", ", microBatchSize: 2", ", microBatchSize: 1" })
        {
            using ModuleLearner learner = new(Line, new Examples(ones(3, 1), tensor(new float[] { 1, 2, 4 }, [3, 1])), (output, target) => nn.functional.mse_loss(output, target));
            List<(int, double)> told = [];
            TrainingResult result = learner.Train(Task("sgd", 3, 1, more) with { EpochEnded = (epoch, loss) => told.Add((epoch, loss)) }, 1, Zero(), TestContext.Current.CancellationToken);
            Assert.Equal(3 * 0.1 * 14 / 3, Assert.Single(result.WeightedDelta.Tensors).Values[0], 1e-5);
            Assert.Equal((7, 1L), (result.Loss, result.Steps), (a, b) => Math.Abs(a.Item1 - b.Item1) < 1e-6 && a.Item2 == b.Item2);
            Assert.Equal([(1, result.Loss)], told);
        }
    }

    [Fact] // never more examples at once than were allowed
    public void Train_ABatchInParts_BoundsWhatGoesThroughTheModel()
    {
        long most = 0;
        using ModuleLearner learner = new(Line, new Examples(ones(7, 1), ones(7, 1)), (output, target) =>
        {
            most = Math.Max(most, output.shape[0]);
            return nn.functional.mse_loss(output, target);
        });
        learner.Train(Task("sgd", 7, 1, ", microBatchSize: 3"), 1, Zero(), TestContext.Current.CancellationToken);
        Assert.Equal(3, most);
    }

    [Theory] // Torch's optimizers, which move models on other devices
    [InlineData(OptimizerKind.Sgd, false)]
    [InlineData(OptimizerKind.Adam, true)]
    [InlineData(OptimizerKind.AdamW, false)]
    public void Set_ATorchOptimizer_MovesByTheStepsRate(OptimizerKind kind, bool isCorrected)
    {
        using nn.Module<Tensor, Tensor> module = Line();
        ModuleState.Load(module, Zero());
        LearningTask task = Task("sgd", 1, 2, Cosine + (isCorrected ? ", proximal: 0.000001" : ""));
        OptimizerSpec spec = new(kind, 0.1);
        optim.Optimizer inner = LocalTraining.OfTorch(module, spec);
        using optim.Optimizer optimizer = isCorrected ? GradientCorrection.Of(module, task, Zero())!.Around(inner) : inner;
        var rates = new StepRates(task.Spec, 1, 2);
        List<float> weights = [];
        for (int step = 0; step < 2; step++)
        {
            rates.Set(optimizer, step);
            optimizer.zero_grad();
            module.call(ones(1, 1)).sum().backward();
            optimizer.step();
            weights.Add(ModuleState.Of(module).Tensors[0].Values[0]);
        }

        // A gradient of 1 in each step: sgd and Adam both move by the rate.
        Assert.Equal(-0.1, weights[0], 1e-5);
        Assert.Equal(-0.15, weights[1], 1e-5);
    }

    [Fact] // under differential privacy both are functions of the noisy steps: w ← w − ηf·g̃, g̃ what each step released, and the average of these w
    public void Run_NoiseOfOnesOwn_MovesAndAveragesWhatWasReleased()
    {
        RunSpec spec = RunSpec.Parse("""
            name: own
            model: { kind: custom }
            rounds: 1
            seed: 0
            cohort: { minContributors: 1, deadline: 5s }
            local: { optimizer: { kind: sgd, learningRate: 0.5 }, batchSize: 5, learningRateSchedule: { kind: cosine, over: steps }, weightAverage: 0.5, microBatchSize: 2 }
            privacy: { unit: record, noise: own, clip: 1, noiseMultiplier: 1, samplingRate: 1, steps: 3, delta: 1e-5 }
            secureAggregation: none
            """, "spec");
        using nn.Module<Tensor, Tensor> module = Line();
        using SecureRandom random = new();
        double weight = 0, average = 0;
        int step = 0;
        long most = 0;
        ModuleState.Load(module, Zero());
        TrainingResult result = PrivateTraining.Run(module, PrivacyUnits.Records(5), Losses, new LearningTask("run", "a", spec, null), 1, Zero(), random, CancellationToken.None, Follow);
        Assert.Equal(average / (1 - 0.125), result.WeightedDelta.Tensors[0].Values[0], 1e-5);
        Assert.Equal(2, most);

        Tensor Losses(Tensor records)
        {
            most = Math.Max(most, records.shape[0]);
            return (module.call(ones(records.shape[0], 1)) - 1).square().reshape(-1);
        }

        void Follow(DpTrainer trainer)
        {
            weight -= 0.5 * new[] { 1, 0.75, 0.25 }[step++] * trainer.Released("weight").data<float>()[0];
            average = (0.5 * average) + (0.5 * weight);
        }
    }

    private static LearningTask Task(string optimizer, int batchSize, int epochs, string more, int rounds = 1) => new("run", "a", RunSpec.Parse($$"""
        name: own
        model: { kind: custom }
        rounds: {{rounds}}
        seed: 0
        cohort: { minContributors: 1, deadline: 5s }
        local: { optimizer: { kind: {{optimizer}}, learningRate: 0.1 }, batchSize: {{batchSize}}, epochs: {{epochs}}{{more}} }
        privacy: none
        secureAggregation: none
        """, "spec"), null);

    private static ModelState Zero() => new([new("weight", [1, 1], [0])]);

    private static nn.Module<Tensor, Tensor> Line() => nn.Linear(1, 1, hasBias: false);
}
