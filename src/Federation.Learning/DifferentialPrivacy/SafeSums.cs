using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning.DifferentialPrivacy;

/// <summary>
/// Sums and differences as the operators give them, with a factor that lives on: the operators make one for each call, which the garbage collector may free while native code reads it (seen on a busy machine as "Expected false to be true").
/// </summary>
internal static class SafeSums
{
    private static readonly Scalar s_one = 1, s_minusOne = -1;

    public static Tensor Plus(this Tensor one, Tensor other) => one.add(other, s_one);

    public static Tensor Minus(this Tensor one, Tensor other) => one.add(other, s_minusOne);
}
