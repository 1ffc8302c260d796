using CsCheck;
using Federation.Formats;
using Federation.Formats.Runs;
using Federation.Learning.DataSets;

namespace Federation.Learning.Tests.DataSets;

public sealed class FeatureSkewTests
{
    [Fact] // Variance level · i/N; of 50 × 1000 normal values within 5 %, about eight of its standard errors
    public void Noise_RisesFromClientToClientAndRepeats()
    {
        var set = new LabelledExamples(new int[200], 2);
        DividedExamples divided = Partitioner.Divide(new(PartitionKind.Noise) { Level = 0.8 }, set, 4, 5, ".");
        float[] values = new float[1000], again = new float[1000];
        for (int client = 0; client < 4; client++)
        {
            double squares = 0;
            foreach (int index in divided.Partition.Clients[client])
            {
                divided.Examples.Read(index, values);
                divided.Examples.Read(index, again);
                Assert.Equal(values, again);
                squares += values.Sum(value => value * value);
            }

            Assert.InRange(squares / (50 * 1000) / (0.8 * (client + 1) / 4), 0.95, 1.05);
        }
    }

    [Fact]
    public void Rotate_QuarterTurns_MovePixelsExactly()
    {
        float[] image = [0, 1, 2, 3, 4, 5, 6, 7, 8];
        ImageRotation.Rotate(image, 1, 3, 3, 90);
        Assert.Equal([2, 5, 8, 1, 4, 7, 0, 3, 6], image); // the right column is the top row
        ImageRotation.Rotate(image, 1, 3, 3, 270);
        Assert.Equal([0, 1, 2, 3, 4, 5, 6, 7, 8], image);
    }

    [Fact] // Bilinear values lie between those of their neighbours, also at the border
    public void Rotate_AnyAngle_MakesNoNewExtremes() => Gen.Select(Gen.Float[0, 1].Array[2 * 5 * 4], Gen.Double[-720, 720]).Sample((image, degrees) =>
    {
        float least = image.Min(), most = image.Max();
        float[] turned = [.. image];
        ImageRotation.Rotate(turned, 2, 5, 4, degrees);
        Assert.All(turned, value => Assert.InRange(value, least - 1e-6f, most + 1e-6f));
    });

    [Fact]
    public void Rotation_OfTables_IsRefused() =>
        Assert.Contains("no images", Assert.Throws<InvalidInputException>(() => Partitioner.Divide(new(PartitionKind.Rotation) { Degrees = 45 }, new LabelledExamples(new int[10], 2), 2, 1, ".")).Message, StringComparison.Ordinal);

    [Fact]
    public void Natural_Groups_AreClientsInOrder()
    {
        var set = new LabelledExamples(new int[5], 2, groups: ["b", "a", "c", "a", "b"]);
        var spec = new PartitionSpec(PartitionKind.Natural) { Column = "hospital" };
        IReadOnlyList<IReadOnlyList<int>> clients = Partitioner.Divide(spec, set, 3, 1, ".").Partition.Clients;
        Assert.Equal([[1, 3], [0, 4], [2]], clients);
        Assert.Contains("3 values of hospital, each of which is a client; simulation.clients is 4. Write clients: 3.", Assert.Throws<InvalidInputException>(() => Partitioner.Divide(spec, set, 4, 1, ".")).Message, StringComparison.Ordinal);
        Assert.Contains("1 of 3 clients have fewer than 2", Assert.Throws<InvalidInputException>(() => Partitioner.Divide(spec with { MinExamples = 2 }, set, 3, 1, ".")).Message, StringComparison.Ordinal);
        Assert.Contains("kind: csv", Assert.Throws<InvalidInputException>(() => Partitioner.Divide(spec, new LabelledExamples(new int[5], 2), 4, 1, ".")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void File_WrittenAndRead_IsTheSame()
    {
        using var folder = new TemporaryFolder();
        var set = new LabelledExamples(new int[50], 2);
        Partition partition = Partitioner.Divide(PartitionSpec.Iid, set, 7, 1, ".").Partition;
        folder.Write("p.csv", PartitionFile.Write(partition));
        Assert.Equal(partition.Clients, Partitioner.Divide(new(PartitionKind.File) { Path = "p.csv" }, set, 7, 1, folder.Path).Partition.Clients);
    }

    [Theory]
    [InlineData("", "The file is empty.")]
    [InlineData("client,index\n", "p.csv:1: The first line must be 'index,client'.")]
    [InlineData("index,client\n0,0\n5,1\n", "p.csv:3: index: Example 5 does not exist; 0 to 4 are right.")]
    [InlineData("index,client\n0,2\n", "p.csv:2: client: Client 2 does not exist; 0 to 1 are right.")]
    [InlineData("index,client\n0,0\n0,1\n", "p.csv:3: index: Example 0 stands twice")]
    [InlineData("index,client\n-1,0\n", "p.csv:2: '-1,0' is no index and client.")]
    [InlineData("index,client\n1;0\n", "'1;0' is no index and client.")]
    [InlineData("index,client\n1,0\n", "1 of 2 clients have fewer than 1 of the 5 examples, 1 of them none (the first of them is client 1")]
    public void File_BadLines_AreNamed(string text, string says)
    {
        using var folder = new TemporaryFolder();
        folder.Write("p.csv", text);
        string message = Assert.Throws<InvalidInputException>(() => Partitioner.Divide(new(PartitionKind.File) { Path = "p.csv" }, new LabelledExamples(new int[5], 2), 2, 1, folder.Path)).Message;
        Assert.Contains(says, message, StringComparison.Ordinal);
    }

    [Fact] // Any text as a partition
    public void File_AnyText_GivesAPartitionOrInvalidInput()
    {
        using var folder = new TemporaryFolder();
        Gen.Select(Gen.String, Gen.Char["0123456789,-\n x"].Array[0, 60]).Sample((noise, lines) =>
        {
            foreach (string text in new[] { noise, "index,client\n" + new string(lines) })
            {
                try
                {
                    PartitionFile.Read(folder.Write("p.csv", text), 20, 5);
                }
                catch (InvalidInputException)
                {
                    // refused, as it should be
                }
            }
        }, iter: 500, threads: 1);
    }

    [Fact]
    public void PartitionTable_Counts_AreWritten()
    {
        var set = new LabelledExamples([0, 1, 1, 0], 2);
        PartitionTable table = PartitionTable.Of(new Partition([[0, 1, 2], [3]]), set);
        Assert.Equal("client,examples,label0,label1\n0,3,1,2\n1,1,1,0\n", table.ToCsv());
        Assert.Equal(((2 / 3.0) - 0.5 + 0.5) / 2, table.LabelSkew(), 1e-12);
        Assert.Equal([3, 1], table.Sizes);
    }
}
