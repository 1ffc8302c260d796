using CsCheck;
using Federation.Formats;
using Federation.Formats.Runs;
using Federation.Learning.DataSets;
using Federation.Learning.Training;

namespace Federation.Learning.Tests.DataSets;

public sealed class PartitionerTests
{
    private static readonly Gen<PartitionSpec> Specs = Gen.OneOf(
        Gen.Const(PartitionSpec.Iid),
        Gen.Double[0.001, 100].Select(alpha => new PartitionSpec(PartitionKind.Dirichlet) { Alpha = alpha }),
        Gen.Double[0.5, 100].Select(alpha => new PartitionSpec(PartitionKind.DirichletByLabel) { Alpha = alpha }),
        Gen.Double[1, 100].Select(alpha => new PartitionSpec(PartitionKind.Quantity) { Alpha = alpha }),
        Gen.Double[0.1, 0.5].Select(exponent => new PartitionSpec(PartitionKind.PowerLaw) { Exponent = exponent }),
        Gen.Int[1, 4].Select(shards => new PartitionSpec(PartitionKind.Shards) { ShardsPerClient = shards }),
        Gen.Double[0.1, 2].Select(level => new PartitionSpec(PartitionKind.Noise) { Level = level }));

    [Fact] // Any kind, labels, clients and seed
    public void Divide_Anything_UsesEachExampleOnceAndRepeatsItself() =>
        Gen.Select(Specs, Gen.Int[0, 9].Array[200, 600], Gen.Int[1, 20], Gen.ULong).Sample((spec, labels, clients, seed) =>
        {
            var set = new LabelledExamples(labels, 10);
            Partition first = Partitioner.Divide(spec, set, clients, seed, ".").Partition, second = Partitioner.Divide(spec, set, clients, seed, ".").Partition;
            Assert.Equal(clients, first.Clients.Count);
            Assert.Equal(Enumerable.Range(0, labels.Length), first.Clients.SelectMany(part => part).Order());
            Assert.Equal(PartitionFile.Write(first), PartitionFile.Write(second));
            Assert.All(first.Clients, part => Assert.NotEmpty(part));
            if (spec.Kind is PartitionKind.Iid or PartitionKind.Noise or PartitionKind.Dirichlet) Assert.InRange(first.Clients.Max(part => part.Count) - first.Clients.Min(part => part.Count), 0, 1);
        }, iter: 300);

    [Fact]
    public void Divide_AnotherSeed_DealsOtherwise()
    {
        LabelledExamples set = Balanced(1000);
        foreach (PartitionSpec spec in new[] { PartitionSpec.Iid, new(PartitionKind.Dirichlet) { Alpha = 1 }, new(PartitionKind.Shards) { ShardsPerClient = 2 }, new(PartitionKind.Quantity) { Alpha = 5 } })
        {
            Assert.NotEqual(PartitionFile.Write(Partitioner.Divide(spec, set, 10, 1, ".").Partition), PartitionFile.Write(Partitioner.Divide(spec, set, 10, 2, ".").Partition));
        }
    }

    [Theory] // For ever: a paper's partition is repeated years later
    [InlineData(PartitionKind.Iid, "4 1 8 2|6 7 9 11|3 5 10 0")]
    [InlineData(PartitionKind.Dirichlet, "8 3 7 4|1 10 6 0|5 9 11 2")]
    [InlineData(PartitionKind.Shards, "10 0 1 11|4 5 6 7|2 3 8 9")]
    public void Divide_OneSeed_GivesTheRecordedPartition(PartitionKind kind, string recorded) =>
        Assert.Equal(recorded, string.Join('|', Partitioner.Divide(new(kind) { Alpha = 1, ShardsPerClient = 2 }, Balanced(12), 3, 42, ".").Partition.Clients.Select(part => string.Join(' ', part))));

    [Fact] // Pearson's statistic of 20 × 10 counts has 171 degrees of freedom: above 300 once in 10⁸ seeds, and this seed is fixed
    public void Iid_LabelCounts_AreAlike()
    {
        PartitionTable table = Table(PartitionSpec.Iid, Balanced(20_000), 20);
        Assert.InRange(table.Counts.SelectMany(row => row).Sum(count => Math.Pow(count - 100, 2) / 100), 60, 300);
    }

    [Theory] // The shares q of Dirichlet(α·p) have the variance p(1−p)/(α+1); 100 clients, ten labels. What has run out moves little while α is not small.
    [InlineData(3)]
    [InlineData(10)]
    [InlineData(50)]
    public void Dirichlet_LabelShares_VaryAsAlphaSays(double alpha)
    {
        const int Each = 400;
        PartitionTable table = Table(new(PartitionKind.Dirichlet) { Alpha = alpha }, Balanced(100 * Each), 100);
        double variance = table.Counts.SelectMany(row => row).Average(count => Math.Pow((count / (double)Each) - 0.1, 2));
        double expected = 0.09 * ((1 / (alpha + 1)) + (alpha / (alpha + 1) / Each)); // and of drawing 400 times from q
        Assert.InRange(variance / expected, 0.7, 1.25);
    }

