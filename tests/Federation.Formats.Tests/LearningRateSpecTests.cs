using Federation.Formats.Runs;

namespace Federation.Formats.Tests;

/// <summary>How the learning rate moves, the average of the weights, and gradient accumulation.</summary>
public sealed class LearningRateSpecTests
{
    public const string Cosine = """
        name: own
        model: { kind: custom }
        rounds: 4
        seed: 0
        cohort: { minContributors: 3, deadline: 5s }
        local: { optimizer: { kind: sgd, learningRate: 0.5 }, batchSize: 8, learningRateSchedule: { kind: cosine, over: rounds, warmUp: 0.25, minimum: 0.5 }, weightAverage: 0.5, microBatchSize: 4 }
        strategy: { kind: fedavg }
        secureAggregation: none
        privacy: none
        """;

    public static string Step => Cosine.Replace("{ kind: cosine, over: rounds, warmUp: 0.25, minimum: 0.5 }", "{ kind: step, over: steps, at: [0.5, 0.75], factor: 0.5 }");

    [Fact]
    public void Parse_TheExamples_ReadsEveryField()
    {
        LocalSpec local = RunSpec.Parse(Cosine, "x").Local;
        Assert.Equal((0.5, 4), (local.WeightAverage, local.MicroBatchSize));
        Assert.Equal((LearningRateDecay.Cosine, false, 0.25, 0.5), (local.RateSchedule!.Kind, local.RateSchedule.IsOverSteps, local.RateSchedule.WarmUp, local.RateSchedule.Minimum));
        LearningRateSchedule step = RunSpec.Parse(Step, "x").Local.RateSchedule!;
        Assert.Equal((LearningRateDecay.Step, true, 0.5), (step.Kind, step.IsOverSteps, step.Factor));
        Assert.Equal([0.5, 0.75], step.At);
    }

    [Fact] // by hand: ½(1 + cos(πk/4)); 1/10 at a half and at three quarters; a warm-up over half of four
    public void FactorAt_EachStep_IsThePapers()
    {
        AssertFactors(new(LearningRateDecay.Cosine, true), 1, 0.85355339, 0.5, 0.14644661, 0.14644661);
        AssertFactors(new(LearningRateDecay.Cosine, true, Minimum: 0.2), 1, 0.88284271, 0.6, 0.31715729, 0.31715729);
        AssertFactors(new(LearningRateDecay.Cosine, true, WarmUp: 0.5), 0.5, 1, 1, 0.5, 0.5);
        AssertFactors(new(LearningRateDecay.Step, true, At: [0.5, 0.75]), 1, 1, 0.1, 0.01, 0.01);
        AssertFactors(new(LearningRateDecay.Constant, true, WarmUp: 0.75), 1 / 3.0, 2 / 3.0, 1, 1, 1);

        static void AssertFactors(LearningRateSchedule schedule, params double[] expected)
        {
            for (int done = 0; done < expected.Length; done++) Assert.Equal(expected[done], schedule.FactorAt(done, 4), 1e-8);
        }
    }

    [Fact] // and once only, however often it is asked
    public void At_ARound_HasTheRateOfTheRound()
    {
        RunSpec spec = RunSpec.Parse(Cosine.Replace(", warmUp: 0.25, minimum: 0.5", ""), "x"), second = spec.At(2);
        Assert.Equal(0.5 * 0.85355339, second.Local.Optimizer.LearningRate, 1e-8);
        Assert.Equal(second.Local, second.At(2).Local);
        Assert.Equal(spec.At(4).Local, spec.At(9).Local); // abandoned rounds count
        RunSpec steps = RunSpec.Parse(Step, "x");
        Assert.Equal(steps.Local, steps.At(3).Local); // within the round, not here
    }

