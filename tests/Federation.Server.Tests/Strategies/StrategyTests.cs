using System.Runtime.InteropServices;
using Federation.Formats;
using Federation.Formats.Runs;
using Federation.Server.Aggregation;
using Federation.Server.Strategies;

namespace Federation.Server.Tests.Strategies;

/// <summary>Two rounds of each strategy, worked out by hand from its paper's formulas, with the state kept in files between them.</summary>
public sealed class StrategyTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("fed-strategy");

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact] // 1 + 0.5 = 1.5; + 0.25 = 1.75
    public void FedAvg_TwoRounds() => AssertSteps(new FedAvg(), [1.5, 1.75], 1e-7);

    [Fact] // v = 0.5, x = 1 + 0.1·0.5 = 1.05; v = 0.9·0.5 + 0.25 = 0.7, x = 1.12
    public void FedAvgM_TwoRounds() => AssertSteps(new FedAvgM(learningRate: 0.1, momentum: 0.9), [1.05, 1.12], 1e-6);

    [Fact] // m = 0.5, v = 0.01 + 0.25 = 0.26, x = 1 + 0.1·0.5/(0.50990195 + 0.1) = 1.0819804; m = 0.25, v = 0.3225, x += 0.1·0.25/(0.56789083 + 0.1)
    public void FedAdagrad_TwoRounds() => AssertSteps(new FedAdagrad(0.1, beta1: 0, tau: 0.1), [1.0819804, 1.1194115], 1e-6);

    [Fact] // m = 0.05, v = 0.99·0.01 + 0.01·0.25 = 0.0124, x = 1 + 0.005/(0.11135529 + 0.1) = 1.0236569; m = 0.07, v = 0.012276 + 0.000625 = 0.012901, x += 0.007/(0.11358257 + 0.1)
    public void FedAdam_TwoRounds() => AssertSteps(new FedAdam(0.1, 0.9, 0.99, tau: 0.1), [1.0236569, 1.0564310], 1e-6);

    [Fact] // m = 0.05, v = 0.01 + 0.01·0.25 = 0.0125 (Δ² is above v), x = 1 + 0.005/(0.11180340 + 0.1) = 1.0236068; m = 0.07, v = 0.0125 + 0.000625 = 0.013125, x += 0.007/(0.11456439 + 0.1)
    public void FedYogi_TwoRounds() => AssertSteps(new FedYogi(0.1, 0.9, 0.99, tau: 0.1), [1.0236068, 1.0562311], 1e-6);

    [Fact] // Δ² = 0.0001 is below v = 0.01: v = 0.01 − 0.000001, where Adam's would be 0.009901; m = 0.001
    public void FedYogi_OfASmallMean_LessensItsSecondMomentSlowly()
    {
        double[] weights = [1];
        float[] state = [0, 0];
        var yogi = new FedYogi(0.1, 0.9, 0.99, tau: 0.1);
        yogi.Start(state);
        yogi.Apply(weights, [0.01], state);
        Assert.Equal(0.009999, state[1], 1e-9);
        Assert.Equal(1 + (0.1 * 0.001 / (Math.Sqrt(0.009999) + 0.1)), weights[0], 1e-9);
    }

    [Fact]
    public void Of_EveryKind_TakesItsNumbers()
    {
        var book = new StrategyBook(new Dictionary<string, Func<IReadOnlyDictionary<string, double>, Strategy>> { ["halved"] = numbers => new Scaled(numbers["factor"]) });
        Assert.IsType<FedAvg>(book.Of(StrategySpec.FedAvg));
        AssertSteps(book.Of(new(StrategyKind.Custom, new Dictionary<string, double> { ["factor"] = 0.5 }, "halved")), [1.25, 1.375], 1e-7);
        AssertSteps(book.Of(new(StrategyKind.FedAvgM, new Dictionary<string, double> { ["learningRate"] = 0.1, ["momentum"] = 0.9 })), [1.05, 1.12], 1e-6);
        AssertSteps(book.Of(new(StrategyKind.FedYogi, new Dictionary<string, double> { ["learningRate"] = 0.1, ["beta1"] = 0.9, ["beta2"] = 0.99, ["tau"] = 0.1 })), [1.0236068, 1.0562311], 1e-6);
        Assert.Contains("Did you mean 'halved'?", Assert.Throws<InvalidInputException>(() => book.Of(new(StrategyKind.Custom, new Dictionary<string, double>(), "halfed"))).Message, StringComparison.Ordinal);
        Problem missing = Assert.Single(Assert.Throws<InvalidInputException>(() => book.Of(new(StrategyKind.Custom, new Dictionary<string, double>(), "halved"))).Problems);
        Assert.Equal("strategy.parameters", missing.Field);
    }

    [Theory]
    [InlineData(true, "is gone")]
    [InlineData(false, "12 bytes; 16 are right")]
    public void Open_WhatWasKeptIsGoneOrOfAnotherLength_SaysSo(bool gone, string says)
    {
        var files = new StrategyFiles(_folder.FullName);
        string path = Path.Combine(_folder.FullName, "run", "1");
        Directory.CreateDirectory(Path.GetDirectoryName(path)!);
        if (!gone) File.WriteAllBytes(path, new byte[12]);
        Assert.Contains(says, Assert.Throws<IOException>(() => files.Open("run", new FedAdam(0.1, 0.9, 0.99, 0.1), last: 1, round: 2, values: 2)).Message, StringComparison.Ordinal);
    }

    [Fact] // a mean that is finite, and its square is not
    public void AddAll_OfAMeanTooLargeForTheStrategy_IsRefused()
    {
        using StrategyState? state = new StrategyFiles(_folder.FullName).Open("run", new FedAdam(0.1, 0.9, 0.99, 0.1), 0, 1, 1);
        var next = new NextModel(Open([1]), new MemoryStream(), new FedAdam(0.1, 0.9, 0.99, 0.1), state);
        Assert.Throws<AggregationException>(() => next.Add([1e30f]));
    }

    /// <summary>From 1, with the means 0.5 and 0.25; as the last of 40,000 coordinates, whose others do not move.</summary>
    private void AssertSteps(Strategy strategy, double[] expected, double tolerance)
    {
        const int Values = 40_000;
        var files = new StrategyFiles(Path.Combine(_folder.FullName, Guid.NewGuid().ToString("n")));
        float[] model = [.. Enumerable.Repeat(1f, Values)];
        foreach ((double mean, int round) in new[] { (0.5, 1), (0.25, 2) })
        {
            float[] update = new float[Values];
            update[^1] = (float)mean;
            var next = new MemoryStream();
            using (StrategyState? state = files.Open("run", strategy, round - 1, round, Values))
            {
                Assert.Equal(strategy.StateValues > 0, state is not null);
                new NextModel(Open(model), next, strategy, state).AddAll(new WeightedMean([Open(update)], 1), Values, TestContext.Current.CancellationToken);
                state?.Keep();
            }

            files.Keep("run", round);
            model = MemoryMarshal.Cast<byte, float>(next.ToArray()).ToArray();
            Assert.Equal(expected[round - 1], model[^1], tolerance);
            Assert.Equal([1f], model[..^1].Distinct());
        }
    }

    private static MemoryStream Open(float[] values) => new MemoryStream(MemoryMarshal.AsBytes<float>(values).ToArray());

    private sealed class Scaled(double factor) : Strategy
    {
        public override void Apply(Span<double> weights, ReadOnlySpan<double> mean, Span<float> state)
        {
            for (int i = 0; i < mean.Length; i++) weights[i] += factor * mean[i];
        }
    }
}
