using System.Runtime.InteropServices;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Server.Aggregation;
using Federation.Server.Strategies;

namespace Federation.Server.Tests.Strategies;

/// <summary>The coordinator's part of strategies that have one at the sites: what they make of opened means, by hand from their papers.</summary>
public sealed class SiteStrategyTests
{
    private static readonly SafetensorsHeader s_model = SafetensorsHeader.Float32([("a", [2]), ("b", [3]), ("c", [1]), ("d", [2])]);

    [Fact] // x + τ_eff·Σ pᵢdᵢ: 1 + 3·0.5
    public void FedNova_TakesTheMeanAsManyTimesAsTheMeanOfSteps() => Assert.Equal(Enumerable.Repeat(2.5f, 8), Next(new FedNova(), Shape("fednova"), [3, .. Enumerable.Repeat(0.5f, 8)]));

    [Fact] // x − ΣΔ/Σh: 1 + 0.5/4
    public void QFedAvg_DividesByTheMeanOfH() => Assert.Equal(Enumerable.Repeat(1.125f, 8), Next(new QFedAvg(), Shape("q-fedavg"), [4, .. Enumerable.Repeat(0.5f, 8)]));

    [Fact] // x ← x + 0.5·Δy; c ← c + (3/4)·Δc: 1 + 0.5·0.5 and 1 + 0.75·0.5; blocks may end anywhere
    public void Scaffold_MovesModelAndControlVariateEachInItsWay()
    {
        Assert.Equal([1.25f, 1.25f, 1.25f, 0.875f], Next(new Scaffold(0.5), Shape("fedavg"), [.. Enumerable.Repeat(0.5f, 8)], new(1, 0.75, Weights: 3, Kept: 0.5))[..4]); // twice the sites
        RoundFigures round = new(1, 0.75, Weights: 3);
        Assert.Equal([1.25f, 1.25f, 1.25f, 1.375f, 1.375f, 1.375f, 1.375f, 1.375f], Next(new Scaffold(0.5), Shape("fedavg"), [.. Enumerable.Repeat(0.5f, 8)], round));
        var scaffold = new Scaffold(0.5);
        scaffold.Begin(round);
        double[] first = [1, 1], second = [1, 1];
        scaffold.Apply(first, [0.5, 0.5], []);
        scaffold.Apply(second, [0.5, 0.5], []);
        Assert.Equal([1.25, 1.25, 1.25, 1.375], [.. first, .. second]);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(float.NaN)]
    public void FedNovaAndQFedAvg_OfANumberThatNoSitesHave_FailTheRound(float scalar)
    {
        Assert.Throws<AggregationException>(() => Next(new FedNova(), Shape("fednova"), [scalar, .. new float[8]]));
        Assert.Throws<AggregationException>(() => Next(new QFedAvg(), Shape("q-fedavg"), [scalar, .. new float[8]]));
    }

    [Theory] // a 0–2, b 2–5, c 5–6, d 6–8
    [InlineData("[a, c]", new float[] { 1, 1, 2, 3, 4, 1, 5, 6 })]
    [InlineData("[b, d]", new float[] { 2, 3, 1, 1, 1, 4, 1, 1 })]
    public void NextModel_OfAPersonalPart_LeavesItAsItIs(string tensors, float[] expected)
    {
        UpdateShape shape = Shape("fedavg", $"personal: {{ tensors: {tensors} }}");
        float[] mean = [.. Enumerable.Range(1, shape.Values).Select(value => (float)value)];
        Assert.Equal(expected, Next(new FedAvg(), shape, mean));
        Assert.Equal(expected, Whole(new FedAvg(), shape, mean));
        Assert.Throws<AggregationException>(() => Next(new FedAvg(), shape, [.. mean, 7]));
        Assert.Throws<AggregationException>(() => Next(new FedAvg(), shape, mean[1..]));
    }

    [Fact]
    public void AddAll_OfUpdatesWithANumber_ReadsItFirst() => Assert.Equal(Enumerable.Repeat(2.5f, 8), Whole(new FedNova(), Shape("fednova"), [3, .. Enumerable.Repeat(0.5f, 8)]));

    private static float[] Next(Strategy strategy, UpdateShape shape, float[] mean, RoundFigures? round = null)
    {
        var next = new MemoryStream();
        var writer = new NextModel(Ones(), next, strategy, null, shape, round ?? new(1, 1, 8));
        writer.Add(mean);
        writer.End();
        return MemoryMarshal.Cast<byte, float>(next.ToArray()).ToArray();
    }

    private static float[] Whole(Strategy strategy, UpdateShape shape, float[] mean)
    {
        var next = new MemoryStream();
        var updates = new WeightedMean([new MemoryStream(MemoryMarshal.AsBytes<float>(mean).ToArray())], 1);
        new NextModel(Ones(), next, strategy, null, shape, new(1, 1, 8)).AddAll(updates, shape.Values, TestContext.Current.CancellationToken);
        return MemoryMarshal.Cast<byte, float>(next.ToArray()).ToArray();
    }

    private static MemoryStream Ones() => new(MemoryMarshal.AsBytes<float>(Enumerable.Repeat(1f, 8).ToArray()).ToArray());

    private static UpdateShape Shape(string strategy, string more = "") => UpdateShape.Of(RunSpec.Parse($"{Tiny.Spec()}\nstrategy: {{ kind: {strategy} }}\n{more}", "spec"), s_model);
}
