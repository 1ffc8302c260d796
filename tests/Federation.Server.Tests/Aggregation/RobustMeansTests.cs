using System.Runtime.InteropServices;
using CsCheck;
using Federation.Server.Aggregation;

namespace Federation.Server.Tests.Aggregation;

/// <summary>Means of updates that the coordinator sees, of which some may say anything.</summary>
public sealed class RobustMeansTests
{
    // Sites move by 1, 2, 3, −4 and 1000, whatever they weigh.
    private static readonly float[][] s_moved = [[1, 10], [2, 20], [3, 30], [-4, 40], [1000, -1000]];

    [Theory]
    [InlineData(0.5, 2, 20)] // the median
    [InlineData(0.2, 2, 20)] // (1 + 2 + 3)/3; (10 + 20 + 30)/3
    [InlineData(0.1, 200.4, -180)] // ⌊0.1·5⌋ = 0: the mean of all
    public void TrimmedMean_OfFive(double trim, double first, double second) => Assert.Equal([first, second], Read(new TrimmedMean(Updates(s_moved), trim), 2), Within(1e-9));

    [Fact] // in double 0.29·100 is 28.999…, which would leave a 1000 in
    public void TrimmedMean_OfAPartThatDoubleDoesNotHold_CutsAllOfIt() => Assert.Equal([0], Read(new TrimmedMean(Updates([.. Enumerable.Range(0, 100).Select(i => new float[] { i < 29 ? 1000 : 0 })]), 0.29), 1));

    [Fact] // (2 + 3)/2 of 1, 2, 3, 1000
    public void TrimmedMean_MedianOfAnEvenNumber_IsTheMeanOfTheMiddleTwo() => Assert.Equal([2.5], Read(new TrimmedMean(Updates([[1], [2], [3], [1000]]), 0.5), 1), Within(1e-9));

    [Fact]
    public void TrimmedMean_OfManyUpdates_IsThatOfEachCoordinateAlone() => Gen.Select(Gen.Int[1, 60], Gen.Int[1, 700], Gen.Double[0, 0.5], Gen.Int[0, 10_000]).Sample(
        (sites, values, trim, seed) =>
        {
            var random = new Random(seed);
            float[][] moved = [.. Enumerable.Range(0, sites).Select(_ => Enumerable.Range(0, values).Select(_ => (float)random.NextDouble()).ToArray())];
            double[] mean = Read(new TrimmedMean(Updates(moved), trim), values);
            for (int i = 0; i < values; i++)
            {
                float[] column = [.. moved.Select(row => row[i]).Order()];
                int cut = Math.Min((int)((decimal)trim * sites), (sites - 1) / 2);
                Assert.Equal(column[cut..(sites - cut)].Average(value => (double)value), mean[i], 1e-6);
            }
        },
        iter: 50);

    [Fact] // f = 1 of 5, so 2 nearest others count: squares from (0,0): to (1,0) 1, to (0,2) 4 → 5; (1,0): 1 + 5; (0,2): 4 + 5; (3,3): 13 + 10; (100,100): far
    public void Krum_KeepsTheUpdateClosestToItsNeighbours()
    {
        VisibleUpdate[] updates = Updates([[100, 100], [1, 0], [0, 0], [0, 2], [3, 3]]);
        Assert.Equal(["c"], Krum.Choose(updates, 2, malicious: 1, kept: 1).Select(update => update.Site));
        Assert.Equal(["b", "c", "d"], Krum.Choose(updates, 2, malicious: 1, kept: 3).Select(update => update.Site));
        IReadOnlyList<VisibleUpdate> kept = Krum.Choose(updates, 2, malicious: 1, kept: 3);
        Assert.Equal([1.0 / 3, 2.0 / 3], Read(new ScaledMean([.. kept.Select(update => (update, 1.0))]), 2), Within(1e-9));
    }

    [Theory]
    [InlineData(2, 1, "needs 7 updates; 5 came")]
    [InlineData(1, 5, "needs 6 updates; 5 came")]
    public void Krum_OfTooFew_SaysHowManyItNeeds(int malicious, int kept, string says) =>
        Assert.Contains(says, Assert.Throws<AggregationException>(() => Krum.Choose(Updates(s_moved), 2, malicious, kept)).Message, StringComparison.Ordinal);

    [Fact] // (3, 4) has norm 5 and is halved; (0, 1) stays
    public void NormBound_ShortensWhatIsLonger()
    {
        IReadOnlyList<(VisibleUpdate Update, double Factor)> bound = NormBound.Shorten(Updates([[3, 4], [0, 1]]), 2, 2.5);
        Assert.Equal([0.5, 1], bound.Select(part => part.Factor));
        Assert.Equal([0.75, 1.5], Read(new ScaledMean(bound), 2), Within(1e-9));
    }

    [Fact]
    public void Means_OfAModelOfManyBlocks_ReadAllOfIt()
    {
        const int Values = (2 * NextModel.BlockLength) + 77;
        float[][] moved = [.. Enumerable.Range(1, 5).Select(site => Enumerable.Range(0, Values).Select(i => site * (i % 97) * 0.01f).ToArray())];
        double[] expected = [.. Enumerable.Range(0, Values).Select(i => 3 * (i % 97) * 0.01)];
        Assert.Equal(expected, ReadAll(new TrimmedMean(Updates(moved), 0.5), Values), Within(1e-5));
        Assert.Equal(expected, ReadAll(new ScaledMean(NormBound.Shorten(Updates(moved), Values, 1e6)), Values), Within(1e-5));
        Assert.Equal(expected, ReadAll(new ScaledMean([.. Krum.Choose(Updates(moved), Values, 1, 3).Select(update => (update, 1.0))]), Values), Within(1e-5)); // sites 2, 3 and 4
    }

    private static double[] ReadAll(IMeanUpdate mean, int values)
    {
        double[] all = new double[values];
        for (int done = 0; done < values; done += NextModel.BlockLength) mean.Read(all.AsSpan(done, Math.Min(NextModel.BlockLength, values - done)));
        return all;
    }

    private static double[] Read(IMeanUpdate mean, int values)
    {
        double[] read = new double[values];
        mean.Read(read);
        return read;
    }

    /// <summary>Files of weight·moved, each with another weight, at an offset.</summary>
    private static VisibleUpdate[] Updates(float[][] moved) =>
        [.. moved.Select((values, i) =>
        {
            ulong weight = (ulong)(i + 1);
            var file = new MemoryStream([.. new byte[8], .. MemoryMarshal.AsBytes<float>([.. values.Select(value => value * weight)])]) { Position = 8 };
            return new VisibleUpdate(((char)('a' + i)).ToString(), file, weight);
        })];

    private static EqualityComparer<double> Within(double tolerance) => EqualityComparer<double>.Create((a, b) => Math.Abs(a - b) <= tolerance);
}
