using System.IO.Compression;
using System.Text;
using CsCheck;
using Federation.Formats;
using Federation.Formats.Runs;
using Federation.Learning.DataSets;

namespace Federation.Learning.Tests.DataSets;

public sealed class NpzFileTests
{
    [Fact]
    public void Load_ColourImages_PutsChannelsFirst()
    {
        using var folder = new TemporaryFolder();
        byte[] pixels = [.. Enumerable.Range(0, 2 * 1 * 2 * 3).Select(i => (byte)i)];
        (ExampleSet train, ExampleSet test) = Load(folder, Npy("|u1", "(2, 1, 2, 3)", pixels), Npy("<i8", "(2, 1)", [1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0]));
        Assert.Equal([3, 1, 2], train.Shape);
        Assert.Equal([1, 2], [train.Label(0), train.Label(1)]);
        float[] values = new float[6];
        train.Read(1, values);
        Assert.Equal([6 / 255f, 9 / 255f, 7 / 255f, 10 / 255f, 8 / 255f, 11 / 255f], values);
        Assert.Equal((2, 3), (test.Count, test.Classes));
    }

    [Fact] // The published counts
    public void Load_RealFile_HoldsItsCounts()
    {
        string data = TestData.FolderWith("medmnist");
        (ExampleSet train, ExampleSet test) = ExampleSets.Load(SimulatedData.Parse("kind: npz\npath: medmnist/pneumoniamnist.npz\nclasses: 2", "x"), data);
        Assert.Equal((4708, 624), (train.Count, test.Count));
        Assert.Equal((3494, 390), (Enumerable.Range(0, 4708).Sum(train.Label), Enumerable.Range(0, 624).Sum(test.Label)));
        Assert.Equal([1, 28, 28], train.Shape);
    }

