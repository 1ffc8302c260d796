using CsCheck;
using Federation.Formats;
using Federation.Formats.Runs;
using Federation.Learning.DataSets;

namespace Federation.Learning.Tests.DataSets;

public sealed class MnistFilesTests
{
    private const string TrainImages = "train-images-idx3-ubyte", TrainLabels = "train-labels-idx1-ubyte", TestLabels = "t10k-labels-idx1-ubyte";

    [Fact]
    public void Load_PlainAndPackedFiles_GivesNormalisedImages()
    {
        using var folder = new TemporaryFolder();
        IdxBytes.WriteAll(folder.Path);
        (ExampleSet train, ExampleSet test) = Load(folder, ImageNormalization.Usual(SimulatedDataKind.Mnist));
        Assert.Equal([1, 2, 4], train.Shape);
        Assert.Equal((3, 2, 10), (train.Count, test.Count, train.Classes));
        Assert.Equal([7, 0, 9], Enumerable.Range(0, 3).Select(train.Label));
        float[] values = new float[8];
        train.Read(2, values);
        Assert.Equal([.. Enumerable.Range(16, 8).Select(i => (((byte)(i * 10) / 255f) - 0.1307f) / 0.3081f)], values);
    }

    [Fact] // Whatever the other images are
    public void Load_PerRecord_GivesMeanZeroAndDeviationOne()
    {
        using var folder = new TemporaryFolder();
        IdxBytes.WriteAll(folder.Path);
        (ExampleSet train, ExampleSet test) = Load(folder, ImageNormalization.ByRecord);
        float[] values = new float[8];
        train.Read(1, values);
        Assert.Equal(0, values.Average(), 1e-6);
        Assert.Equal(1, values.Average(value => value * value), 1e-5);
        test.Read(1, values);
        Assert.All(values, value => Assert.Equal(0, value)); // one pixel value everywhere
    }

    [Fact] // The published counts
    public void Load_RealFiles_HoldTheirCounts()
    {
        string data = TestData.FolderWith("mnist");
        (ExampleSet train, ExampleSet test) = ExampleSets.Load(SimulatedData.Parse($"kind: mnist\npath: {data}/mnist", "x"), "/");
        Assert.Equal((60_000, 10_000), (train.Count, test.Count));
        Assert.Equal([1, 28, 28], train.Shape);
        Assert.Equal([5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949], CountLabels(train));
        Assert.Equal([980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009], CountLabels(test));
        float[] values = new float[784];
        double sum = 0, squares = 0;
        for (int i = 0; i < train.Count; i++)
        {
            train.Read(i, values);
            foreach (float value in values)
            {
                sum += value;
                squares += value * value;
            }
        }

        Assert.Equal(0, sum / (784.0 * train.Count), 1e-3); // the constants are the training images' own
        Assert.Equal(1, squares / (784.0 * train.Count), 1e-3);
    }

    public static TheoryData<string, string, byte[]?, string[]> Bad => new()
    {
        { "absent", TrainImages, null, ["no such file", ".gz", "FED_DATA"] },
        { "exchanged", TrainImages, IdxBytes.Labels(1, 2), [TrainImages, "0x00000801", "0x00000803", "exchanged"] },
        { "no idx", TrainImages, "<html><body>"u8.ToArray(), [TrainImages, "0x3c68746d", "fetch it again"] },
        { "packed without .gz", TrainImages, IdxBytes.Packed(IdxBytes.Labels(1)), [TrainImages, "end with .gz"] },
        { "cut off", TrainImages, IdxBytes.Images(3, 2, 4, _ => 0)[..^1], [TrainImages, "23 bytes", "are 24", "cut off"] },
        { "too long", TrainImages, [.. IdxBytes.Images(3, 2, 4, _ => 0), 0], ["25 bytes", "are 24"] },
        { "within the heading", TrainImages, IdxBytes.Images(3, 2, 4, _ => 0)[..9], ["ends too early"] },
        { "empty", TrainImages, [], ["ends too early"] },
        { "no images", TrainImages, IdxBytes.Images(0, 2, 4, _ => 0), ["0 images"] },
        { "no pixels", TrainImages, IdxBytes.Images(3, 0, 4, _ => 0), ["0 × 4", "1 to 4096"] },
        { "other shape", TrainImages, IdxBytes.Images(3, 4, 2, _ => 0), ["4 × 2", "2 × 4"] },
        { "another count", TrainLabels, IdxBytes.Labels(1, 2), [TrainLabels, "2 labels", TrainImages, "3 images"] },
        { "label out of range", TestLabels, IdxBytes.Labels(3, 10), [TestLabels, "Label 10 of example 1", "0 to 9"] },
        { "promises too much", TrainLabels + ".gz", IdxBytes.Packed([0, 0, 8, 1, 0x7f, 0xff, 0xff, 0xff, 1]), [TrainLabels, "2147483647 labels", "cannot hold"] },
    };