    [Theory]
    [InlineData("kind: cosine", "kind: cosin", "local.learningRateSchedule.kind", "Did you mean 'cosine'?")]
    [InlineData("over: rounds", "over: epochs", "local.learningRateSchedule.over", "rounds")]
    [InlineData("over: rounds, ", "", "local.learningRateSchedule.over", "missing")]
    [InlineData("warmUp: 0.25", "warmUp: 1", "local.learningRateSchedule.warmUp", "[0, 1)")]
    [InlineData("warmUp: 0.25", "warmUp: .nan", "local.learningRateSchedule.warmUp", "[0, 1)")]
    [InlineData("minimum: 0.5", "minimum: 2", "local.learningRateSchedule.minimum", "[0, 1]")]
    [InlineData("minimum: 0.5", "factor: 0.5", "local.learningRateSchedule.factor", "belongs to kind: step")]
    [InlineData("minimum: 0.5", "at: [0.5]", "local.learningRateSchedule.at", "belongs to kind: step")]
    [InlineData("kind: cosine", "kind: constant", "local.learningRateSchedule.minimum", "belongs to kind: cosine")]
    [InlineData("kind: cosine, over: rounds, warmUp: 0.25, minimum: 0.5", "kind: step, over: rounds", "local.learningRateSchedule.at", "missing")]
    [InlineData("kind: cosine, over: rounds, warmUp: 0.25, minimum: 0.5", "kind: step, over: rounds, at: []", "local.learningRateSchedule.at", "1 to 100")]
    [InlineData("kind: cosine, over: rounds, warmUp: 0.25, minimum: 0.5", "kind: step, over: rounds, at: [0.5, 0.5]", "local.learningRateSchedule.at", "each later")]
    [InlineData("kind: cosine, over: rounds, warmUp: 0.25, minimum: 0.5", "kind: step, over: rounds, at: [3]", "local.learningRateSchedule.at", "between 0 and 1")]
    [InlineData("weightAverage: 0.5", "weightAverage: 1", "local.weightAverage", "[0, 1)")]
    [InlineData("microBatchSize: 4", "microBatchSize: 0", "local.microBatchSize", "from 1")]
    [InlineData("microBatchSize: 4", "microBatchSize: 9", "local.microBatchSize", "more than the batchSize of 8")]
    [InlineData("privacy: none", "privacy: none\nschedule: [ { fromRound: 2, learningRate: 0.1 } ]", "schedule", "Remove one of the two")]
    [InlineData("fedavg", "scaffold", "strategy", "mean of the weights on the way")]
    public void Parse_OneMistake_NamesFieldAndRepair(string right, string wrong, string field, string says) => AssertRefused(Cosine.Replace(right, wrong), field, says);

    [Theory]
    [InlineData("fednova")]
    [InlineData("scaffold")]
    [InlineData("q-fedavg")]
    public void Parse_AStrategyThatReckonsWithOneRate_TakesAScheduleOverRoundsAlone(string kind)
    {
        string yaml = Cosine.Replace("fedavg", kind).Replace("weightAverage: 0.5, ", "");
        RunSpec.Parse(yaml, "x");
        AssertRefused(yaml.Replace("over: rounds", "over: steps"), "strategy", "from step to step");
    }

    [Fact] // what would break the accounting is refused; with noise of one's own both are functions of noisy steps
    public void Parse_UnderDifferentialPrivacy_RefusesWhatTheSharedNoiseIsNotMadeFor()
    {
        string own = Cosine.Replace("privacy: none", "privacy: { unit: record, noise: own, clip: 1, noiseMultiplier: 1, samplingRate: 0.1, steps: 5, delta: 1e-5 }"), shared = own.Replace("secureAggregation: none", "secureAggregation: threshold-bfv").Replace("noise: own", "noise: shared").Replace("steps: 5, ", "");
        RunSpec spec = RunSpec.Parse(own, "x");
        Assert.Equal(PrivacyCost.OfRound(RunSpec.Parse(own.Replace("learningRateSchedule: { kind: cosine, over: rounds, warmUp: 0.25, minimum: 0.5 }, weightAverage: 0.5, microBatchSize: 4", "proximal: 0"), "x"), 2, 3), PrivacyCost.OfRound(spec.At(2), 2, 3));
        AssertRefused(shared, "local", "made for one learning rate");
        AssertRefused(shared, "local", "weightAverage");
    }

    private static void AssertRefused(string yaml, string field, string says)
    {
        IReadOnlyList<Problem> problems = Assert.Throws<InvalidInputException>(() => RunSpec.Parse(yaml, "run.yaml")).Problems;
        Assert.Contains(problems, problem => problem.Field == field && problem.Line > 0 && $"{problem.Message} {problem.Repair}".Contains(says, StringComparison.Ordinal));
    }
}
