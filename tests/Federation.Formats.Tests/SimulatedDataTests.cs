using Federation.Formats.Runs;

namespace Federation.Formats.Tests;

public sealed class SimulatedDataTests
{
    [Fact]
    public void Parse_Kinds_HaveTheirPublishedConstants()
    {
        Assert.Equal(0.1307, Assert.Single(SimulatedData.Parse("kind: mnist", "x").Normalization.Mean));
        Assert.Equal(3, SimulatedData.Parse("kind: cifar10", "x").Normalization.Deviation.Count);
        SimulatedData own = SimulatedData.Parse("kind: npz\npath: a.npz\nclasses: 9\nnormalization: { mean: [0.1, 0.2, 0.3], deviation: [1, 1, 0.5] }", "x");
        Assert.Equal([0.1, 0.2, 0.3], own.Normalization.Mean);
        Assert.Equal(9, own.Classes);
        Assert.Same(ImageNormalization.None, SimulatedData.Parse("kind: mnist\nnormalization: none", "x").Normalization);
        Assert.True(SimulatedData.Parse("kind: mnist\nnormalization: per-record", "x").Normalization.PerRecord);
        SyntheticData made = SimulatedData.Parse("kind: synthetic\nclasses: 3\nexamples: 10\ntestExamples: 5\nshape: [1, 4, 4]", "x").Synthetic!;
        Assert.Equal((10, 5, 3, 1.0), (made.Examples, made.TestExamples, made.Shape.Count, made.Separation));
    }

    [Theory]
    [InlineData("kind: minst", "kind: 'minst' is not known. Did you mean 'mnist'?")]
    [InlineData("path: x", "kind: is missing")]
    [InlineData("kind: npz\npath: x", "classes: is missing")]
    [InlineData("kind: npz\nclasses: 2", "path: is missing")]
    [InlineData("kind: csv", "path: is missing")]
    [InlineData("kind: mnist\nclasses: 10", "x:2: classes: belongs to kind: npz or synthetic. Remove it.")]
    [InlineData("kind: synthetic\nclasses: 2\nexamples: 1\ntestExamples: 1\nshape: [1, 2]", "shape: is none of an example")]
    [InlineData("kind: synthetic\nclasses: 2\nexamples: 1\ntestExamples: 1\nshape: [0]", "shape: '0' is no size")]
    [InlineData("kind: synthetic\nclasses: 2\nshape: [3]", "examples: is missing")]
    [InlineData("kind: mnist\nnormalization: training", "normalization: 'training' is not known.")]
    [InlineData("kind: mnist\nnormalization: { mean: 0.1, deviation: 0 }", "normalization.deviation: '0' is not allowed; a number in (0, 1]")]
    [InlineData("kind: cifar10\nnormalization: { mean: [0.1, 0.2], deviation: [0.1] }", "normalization.deviation: has 1 values and mean 2")]
    [InlineData("kind: cifar10\nnormalization: { mean: [0.1, 2], deviation: [0.1, 0.1] }", "normalization.mean: '2' is not allowed; a number in [0, 1]")]
    [InlineData("kind: mnist\nfolder: x", "folder: is no known field.")]
    public void Parse_BadData_NamesLineAndField(string yaml, string says) =>
        Assert.Contains(says, Assert.Throws<InvalidInputException>(() => SimulatedData.Parse(yaml, "x")).Message, StringComparison.Ordinal);

    [Fact]
    public void Parse_Partitions_TakeTheirNumbers()
    {
        Assert.Equal((PartitionKind.Dirichlet, 0.1, 5), Of("kind: dirichlet\nalpha: 0.1\nminExamples: 5"));
        Assert.Equal((PartitionKind.DirichletByLabel, 0.5, 1), Of("kind: dirichlet-by-label\nalpha: 0.5"));
        Assert.Equal(2, PartitionSpec.Parse("kind: shards", "x").ShardsPerClient);
        Assert.Equal("state", PartitionSpec.Parse("kind: natural\ncolumn: state", "x").Column);

        static (PartitionKind, double, int) Of(string yaml) => PartitionSpec.Parse(yaml, "x") is var spec ? (spec.Kind, spec.Alpha, spec.MinExamples) : default;
    }

    [Theory]
    [InlineData("kind: dirichlett\nalpha: 1", "Did you mean 'dirichlet'?")]
    [InlineData("kind: dirichlet", "alpha: is missing")]
    [InlineData("kind: dirichlet\nalpha: 0", "x:2: alpha: '0' is not allowed; a number in (0, 1000000]")]
    [InlineData("kind: iid\nalpha: 1", "alpha: belongs to kind: dirichlet or dirichlet-by-label or quantity. Remove it.")]
    [InlineData("kind: iid\nminExamples: 0", "minExamples: '0' is not allowed")]
    [InlineData("kind: natural", "column: is missing")]
    [InlineData("kind: file", "path: is missing")]
    [InlineData("kind: rotation\ndegrees: 400", "degrees: '400' is not allowed")]
    [InlineData("kind: power-law", "exponent: is missing")]
    [InlineData("kind: noise", "level: is missing")]
    public void Parse_BadPartition_NamesLineAndField(string yaml, string says) =>
        Assert.Contains(says, Assert.Throws<InvalidInputException>(() => PartitionSpec.Parse(yaml, "x")).Message, StringComparison.Ordinal);
}
