using Federation.Formats;
using Federation.Formats.Runs;

namespace Federation.Learning.DataSets;

/// <summary>MNIST and Fashion-MNIST: four idx files, each as it is or with <c>.gz</c>.</summary>
internal static class MnistFiles
{
    public const int Classes = 10;

    /// <param name="name">Of the data set, for reports.</param>
    /// <exception cref="InvalidInputException">Names the file, what is wrong, and what would be right.</exception>
    public static LoadedExamples Load(string folder, string name, ImageNormalization normalization)
    {
        ImageExamples train = Read(folder, "train", name, normalization), test = Read(folder, "t10k", $"{name} test", normalization);
        return train.Shape.SequenceEqual(test.Shape)
            ? new(train, test)
            : throw new InvalidInputException(new Problem($"The training images have {train.Shape[1]} × {train.Shape[2]} pixels, the test images {test.Shape[1]} × {test.Shape[2]}.", folder, Repair: "Put the four files of one data set into the folder."));
    }

    private static ImageExamples Read(string folder, string part, string name, ImageNormalization normalization)
    {
        string imagesPath = Find(folder, $"{part}-images-idx3-ubyte"), labelsPath = Find(folder, $"{part}-labels-idx1-ubyte");
        byte[] labels = IdxFile.Labels(labelsPath);
        (byte[] pixels, int count, int height, int width) = IdxFile.Images(imagesPath);
        if (labels.Length != count) throw new InvalidInputException(new Problem($"The file holds {labels.Length} labels; {imagesPath} holds {count} images, and as many are right.", labelsPath, Repair: "Take both from one data set."));
        return new ImageExamples(name, [1, height, width], Classes, pixels, [.. labels.Select(label => (int)label)], normalization, labelsPath);
    }

    private static string Find(string folder, string name)
    {
        string plain = Path.Combine(folder, name), packed = plain + ".gz";
        if (File.Exists(plain)) return plain;
        return File.Exists(packed) ? packed : throw new InvalidInputException(new Problem("There is no such file, nor one with .gz.", plain, Repair: "Put the data set's four files there, or name their folder in simulation.data.path or FED_DATA."));
    }
}
