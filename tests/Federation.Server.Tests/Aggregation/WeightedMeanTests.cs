using System.Runtime.InteropServices;
using CsCheck;
using Federation.Server.Aggregation;
using Federation.Server.Strategies;

namespace Federation.Server.Tests.Aggregation;

public sealed class WeightedMeanTests
{
    [Fact]
    public void AddAll_AnyUpdates_IsTheExactMeanAddedAndRoundedOnce() => Gen.Select(Gen.Float[-10, 10].Array[1, 40], Gen.Int[1, 6], Gen.ULong[1, 1000], Gen.Int[0, int.MaxValue]).Sample(
        (model, sites, weight, seed) =>
        {
            var random = new Random(seed);
            float[][] updates = [.. Enumerable.Range(0, sites).Select(_ => model.Select(_ => (float)((random.NextDouble() - 0.5) * Math.Pow(10, random.Next(-8, 8)))).ToArray())];
            float[] next = Next(model, updates, weight);
            for (int i = 0; i < model.Length; i++)
            {
                double sum = (double)ExactSum.SumPlain(updates.Select(update => update[i])) * Math.Pow(2, -149);
                Assert.Equal((float)(model[i] + (sum / weight)), next[i]);
            }
        },
        iter: 300);

    [Fact]
    public void AddAll_UpdatesInAnotherOrder_IsTheSameToTheByte()
    {
        var random = new Random(7);
        float[][] updates = [.. Enumerable.Range(0, 9).Select(_ => Enumerable.Range(0, 50_000).Select(_ => (float)((random.NextDouble() - 0.5) * Math.Pow(10, random.Next(-20, 20)))).ToArray())];
        float[] model = new float[50_000]; // more than three blocks, the last one shorter
        float[] next = Next(model, updates, 17);
        random.Shuffle(updates);
        Assert.Equal(MemoryMarshal.AsBytes<float>(next).ToArray(), MemoryMarshal.AsBytes<float>(Next(model, updates, 17)).ToArray());
    }

    [Fact]
    public void AddAll_LargeModelOfManySites_TakesTheMemoryOfOneBlock()
    {
        const int count = 7_500_000; // 30 MB
        float[] values = new float[count];
        Array.Fill(values, 1);
        Stream[] updates = [.. Enumerable.Range(0, 4).Select(_ => Open(values))];
        using Stream model = Open(new float[count]);
        var next = new MemoryStream(new byte[count * sizeof(float)]);
        long before = GC.GetAllocatedBytesForCurrentThread();
        new NextModel(model, next, new FedAvg()).AddAll(new WeightedMean(updates, 4), count, TestContext.Current.CancellationToken);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 2_000_000);
        Assert.Equal(values, MemoryMarshal.Cast<byte, float>(next.ToArray()).ToArray());
    }

    [Fact]
    public void AddAll_NewValueDoesNotFitFloat32_IsRefusedNamingTheCoordinate()
    {
        var error = Assert.Throws<AggregationException>(() => Next([0, float.MaxValue], [[0, float.MaxValue], [0, float.MaxValue]], 1));
        Assert.Contains("Coordinate 1", error.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(-1)]
    [InlineData(double.NaN)]
    public void AddAll_WeightIsNotPositive_IsRefused(double weight) => Assert.Throws<AggregationException>(() => Next([1], [[1]], weight));

    [Fact]
    public void AddAll_AnUpdateEndsEarly_IsRefused() => Assert.Throws<EndOfStreamException>(() => Next([1, 2], [[1]], 1));

    private static float[] Next(float[] model, float[][] updates, double weight)
    {
        var next = new MemoryStream();
        new NextModel(Open(model), next, new FedAvg()).AddAll(new WeightedMean([.. updates.Select(Open)], weight), model.Length, TestContext.Current.CancellationToken);
        return MemoryMarshal.Cast<byte, float>(next.ToArray()).ToArray();
    }

    private static Stream Open(float[] values) => new MemoryStream(MemoryMarshal.AsBytes<float>(values).ToArray());
}