    [Theory]
    [InlineData("|u1", "(2, 1, 2, 2)", 8, "train_images: Its shape is (2, 1, 2, 2)")]
    [InlineData("|u1", "(2, 2, 2, 2, 1)", 16, "train_images: Its shape is")]
    [InlineData("<f4", "(2, 1, 2)", 16, "'<f4'")]
    [InlineData("<u2", "(2, 1, 2)", 8, "train_images: Its values are '<u2'; unsigned bytes")]
    [InlineData("|u1", "(3, 1, 2)", 6, "train_labels: It holds 2 labels; train_images holds 3 images")]
    [InlineData("|u1", "(2, 1, 3)", 6, "test_images: Its images have the shape [1, 1, 2], those of train_images [1, 1, 3]")]
    [InlineData("|u1", "(2, 1, 2)", 3, "3 bytes of data; its shape (2, 1, 2) of |u1 has 4")]
    [InlineData("|u1", "(0, 1, 2)", 0, "holds 2 labels")]
    [InlineData("|O", "(2, 1, 2)", 4, "'|O'")]
    [InlineData("|u1", "(2000000000, 2000000000, 2000000000)", 4, "too many values")]
    [InlineData("|u1", "(99999999999, 1, 2)", 4, "99999999999")]
    public void Load_BadImages_SaysWhy(string type, string shape, int bytes, string says)
    {
        using var folder = new TemporaryFolder();
        string message = Assert.Throws<InvalidInputException>(() => Load(folder, Npy(type, shape, new byte[bytes]), Npy("|u1", "(2,)", [0, 1]), testImages: Npy("|u1", "(2, 1, 2)", new byte[4]))).Message;
        Assert.Contains(says, message, StringComparison.Ordinal);
        Assert.Contains("x.npz", message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("|u1", "(2, 1)", new byte[] { 0, 3 }, "Label 3 of example 1")]
    [InlineData("|i1", "(2,)", new byte[] { 255, 0 }, "Label -1 of example 0")]
    [InlineData("<u8", "(1,)", new byte[] { 255, 255, 255, 255, 255, 255, 255, 255 }, "holds 1 labels")]
    [InlineData("|u1", "(1, 2)", new byte[] { 0, 0 }, "train_labels: Its shape is (1, 2); one label")]
    public void Load_BadLabels_SaysWhy(string type, string shape, byte[] labels, string says)
    {
        using var folder = new TemporaryFolder();
        Assert.Contains(says, Assert.Throws<InvalidInputException>(() => Load(folder, Npy("|u1", "(2, 1, 2)", new byte[4]), Npy(type, shape, labels))).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Load_NoZip_OrAMissingArray_SaysWhatIsThere()
    {
        using var folder = new TemporaryFolder();
        string path = folder.Write("x.npz", "no zip at all");
        Assert.Contains("no zip of NumPy arrays", Assert.Throws<InvalidInputException>(() => NpzFile.Load(path, 2, ImageNormalization.None)).Message, StringComparison.Ordinal);
        File.Delete(path);
        Assert.Contains("no such file", Assert.Throws<InvalidInputException>(() => NpzFile.Load(path, 2, ImageNormalization.None)).Message, StringComparison.Ordinal);
        Write(path, ("images", [1]));
        Assert.Contains("the file has images.npy", Assert.Throws<InvalidInputException>(() => NpzFile.Load(path, 2, ImageNormalization.None)).Message, StringComparison.Ordinal);
    }

    [Fact] // Any bytes, any heading, and any good array with a piece changed
    public void NpyArray_AnyBytes_GivesAnArrayOrAReason()
    {
        byte[] good = Npy("<i4", "(2, 3)", new byte[24]);
        Gen.Select(Gen.Byte.Array[0, 60], Gen.Char["{}'(), :descrfotanueshpTFl0123456789|<u\n"].Array[0, 80], Gen.Int[0, good.Length - 1], Gen.Byte).Sample((noise, heading, at, other) =>
        {
            byte[] changed = [.. good];
            changed[at] = other;
            byte[] headed = [0x93, .. "NUMPY"u8, 1, 0, (byte)heading.Length, 0, .. Encoding.Latin1.GetBytes(heading), .. noise];
            foreach (byte[] candidate in new[] { noise, changed, headed, good[..at] })
            {
                try
                {
                    var array = NpyArray.Parse(candidate);
                    if (array.Integers(candidate).LongLength != array.Count) return false;
                }
                catch (InvalidDataException)
                {
                    // refused, as it should be
                }
            }

            return true;
        }, iter: 20_000);
    }

    [Fact] // A zip of four arrays, with any byte changed or cut off anywhere
    public void Load_DamagedZip_GivesExamplesOrInvalidInput()
    {
        using var folder = new TemporaryFolder();
        Load(folder, Npy("|u1", "(2, 1, 2)", [1, 2, 3, 4]), Npy("|u1", "(2,)", [0, 1]));
        string path = Path.Combine(folder.Path, "x.npz");
        byte[] whole = File.ReadAllBytes(path);
        Gen.Select(Gen.Int[0, whole.Length - 1], Gen.Byte, Gen.Bool).Sample((at, other, cut) =>
        {
            byte[] changed = cut ? whole[..at] : [.. whole];
            if (!cut) changed[at] = other;
            File.WriteAllBytes(path, changed);
            try
            {
                NpzFile.Load(path, 3, ImageNormalization.None);
            }
            catch (InvalidInputException)
            {
                // refused, as it should be
            }
        }, iter: 1000, threads: 1);
    }

    private static LoadedExamples Load(TemporaryFolder folder, byte[] images, byte[] labels, byte[]? testImages = null)
    {
        string path = Path.Combine(folder.Path, "x.npz");
        Write(path, ("train_images", images), ("train_labels", labels), ("test_images", testImages ?? images), ("test_labels", Npy("|u1", "(2,)", [0, 1])));
        return NpzFile.Load(path, 3, ImageNormalization.None);
    }

    private static void Write(string path, params (string Name, byte[] Bytes)[] arrays)
    {
        using ZipArchive zip = ZipFile.Open(path, ZipArchiveMode.Create);
        foreach ((string name, byte[] bytes) in arrays)
        {
            using Stream stream = zip.CreateEntry(name + ".npy").Open();
            stream.Write(bytes);
        }
    }

    private static byte[] Npy(string type, string shape, byte[] data)
    {
        string heading = $"{{'descr': '{type}', 'fortran_order': False, 'shape': {shape}, }}";
        heading = heading.PadRight(117) + "\n";
        return [0x93, .. "NUMPY"u8, 1, 0, (byte)heading.Length, 0, .. Encoding.Latin1.GetBytes(heading), .. data];
    }
}
