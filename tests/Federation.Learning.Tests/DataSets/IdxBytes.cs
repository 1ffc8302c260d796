using System.Buffers.Binary;
using System.IO.Compression;

namespace Federation.Learning.Tests.DataSets;

/// <summary>Idx files written by the format's description.</summary>
internal static class IdxBytes
{
    public static byte[] Images(int count, int height, int width, Func<int, byte> pixel) => [.. Numbers(0x803, count, height, width), .. Enumerable.Range(0, count * height * width).Select(pixel)];

    public static byte[] Labels(params byte[] labels) => [.. Numbers(0x801, labels.Length), .. labels];

    public static byte[] Packed(byte[] bytes)
    {
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Optimal, leaveOpen: true)) gzip.Write(bytes);
        return packed.ToArray();
    }

    /// <summary>Three images to train, two to test.</summary>
    public static void WriteAll(string folder)
    {
        File.WriteAllBytes(Path.Combine(folder, "train-images-idx3-ubyte"), Images(3, 2, 4, i => (byte)(i * 10)));
        File.WriteAllBytes(Path.Combine(folder, "train-labels-idx1-ubyte.gz"), Packed(Labels(7, 0, 9)));
        File.WriteAllBytes(Path.Combine(folder, "t10k-images-idx3-ubyte.gz"), Packed(Images(2, 2, 4, _ => 255)));
        File.WriteAllBytes(Path.Combine(folder, "t10k-labels-idx1-ubyte"), Labels(1, 2));
    }

    private static byte[] Numbers(params int[] numbers) => [.. numbers.SelectMany(number =>
    {
        byte[] bytes = new byte[4];
        BinaryPrimitives.WriteInt32BigEndian(bytes, number);
        return bytes;
    })];
}
