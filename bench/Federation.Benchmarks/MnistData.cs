using System.Buffers.Binary;
using System.IO.Compression;
using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Benchmarks;

/// <summary>FED_DATA/mnist as tensors.</summary>
internal static class MnistData
{
    /// <summary>[n, 784], each image to mean 0 and variance 1: of the record alone, so that no other shows in it.</summary>
    public static Tensor Images(string folder, string kind)
    {
        byte[] bytes = Content(Path.Combine(folder, $"{kind}-images-idx3-ubyte.gz"));
        int count = BinaryPrimitives.ReadInt32BigEndian(bytes.AsSpan(4));
        using DisposeScope scope = NewDisposeScope();
        Tensor brightness = tensor(bytes.AsSpan(16).ToArray(), [count, 784]).to(ScalarType.Float32);
        brightness -= brightness.mean(new long[] { 1 }, keepdim: true);
        return (brightness / brightness.square().mean(new long[] { 1 }, keepdim: true).sqrt()).MoveToOuterDisposeScope();
    }

    /// <summary>[n], int64.</summary>
    public static Tensor Labels(string folder, string kind) => tensor(Content(Path.Combine(folder, $"{kind}-labels-idx1-ubyte.gz")).AsSpan(8).ToArray()).to(ScalarType.Int64);

    /// <summary>From record indices to the records' losses.</summary>
    public static Func<Tensor, Tensor> Losses(nn.Module<Tensor, Tensor> model, Tensor images, Tensor labels) =>
        indices => nn.functional.cross_entropy(model.call(images.index_select(0, indices)), labels.index_select(0, indices), reduction: nn.Reduction.None);

    private static byte[] Content(string path)
    {
        using GZipStream stream = new(File.OpenRead(path), CompressionMode.Decompress);
        using MemoryStream bytes = new();
        stream.CopyTo(bytes);
        return bytes.ToArray();
    }
}
