using System.IO.Compression;
using Federation.Formats;
using Federation.Formats.Runs;

namespace Federation.Learning.DataSets;

/// <summary>A zip of NumPy arrays named as in MedMNIST v2: train_images, train_labels, test_images, test_labels. Those for validation are left alone.</summary>
internal static class NpzFile
{
    private const int LongestText = 300;

    /// <exception cref="InvalidInputException">Names the file and the array, what is wrong, and what would be right.</exception>
    public static LoadedExamples Load(string path, int classes, ImageNormalization normalization)
    {
        using DataFile probe = DataFile.Open(path); // for its words about a file that is not there
        try
        {
            using ZipArchive zip = ZipFile.OpenRead(path);
            ImageExamples train = Read(zip, "train", classes, normalization, path), test = Read(zip, "test", classes, normalization, path);
            return train.Shape.SequenceEqual(test.Shape)
                ? new(train, test)
                : throw Wrong(path, "test_images", $"Its images have the shape [{string.Join(", ", test.Shape)}], those of train_images [{string.Join(", ", train.Shape)}].");
        }
        catch (Exception error) when (error is InvalidDataException or IOException or NotSupportedException)
        {
            throw new InvalidInputException(new Problem($"The file is no zip of NumPy arrays: {error.Message}", path, Repair: "Save it with numpy.savez or savez_compressed, or fetch it again."));
        }
    }

    private static ImageExamples Read(ZipArchive zip, string part, int classes, ImageNormalization normalization, string path)
    {
        string imagesName = $"{part}_images", labelsName = $"{part}_labels";
        (NpyArray labels, byte[] labelBytes) = Array(zip, labelsName, path);
        (NpyArray images, byte[] imageBytes) = Array(zip, imagesName, path);
        int[] shape = images switch
        {
            { DType: not "|u1" } => throw Wrong(path, imagesName, $"Its values are '{images.DType}'; unsigned bytes, |u1, are right."),
            { Shape: [_, > 0 and var height, > 0 and var width] } => [1, height, width],
            { Shape: [_, > 0 and var height, > 0 and var width, 1 or 3 or 4] } => [images.Shape[3], height, width],
            _ => throw Wrong(path, imagesName, $"Its shape is {images.ShapeText}; (images, height, width) is right, or (images, height, width, channels) with 1, 3 or 4 channels."),
        };
        if (labels.Shape is not ([_] or [_, 1])) throw Wrong(path, labelsName, $"Its shape is {labels.ShapeText}; one label for each image is right, (images) or (images, 1).");
        if (labels.Shape[0] != images.Shape[0]) throw Wrong(path, labelsName, $"It holds {labels.Shape[0]} labels; {imagesName} holds {images.Shape[0]} images, and as many are right.");
        string name = Path.GetFileNameWithoutExtension(path) + (part == "test" ? " test" : "");
        return new ImageExamples(name, shape, classes, ChannelsFirst(imageBytes.AsSpan(images.DataStart), shape), labels.Integers(labelBytes), normalization, $"{path}: {labelsName}");
    }

    private static (NpyArray Array, byte[] Bytes) Array(ZipArchive zip, string name, string path)
    {
        ZipArchiveEntry entry = zip.GetEntry(name + ".npy") ?? throw Wrong(path, name, $"There is no such array; the file has {Cut(string.Join(", ", zip.Entries.Select(entry => entry.FullName)))}.");
        if (entry.Length > entry.CompressedLength * DataFile.TightestPacking) throw Wrong(path, name, $"It is said to be {entry.Length} bytes, which {entry.CompressedLength} packed ones cannot hold.");
        MemoryCheck.Require(entry.Length, name, path);
        byte[] bytes = new byte[entry.Length];
        try
        {
            using Stream stream = entry.Open();
            stream.ReadExactly(bytes);
            if (stream.ReadByte() >= 0) throw new InvalidDataException($"It is longer than the {entry.Length} bytes that the zip says.");
            return (NpyArray.Parse(bytes), bytes);
        }
        catch (Exception error) when (error is InvalidDataException or IOException or NotSupportedException)
        {
            throw Wrong(path, name, error is EndOfStreamException ? $"It ends before the {entry.Length} bytes that the zip says." : error.Message);
        }
    }

    private static byte[] ChannelsFirst(ReadOnlySpan<byte> pixels, int[] shape)
    {
        if (shape[0] == 1) return pixels.ToArray();
        int channels = shape[0], plane = shape[1] * shape[2], image = channels * plane;
        byte[] planes = new byte[pixels.Length];
        for (int start = 0; start < pixels.Length; start += image)
        {
            for (int i = 0; i < image; i++) planes[start + (i % channels * plane) + (i / channels)] = pixels[start + i];
        }

        return planes;
    }

    private static string Cut(string text) => text.Length <= LongestText ? text : text[..LongestText] + "…";

    private static InvalidInputException Wrong(string path, string array, string message) => new(new Problem(message, path, Field: array, Repair: "Correct the array, or fetch the file again."));
}