    [Theory]
    [MemberData(nameof(Bad))]
    public void Load_BadFile_SaysWhichAndWhatIsRight(string what, string name, byte[]? bytes, string[] says)
    {
        using var folder = new TemporaryFolder();
        IdxBytes.WriteAll(folder.Path);
        string path = Path.Combine(folder.Path, name);
        if (bytes is null) File.Delete(path);
        else
        {
            if (name == TrainLabels) File.Delete(path + ".gz");
            File.WriteAllBytes(path, bytes);
        }

        string message = Assert.Throws<InvalidInputException>(() => Load(folder, ImageNormalization.None)).Message;
        foreach (string expected in says) Assert.True(message.Contains(expected, StringComparison.OrdinalIgnoreCase), $"{what}: '{expected}' is not in: {message}");
    }

    [Fact]
    public void Load_PackedFileCutAnywhere_IsRefused()
    {
        using var folder = new TemporaryFolder();
        IdxBytes.WriteAll(folder.Path);
        byte[] whole = IdxBytes.Packed(IdxBytes.Labels(7, 0, 9));
        string path = Path.Combine(folder.Path, TrainLabels + ".gz");
        for (int length = 0; length < whole.Length; length++)
        {
            File.WriteAllBytes(path, whole[..length]);
            string message = Assert.Throws<InvalidInputException>(() => Load(folder, ImageNormalization.None)).Message;
            Assert.Contains(TrainLabels, message, StringComparison.Ordinal);
        }
    }

    [Fact] // A checksum sees to it that what is read is what was packed
    public void Load_PackedFileWithAChangedByte_IsRefusedOrTheSame()
    {
        using var folder = new TemporaryFolder();
        IdxBytes.WriteAll(folder.Path);
        byte[] whole = IdxBytes.Packed(IdxBytes.Images(2, 2, 4, i => (byte)i));
        string path = Path.Combine(folder.Path, "t10k-images-idx3-ubyte.gz");
        Gen.Select(Gen.Int[0, whole.Length - 1], Gen.Byte[1, 255]).Sample((at, flip) =>
        {
            byte[] changed = [.. whole];
            changed[at] ^= flip;
            File.WriteAllBytes(path, changed);
            try
            {
                (byte[] pixels, int count, int height, int width) = IdxFile.Images(path);
                return (count, height, width) == (2, 2, 4) && pixels.SequenceEqual(Enumerable.Range(0, 16).Select(i => (byte)i));
            }
            catch (InvalidInputException)
            {
                return true;
            }
        }, iter: 500, threads: 1);
    }

    [Fact] // Any bytes, and any good file with a piece changed
    public void Images_AnyBytes_GiveImagesOrInvalidInput()
    {
        using var folder = new TemporaryFolder();
        string path = Path.Combine(folder.Path, "x");
        byte[] good = IdxBytes.Images(2, 2, 2, _ => 1);
        Gen.Select(Gen.Byte.Array[0, 40], Gen.Int[0, good.Length - 1], Gen.Byte).Sample((noise, at, other) =>
        {
            byte[] changed = [.. good];
            changed[at] = other;
            foreach (byte[] candidate in new[] { noise, changed, [0, 0, 8, 3, .. noise] })
            {
                File.WriteAllBytes(path, candidate);
                try
                {
                    (byte[] pixels, int count, int height, int width) = IdxFile.Images(path);
                    if (pixels.LongLength != (long)count * height * width) return false;
                }
                catch (InvalidInputException)
                {
                    // refused, as it should be
                }
            }

            return true;
        }, iter: 500, threads: 1);
    }

    private static LoadedExamples Load(TemporaryFolder folder, ImageNormalization normalization) => MnistFiles.Load(folder.Path, "mnist", normalization);

    private static int[] CountLabels(ExampleSet set) => [.. Enumerable.Range(0, set.Count).CountBy(set.Label).OrderBy(pair => pair.Key).Select(pair => pair.Value)];
}
