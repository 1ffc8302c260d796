using Federation.Formats;
using Federation.Formats.Runs;

namespace Federation.Learning.DataSets;

/// <summary>CIFAR-10, binary version: records of one label and 3 × 32 × 32 pixels, red, green, blue; five batches to train, one to test.</summary>
internal static class Cifar10Files
{
    private const int Classes = 10, Pixels = 3 * 32 * 32, Record = 1 + Pixels;

    /// <exception cref="InvalidInputException">Names the file, what is wrong, and what would be right.</exception>
    public static LoadedExamples Load(string folder, ImageNormalization normalization)
    {
        string inner = Path.Combine(folder, "cifar-10-batches-bin"), batches = Directory.Exists(inner) ? inner : folder;
        return new(
            Read("cifar10", [.. Enumerable.Range(1, 5).Select(batch => Path.Combine(batches, FormattableString.Invariant($"data_batch_{batch}.bin")))], normalization),
            Read("cifar10 test", [Path.Combine(batches, "test_batch.bin")], normalization));
    }

    private static ImageExamples Read(string name, string[] paths, ImageNormalization normalization)
    {
        List<byte[]> files = [.. paths.Select(Records)];
        int count = files.Sum(file => file.Length / Record), at = 0;
        MemoryCheck.Require((long)count * Pixels, $"{count} images", paths[0]);
        byte[] pixels = new byte[count * Pixels];
        int[] labels = new int[count];
        foreach (byte[] file in files)
        {
            for (int i = 0; i < file.Length; i += Record, at++)
            {
                labels[at] = file[i];
                file.AsSpan(i + 1, Pixels).CopyTo(pixels.AsSpan(at * Pixels));
            }
        }

        return new ImageExamples(name, [3, 32, 32], Classes, pixels, labels, normalization, paths[0]);
    }

    private static byte[] Records(string path)
    {
        long length = new FileInfo(path) is { Exists: true } info ? info.Length : 0;
        using DataFile file = DataFile.Open(path);
        if (length == 0 || length % Record != 0) throw file.Wrong($"The file has {length} bytes; a multiple of {Record} is right, 30730000 in the published ones.", "Fetch it again: cifar-10-binary.tar.gz, unpacked.");
        byte[] bytes = file.Rest(length, $"{length / Record} records of {Record} bytes");
        int[] labels = [.. Enumerable.Range(0, bytes.Length / Record).Select(i => (int)bytes[i * Record])];
        ImageExamples.CheckLabels(labels, Classes, path);
        return bytes;
    }
}
