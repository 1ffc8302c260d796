using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning.DifferentialPrivacy;

/// <summary>
/// Numbers for operations on tensors. One that is written in place becomes a short-lived native scalar, which the garbage collector may free while it is read ("Unknown scalar type");
/// these live as long as the process. A number that is not known beforehand is held by <c>using Scalar</c>.
/// </summary>
internal static class LastingScalars
{
    public static readonly Scalar Zero = 0, One = 1, MinusOne = -1, Thousandth = 1e-3;

    /// <summary>As the operator gives it, which makes a factor of 1 for each call.</summary>
    public static Tensor Plus(this Tensor one, Tensor other) => one.add(other, One);

    /// <inheritdoc cref="Plus"/>
    public static Tensor Minus(this Tensor one, Tensor other) => one.add(other, MinusOne);

    /// <summary>As Torch's <c>square</c> gives it, which makes an exponent of 2 for each call.</summary>
    public static Tensor Squared(this Tensor one) => one.mul(one);
}
