using Federation.Formats.Evaluation;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning.Models;
using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning.Tests;

public sealed class ModuleLearnerTests
{
    private static LearningTask Task(string optimizer, int epochs = 2, string more = "") => new("run", "a", RunSpec.Parse($$"""
        name: own
        model: { kind: custom }
        rounds: 1
        seed: 0
        cohort: { minContributors: 1, deadline: 5s }
        local: { optimizer: {{optimizer}}, batchSize: 1, epochs: {{epochs}}{{more}} }
        privacy: none
        secureAggregation: none
        """, "spec"), null);

    [Theory] // One weight w from 0, loss (w − 1)², two steps, by hand from the optimizers' papers (Kingma and Ba 2015; Loshchilov and Hutter 2019)
    [InlineData("{ kind: sgd, learningRate: 0.1 }", 0.36)]
    [InlineData("{ kind: sgd, learningRate: 0.1, momentum: 0.5 }", 0.46)]
    [InlineData("{ kind: sgd, learningRate: 0.1, weightDecay: 0.1 }", 0.358)]
    [InlineData("{ kind: adam, learningRate: 0.1 }", 0.1995878)]
    [InlineData("{ kind: adam, learningRate: 0.1, weightDecay: 0.1 }", 0.1995584)]
    [InlineData("{ kind: adamw, learningRate: 0.1, weightDecay: 0.1 }", 0.1985878)]
    public void Train_TwoStepsOnASquare_EqualTheHandDerivedWeight(string optimizer, double expected)
    {
        using ModuleLearner learner = Square();
        TrainingResult result = learner.Train(Task(optimizer), 1, Zero(), TestContext.Current.CancellationToken);
        Assert.Equal(1ul, result.Weight);
        Assert.Equal(expected, Assert.Single(result.WeightedDelta.Tensors).Values[0], 1e-6);
    }

    [Theory] // the same with FedProx's μ = 1: g = 2(w − 1) + 1·(w − 0), so that sgd goes to 0.2 and then by 0.1·(1.6 − 0.2)
    [InlineData("{ kind: sgd, learningRate: 0.1 }", 0.34)]
    [InlineData("{ kind: sgd, learningRate: 0.1, momentum: 0.5 }", 0.44)]
    [InlineData("{ kind: adam, learningRate: 0.1 }", 0.1992516)]
    public void Train_WithAProximalTerm_IsPulledBackToTheGlobalModel(string optimizer, double expected)
    {
        using ModuleLearner learner = Square();
        TrainingResult result = learner.Train(Task(optimizer, more: ", proximal: 1"), 1, Zero(), TestContext.Current.CancellationToken);
        Assert.Equal(expected, Assert.Single(result.WeightedDelta.Tensors).Values[0], 1e-6);
    }

    [Fact]
    public void Train_ThreeExamples_WeightsTheDeltaByTheirNumber()
    {
        using var learner = new ModuleLearner(Line, new Examples(ones(3, 1), ones(3, 1)), Squared);
        TrainingResult result = learner.Train(Task("{ kind: sgd, learningRate: 0.1 }", epochs: 1), 1, Zero(), TestContext.Current.CancellationToken);
        Assert.Equal(3ul, result.Weight);
        Assert.Equal(3 * 0.488, Assert.Single(result.WeightedDelta.Tensors).Values[0], 1e-6); // w: 0.2, 0.36, 0.488
    }

    [Fact]
    public void Train_DivergingLoss_SaysWhatHelps()
    {
        using ModuleLearner learner = Square();
        var error = Assert.Throws<LearningException>(() => learner.Train(Task("{ kind: sgd, learningRate: 1000 }", epochs: 100), 1, Zero(), TestContext.Current.CancellationToken));
        Assert.Contains("learningRate", error.Message);
    }

    [Fact]
    public void Train_Cancelled_StopsBetweenSteps()
    {
        using ModuleLearner learner = Square();
        Assert.Throws<OperationCanceledException>(() => learner.Train(Task("{ kind: sgd, learningRate: 0.1 }"), 1, Zero(), new CancellationToken(true)));
    }

    [Fact]
    public void Check_OtherLayout_NamesEveryDifference()
    {
        using ModuleLearner learner = Square();
        IReadOnlyList<string> mismatches = learner.Check(Task("{ kind: sgd, learningRate: 0.1 }"), new ModelState([new("weight", [1, 2], [0, 0]), new("bias", [1], [0])]));
        Assert.Equal(2, mismatches.Count);
        Assert.Contains(mismatches, sentence => sentence.Contains("'weight' is F32[1, 2]; F32[1, 1] is right"));
        Assert.Contains(mismatches, sentence => sentence.Contains("'bias' F32[1] is not part of the model"));
    }

