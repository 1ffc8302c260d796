using System.Buffers.Binary;
using Federation.Formats;
using Federation.Samples.Data;

namespace Federation.Samples.Mnist.Data;

/// <summary>The four files of MNIST, or made-up digits in their form.</summary>
/// <remarks>LeCun, Bottou, Bengio, Haffner 1998. Big-endian header: 2051, count, 28, 28 for images; 2049, count for labels.</remarks>
internal sealed record MnistFiles(Digits Train, Digits Test, bool IsSynthetic)
{
    private static readonly PublicFile s_trainImages = new("train-images-idx3-ubyte.gz", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"), s_trainLabels = new("train-labels-idx1-ubyte.gz", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5");
    private static readonly PublicFile s_testImages = new("t10k-images-idx3-ubyte.gz", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"), s_testLabels = new("t10k-labels-idx1-ubyte.gz", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2");

    public static readonly PublicFiles Files = new(
        "MNIST, 70,000 handwritten digits",
        "mnist",
        new Uri("https://ossci-datasets.s3.amazonaws.com/mnist/"),
        [s_trainImages, s_trainLabels, s_testImages, s_testLabels],
        64 << 20,
        "SYNTHETIC DIGITS: the MNIST files could not be downloaded ({0}). Every figure below is about made-up digits.") { IsCompressed = true };

    public static async Task<MnistFiles> ObtainAsync(Action<string> say, CancellationToken cancellationToken) => await Files.ObtainBytesAsync(say, cancellationToken) is { } files
        ? new(Read(files, s_trainImages, s_trainLabels), Read(files, s_testImages, s_testLabels), false)
        : new(SyntheticDigits.Create(6000, 1), SyntheticDigits.Create(1000, 2), true);

    private static Digits Read(IReadOnlyDictionary<string, byte[]> files, PublicFile images, PublicFile labels)
    {
        // Each file's SHA-256 is right: of other content nothing comes here.
        byte[] pixels = files[images.Name], marks = files[labels.Name];
        if (BinaryPrimitives.ReadInt32BigEndian(pixels) != 2051 || BinaryPrimitives.ReadInt32BigEndian(marks) != 2049) throw new InvalidInputException(new Problem("The file is no idx file.", images.Name));
        return new Digits(pixels[16..], marks[8..]);
    }
}