    [Theory] // A label's shares over 50 clients are Dirichlet(α, …): variance p(1−p)/(50α+1), p = 1/50
    [InlineData(0.5)]
    [InlineData(2)]
    [InlineData(20)]
    public void DirichletByLabel_LabelShares_VaryAsAlphaSays(double alpha)
    {
        PartitionTable table = Table(new(PartitionKind.DirichletByLabel) { Alpha = alpha }, Balanced(50_000), 50);
        double variance = table.Counts.SelectMany(row => row).Average(count => Math.Pow((count / 5000.0) - 0.02, 2));
        Assert.InRange(variance / (0.02 * 0.98 / ((50 * alpha) + 1)), 0.6, 1.5);
    }

    [Fact]
    public void Dirichlet_SmallerAlpha_SkewsLabelsMore()
    {
        double[] skews = [.. new[] { 0.01, 0.5, 5, 1e6 }.Select(alpha => Table(new(PartitionKind.Dirichlet) { Alpha = alpha }, Balanced(20_000), 50).LabelSkew())];
        Assert.Equal(skews.OrderDescending(), skews);
        Assert.InRange(skews[0], 0.6, 0.9); // one label nearly everywhere: 1 − 1/10
        Assert.InRange(skews[^1], 0, 0.1);
    }

    [Fact] // 20 clients of 2 shards: a shard of a sorted balanced set has one label, or two where it lies across a border
    public void Shards_EachClient_HasFewLabels()
    {
        PartitionTable table = Table(new(PartitionKind.Shards) { ShardsPerClient = 2 }, Balanced(4000), 20);
        Assert.All(table.Counts, row => Assert.InRange(row.Count(count => count > 0), 1, 2));
        Assert.All(table.Sizes, size => Assert.Equal(200, size));
    }

    [Fact]
    public void PowerLaw_Sizes_FollowTheExponent()
    {
        int[] sizes = [.. Table(new(PartitionKind.PowerLaw) { Exponent = 1 }, Balanced(10_000), 4).Sizes];
        Assert.Equal([4800, 2400, 1600, 1200], sizes);
    }

    [Fact] // Shares of Dirichlet(α, …) over 100 clients: variance p(1−p)/(100α+1)
    public void Quantity_Sizes_VaryAsAlphaSays()
    {
        double variance = Table(new(PartitionKind.Quantity) { Alpha = 4 }, Balanced(100_000), 100).Sizes.Average(size => Math.Pow((size / 100_000.0) - 0.01, 2));
        Assert.InRange(variance / (0.01 * 0.99 / 401), 0.5, 1.6);
    }

    [Fact] // Gamma samples have mean α and variance α; both ways of drawing them, 20,000 shares of two
    public void Symmetric_TwoShares_HaveTheBetaDistributionsVariance()
    {
        foreach (double alpha in new[] { 0.05, 0.5, 1, 3, 40 })
        {
            var generator = new SeededGenerator(7);
            double[] shares = [.. Enumerable.Range(0, 20_000).Select(_ => DirichletDraw.Symmetric(2, alpha, generator)[0])];
            Assert.Equal(0.5, shares.Average(), 0.02);
            Assert.InRange(shares.Average(share => Math.Pow(share - 0.5, 2)) * 4 * ((2 * alpha) + 1), 0.95, 1.05);
        }
    }

    [Theory]
    [InlineData(PartitionKind.Iid, 1, 101, "101 clients with at least 1 examples each need 101; made up has 100. Write clients: 100 or fewer.")]
    [InlineData(PartitionKind.Iid, 30, 4, "Write clients: 3 or fewer, or lower minExamples.")]
    [InlineData(PartitionKind.DirichletByLabel, 1, 90, "of 90 clients have fewer than 1 of the 100 examples")]
    [InlineData(PartitionKind.DirichletByLabel, 1, 90, "Use fewer clients, a larger alpha, or a smaller minExamples.")]
    [InlineData(PartitionKind.Quantity, 1, 90, "of them none")]
    [InlineData(PartitionKind.PowerLaw, 1, 50, "Use fewer clients, a smaller exponent")]
    [InlineData(PartitionKind.Shards, 2, 50, "Use fewer clients or fewer shards a client.")]
    public void Divide_ClientsWithTooFew_SaysHowManyAndWhatIsRight(PartitionKind kind, int least, int clients, string says)
    {
        var spec = new PartitionSpec(kind, least) { Alpha = 0.01, Exponent = 2, ShardsPerClient = 3 };
        var set = new LabelledExamples([.. Enumerable.Range(0, 100).Select(i => i % 10)], 10);
        var error = Assert.Throws<InvalidInputException>(() => Partitioner.Divide(spec, set, clients, 3, "."));
        Assert.Contains(says, error.Message, StringComparison.Ordinal);
        Assert.Equal("simulation.partition", error.Problems[0].Field);
    }

    private static LabelledExamples Balanced(int count) => new([.. Enumerable.Range(0, count).Select(i => i % 10)], 10);

    private static PartitionTable Table(PartitionSpec spec, LabelledExamples set, int clients) => PartitionTable.Of(Partitioner.Divide(spec, set, clients, 11, ".").Partition, set);
}
