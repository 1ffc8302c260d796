using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Samples.Mnist.Data;

/// <summary>Images and what they show.</summary>
/// <param name="Pixels">784 a image, row by row, 0 background to 255 ink.</param>
/// <param name="Labels">0 to 9, one a image.</param>
internal sealed record Digits(byte[] Pixels, byte[] Labels)
{
    public const int Size = 28 * 28;

    public int Count => Labels.Length;

    public Digits Slice(int first, int last) => new(Pixels[(first * Size)..(last * Size)], Labels[first..last]);

    /// <returns>Inputs float32 [n, 784], pixel/255 and nothing else, as in the recipe that is compared with; targets int64 [n]. Owned by the caller.</returns>
    public Learning.Examples ToExamples()
    {
        float[] inputs = new float[Pixels.Length];
        for (int i = 0; i < inputs.Length; i++) inputs[i] = Pixels[i] / 255f;
        return new(tensor(inputs, [Count, Size]), tensor(Labels.Select(label => (long)label).ToArray()));
    }
}