    [Fact] // Never intersected: a state that lacks a tensor, or has one too many or re-shaped
    public void Load_PartialOrReshapedState_IsRefusedAndChangesNothing()
    {
        using nn.Module<Tensor, Tensor> module = nn.Linear(2, 1);
        string before = ModuleState.Of(module).Sha256;
        ModelState[] wrong =
        [
            new([new("weight", [1, 2], [1, 1])]),
            new([new("weight", [2, 1], [1, 1]), new("bias", [1], [1])]),
            new([new("weight", [1, 2], [1, 1]), new("bias", [1], [1]), new("extra", [1], [1])]),
        ];
        foreach (ModelState state in wrong) Assert.Throws<LearningException>(() => ModuleState.Load(module, state));
        Assert.Equal(before, ModuleState.Of(module).Sha256);
    }

    [Fact]
    public void Of_BatchNorm_KeepsItsCounterLocal()
    {
        using nn.Module<Tensor, Tensor> module = nn.BatchNorm1d(3);
        Assert.Equal(["bias", "running_mean", "running_var", "weight"], ModuleState.Of(module).Tensors.Select(tensor => tensor.Name));
        ModuleState.Load(module, ModuleState.Of(module));
    }

    [Fact]
    public void Of_OtherTypes_AreRefused()
    {
        using nn.Module<Tensor, Tensor> module = nn.Linear(2, 1).to(ScalarType.Float64);
        Assert.Contains("float32", Assert.Throws<LearningException>(() => ModuleState.Of(module)).Message);
    }

    [Fact]
    public void Evaluate_BinaryAndMulticlassLogits_GiveSums()
    {
        using var binary = new ModuleLearner(Line, new Examples(ones(1, 1), ones(1, 1)), Squared, new Examples(tensor(new float[] { -1, 1, 1 }, [3, 1]), tensor(new float[] { 0, 1, 0 }, [3, 1])));
        var one = new ModelState([new("weight", [1, 1], [2])]);
        EvaluationSums sums = binary.Evaluate(Task("{ kind: sgd, learningRate: 1 }"), one, TestContext.Current.CancellationToken);
        Assert.Equal((3ul, 2ul), (sums.Examples, sums.Correct));
        using var three = new ModuleLearner(() => nn.Linear(1, 3, hasBias: false), new Examples(ones(1, 1), ones(1)), Squared, new Examples(ones(2, 1), tensor(new long[] { 2, 0 })));
        sums = three.Evaluate(Task("{ kind: sgd, learningRate: 1 }"), new ModelState([new("weight", [3, 1], [0, 1, 2])]), TestContext.Current.CancellationToken);
        Assert.Equal((2ul, 1ul, 0), (sums.Examples, sums.Correct, sums.NegativeHistogram.Count));
    }

    [Fact]
    public void Evaluate_Regression_AsksForAFunction()
    {
        using var learner = new ModuleLearner(Line, new Examples(ones(1, 1), ones(1, 1)), Squared, new Examples(ones(2, 1), tensor(new float[] { 0.5f, 7 }, [2, 1])));
        Assert.Contains("evaluate function", Assert.Throws<LearningException>(() => learner.Evaluate(Task("{ kind: sgd, learningRate: 1 }"), Zero(), TestContext.Current.CancellationToken)).Message);
    }

    [Theory]
    [InlineData("gpu", "cpu, cuda or cuda:0")]
    [InlineData("cuda:x", "cpu, cuda or cuda:0")]
    public void Parse_NoDevice_SaysWhatIs(string name, string says) => Assert.Contains(says, Assert.Throws<Formats.InvalidInputException>(() => TorchDevice.Parse(name)).Message);

    [Fact]
    public void Parse_CudaWithoutOne_SaysHowToGetIt()
    {
        if (torch.cuda_is_available()) Assert.Skip("This machine has a GPU.");
        Assert.Contains("-p:Torch=cuda", Assert.Throws<Formats.InvalidInputException>(() => TorchDevice.Parse("cuda:0")).Message);
    }

    private static Tensor Squared(Tensor output, Tensor target) => nn.functional.mse_loss(output, target);

    private static ModelState Zero() => new([new("weight", [1, 1], [0])]);

    private static ModuleLearner Square() => new(Line, new Examples(ones(1, 1), ones(1, 1)), Squared);

    private static nn.Module<Tensor, Tensor> Line() => nn.Linear(1, 1, hasBias: false);
}
