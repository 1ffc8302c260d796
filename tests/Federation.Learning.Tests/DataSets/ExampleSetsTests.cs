using Federation.Formats;
using Federation.Formats.Runs;
using Federation.Learning.DataSets;

namespace Federation.Learning.Tests.DataSets;

public sealed class ExampleSetsTests
{
    private const int CifarRecord = 3073;

    [Fact]
    public void Load_Cifar10_ReadsPlanesOfEachBatch()
    {
        using var folder = new TemporaryFolder();
        for (int batch = 1; batch <= 5; batch++) WriteBatch(folder, $"data_batch_{batch}.bin", (byte)batch, (byte)(batch + 1));
        WriteBatch(folder, "test_batch.bin", 9);
        (ExampleSet train, ExampleSet test) = ExampleSets.Load(Data("kind: cifar10\npath: .\nnormalization: none"), folder.Path);
        Assert.Equal((10, 1), (train.Count, test.Count));
        Assert.Equal([3, 32, 32], train.Shape);
        Assert.Equal([1, 2, 2, 3, 3, 4, 4, 5, 5, 6], Enumerable.Range(0, 10).Select(train.Label));
        float[] values = new float[3072];
        test.Read(0, values);
        Assert.Equal([9 / 255f, 10 / 255f, 11 / 255f], [values[0], values[1024], values[2048]]);
    }

    [Fact]
    public void Load_Cifar10OfAnotherLengthOrLabel_SaysWhichFile()
    {
        using var folder = new TemporaryFolder();
        for (int batch = 1; batch <= 5; batch++) WriteBatch(folder, $"data_batch_{batch}.bin", 1);
        WriteBatch(folder, "test_batch.bin", 9);
        WriteBatch(folder, "data_batch_4.bin", 1, 10);
        Assert.Contains("data_batch_4.bin: Label 10 of example 1", Refusal("kind: cifar10\npath: .", folder), StringComparison.Ordinal);
        folder.Write("data_batch_2.bin", "short");
        Assert.Contains("data_batch_2.bin: The file has 5 bytes; a multiple of 3073", Refusal("kind: cifar10\npath: .", folder), StringComparison.Ordinal);
        File.Delete(Path.Combine(folder.Path, "data_batch_1.bin"));
        Assert.Contains("data_batch_1.bin: There is no such file", Refusal("kind: cifar10\npath: .", folder), StringComparison.Ordinal);
    }

    [Fact]
    public void Load_Csv_EncodesBySchemaAndKnowsGroups()
    {
        using var folder = new TemporaryFolder();
        folder.Write("s.yaml", "name: people\ntestFraction: 0.5\ncolumns:\n  - { name: age, kind: number, range: [0, 100] }\n  - { name: clinic, kind: ignore }\n  - { name: ill, kind: label, categories: [a, b, c] }\n");
        folder.Write("x.csv", "age,clinic,ill\n" + string.Concat(Enumerable.Range(0, 40).Select(i => $"{i},{i % 3},{"abc"[i % 3]}\n")));
        (ExampleSet train, ExampleSet test) = ExampleSets.Load(Data("kind: csv\npath: x.csv\nschema: s.yaml\nlabel: ill"), folder.Path, "clinic");
        Assert.Equal(40, train.Count + test.Count);
        Assert.Equal(3, train.Classes);
        for (int i = 0; i < train.Count; i++) Assert.Equal(FormattableString.Invariant($"{train.Label(i)}"), train.Groups![i]);
        float[] value = new float[1];
        train.Read(0, value);
        Assert.InRange(value[0], -1, 1);
        Assert.Contains("data.schema", Refusal("kind: csv\npath: x.csv\nlabel: ill", folder), StringComparison.Ordinal);
        Assert.Contains("hospital: The column is missing", Assert.Throws<InvalidInputException>(() => ExampleSets.Load(Data("kind: csv\npath: x.csv\nschema: s.yaml\nlabel: ill"), folder.Path, "hospital")).Message, StringComparison.Ordinal);
        folder.Write("s.yaml", "name: people\ncolumns:\n  - { name: age, kind: number, range: [0, 100] }\n  - { name: ill, kind: label, categories: [a, b, c] }\n");
        Assert.Contains("testFraction", Refusal("kind: csv\npath: x.csv\nschema: s.yaml\nlabel: ill", folder), StringComparison.Ordinal);
    }

    [Fact]
    public void Load_Synthetic_IsTheSameWheneverItIsRead()
    {
        SimulatedData data = Data("kind: synthetic\nexamples: 1000000\ntestExamples: 100\nshape: [8]\nclasses: 4\nseparation: 3");
        ExampleSet first = ExampleSets.Load(data, ".").Train, second = ExampleSets.Load(data, ".").Train;
        float[] a = new float[8], b = new float[8], sum = new float[8];
        first.Read(999_999, a);
        second.Read(7, b);
        second.Read(999_999, b);
        Assert.Equal(a, b);
        Assert.Equal((1_000_000, 3), (first.Count, first.Label(999_999)));
        double spread = 0;
        for (int i = 0; i < 4000; i += 4)
        {
            first.Read(i, a);
            for (int j = 0; j < 8; j++) sum[j] += a[j] / 1000;
        }

        for (int i = 0; i < 4000; i += 4)
        {
            first.Read(i, a);
            for (int j = 0; j < 8; j++) spread += Math.Pow(a[j] - sum[j], 2) / 8000;
        }

        Assert.InRange(spread, 0.9, 1.1); // 8,000 normal values of deviation 1: 6 of its standard errors
    }

    [Fact]
    public void Load_ColumnOfImages_IsRefused() =>
        Assert.Contains("kind: csv", Assert.Throws<InvalidInputException>(() => ExampleSets.Load(Data("kind: mnist"), ".", "hospital")).Message, StringComparison.Ordinal);

    [Fact]
    public void Load_ChannelsThatDoNotFit_AreRefused()
    {
        using var folder = new TemporaryFolder();
        IdxBytes.WriteAll(folder.Path);
        Assert.Contains("3 values; the images have 1 channel.", Refusal("kind: fashion-mnist\npath: .\nnormalization: { mean: [0, 0, 0], deviation: [1, 1, 1] }", folder), StringComparison.Ordinal);
    }

    [Fact]
    public void Require_MoreThanThereIs_SaysHowMuch()
    {
        Assert.Contains("2147483591 fit", Assert.Throws<InvalidInputException>(() => MemoryCheck.Require(1L << 40, "Images", "x")).Message, StringComparison.Ordinal);
        MemoryCheck.Require(1000, "Images");
    }

    private static SimulatedData Data(string yaml) => SimulatedData.Parse(yaml, "x");

    private static string Refusal(string yaml, TemporaryFolder folder) => Assert.Throws<InvalidInputException>(() => ExampleSets.Load(Data(yaml), folder.Path)).Message;

    private static void WriteBatch(TemporaryFolder folder, string name, params byte[] labels) =>
        File.WriteAllBytes(Path.Combine(folder.Path, name), [.. labels.SelectMany(label => Enumerable.Range(0, CifarRecord).Select(i => i == 0 ? label : (byte)(label + ((i - 1) / 1024))))]);
}
