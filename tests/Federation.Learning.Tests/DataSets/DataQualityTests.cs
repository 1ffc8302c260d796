using Federation.Formats.Runs;
using Federation.Learning.Data;
using Federation.Learning.DataSets;

namespace Federation.Learning.Tests.DataSets;

public sealed class DataQualityTests
{
    [Fact] // As published with the file: 17 and 1 surplus training images, 234 and 390 test images, no test image in training
    public void Of_PneumoniaMnist_FindsWhatIsKnownOfIt()
    {
        string data = TestData.FolderWith("medmnist");
        var quality = DataQuality.Of(ExampleSets.Load(SimulatedData.Parse("kind: npz\npath: medmnist/pneumoniamnist.npz\nclasses: 2", "x"), data));
        Assert.Equal([1214, 3494], quality.LabelCounts);
        Assert.Equal([234, 390], quality.TestLabelCounts);
        Assert.Equal((18, 0, 0, 0), (quality.Duplicates, quality.Contradictions, quality.TestInTraining, quality.NonFinite));
        Assert.Contains("18 training examples repeat an earlier one.", quality.Findings());
        Assert.Contains(quality.Findings(), finding => finding.Contains("balanced accuracy", StringComparison.Ordinal));
    }

    [Fact]
    public void Of_SpoiledTable_NamesEverything()
    {
        float[] train = [1, 5, 2, 5, 1, 5, 1, 5, 3, 5, float.NaN, 5], test = [1, 5, 9, 5];
        var quality = DataQuality.Of(new(Table(train, [0, 0, 0, 1, 0, 0]), Table(test, [0, 1])));
        Assert.Equal((1, 2, 1, 1, 1), (quality.ConstantFeatures, quality.Duplicates, quality.Contradictions, quality.TestInTraining, quality.NonFinite));
        string all = string.Join('\n', quality.Findings());
        foreach (string says in new[] { "1 of 3 labels have no", "commonest label has 5 training examples, the rarest 1", "1 features have one value", "2 training examples repeat an earlier one, 1 of them under another label", "1 test examples are among", "no finite number" }) Assert.Contains(says, all, StringComparison.Ordinal);
        Assert.Empty(DataQuality.Of(new(Table([1, 2, 3, 4, 5, 6], [0, 1, 2]), Table([7, 8], [0]))).Findings());
    }

    private static TableExamples Table(float[] features, int[] labels) => new("made up", new Rows(features, labels, [.. labels.Select((_, i) => i + 1)], 2), 3);
}
