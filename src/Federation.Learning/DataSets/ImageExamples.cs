using Federation.Formats;
using Federation.Formats.Runs;

namespace Federation.Learning.DataSets;

/// <summary>Images of one shape as bytes in memory; they become features when they are read.</summary>
public sealed class ImageExamples : ExampleSet
{
    private readonly byte[] _pixels;
    private readonly int[] _labels;
    private readonly int[] _shape;
    private readonly int _values, _plane;
    private readonly float[][] _features;
    private readonly bool _perRecord;

    /// <param name="shape">[channels, height, width].</param>
    /// <param name="pixels">Of one image after the other, channel by channel, row by row. Owned by this object afterwards.</param>
    /// <param name="labels">One for each image.</param>
    /// <param name="file">Named in errors.</param>
    /// <exception cref="InvalidInputException">There is no image, a label is out of range, or the normalisation has other channels.</exception>
    public ImageExamples(string name, IReadOnlyList<int> shape, int classes, byte[] pixels, IReadOnlyList<int> labels, ImageNormalization normalization, string file)
    {
        (Name, Classes, _pixels, _labels, _shape) = (name, classes, pixels, [.. labels], [.. shape]);
        (_values, _plane, _perRecord) = (Values, shape[1] * shape[2], normalization.PerRecord);
        if (pixels.Length != (long)_values * labels.Count) throw new ArgumentException($"{pixels.Length} bytes are not {labels.Count} images of {_values}.", nameof(pixels));
        if (labels.Count == 0) throw new InvalidInputException(new Problem("The file holds no image.", file));
        CheckLabels(_labels, classes, file);
        _features = [.. Enumerable.Range(0, shape[0]).Select(channel => Table(normalization, channel, shape[0]))];
    }

    public override string Name { get; }

    public override int Count => _labels.Length;

    public override IReadOnlyList<int> Shape => _shape;

    public override int Classes { get; }

    public override int Label(int index) => _labels[index];

    public override void Read(int index, Span<float> values)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(values.Length, _values);
        ReadOnlySpan<byte> pixels = _pixels.AsSpan(checked(index * _values), _values);
        if (_perRecord)
        {
            ReadByItself(pixels, values);
            return;
        }

        for (int channel = 0, i = 0; channel < _features.Length; channel++)
        {
            float[] table = _features[channel];
            for (int end = i + _plane; i < end; i++) values[i] = table[pixels[i]];
        }
    }

    /// <exception cref="InvalidInputException">A label is not in [0, classes); names the first and counts all.</exception>
    internal static void CheckLabels(ReadOnlySpan<int> labels, int classes, string file)
    {
        int first = labels.IndexOfAnyExceptInRange(0, classes - 1), wrong = 0;
        if (first < 0) return;
        foreach (int label in labels)
        {
            if (label < 0 || label >= classes) wrong++;
        }

        throw new InvalidInputException(new Problem($"Label {labels[first]} of example {first} (counted from 0) is out of range, like {wrong - 1} others; 0 to {classes - 1} are right.", file, Repair: "Correct the file, or the number of classes."));
    }

    /// <summary>The feature of each pixel value, reckoned as torchvision's ToTensor and Normalize do: in float32, scaled, less the mean, over the deviation.</summary>
    private static float[] Table(ImageNormalization normalization, int channel, int channels)
    {
        int given = normalization.Mean.Count;
        if (given != 1 && given != channels) throw new InvalidInputException(new Problem($"The normalisation has {given} values; the images have {channels} channel{(channels == 1 ? "" : "s")}.", Field: "simulation.data.normalization", Repair: "Write one value for each channel, or one for all."));
        float mean = (float)normalization.Mean[given == 1 ? 0 : channel], deviation = (float)normalization.Deviation[given == 1 ? 0 : channel];
        float[] table = new float[256];
        for (int pixel = 0; pixel < 256; pixel++) table[pixel] = ((pixel / 255f) - mean) / deviation;
        return table;
    }

    /// <summary>As TensorFlow's per_image_standardization: of pixels 0 to 255, and a deviation below 1/√n counts as that.</summary>
    private static void ReadByItself(ReadOnlySpan<byte> pixels, Span<float> values)
    {
        long sum = 0, squares = 0;
        foreach (byte pixel in pixels)
        {
            sum += pixel;
            squares += pixel * pixel;
        }

        double n = pixels.Length, mean = sum / n, deviation = Math.Max(Math.Sqrt(Math.Max(0, (squares / n) - (mean * mean))), 1 / Math.Sqrt(n));
        for (int i = 0; i < values.Length; i++) values[i] = (float)((pixels[i] - mean) / deviation);
    }
}
