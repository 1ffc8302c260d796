using System.Numerics;
using CsCheck;
using Federation.Privacy.Accounting;
using MathNet.Numerics.IntegralTransforms;

namespace Federation.Privacy.Tests.Accounting;

public sealed class RealTransformTests
{
    private static readonly Gen<double[]> s_values = Gen.Int[2, 13].SelectMany(log => Gen.Double[-1, 1].Array[1 << log]);

    [Fact] // the plain twin: MathNet.Numerics' complex transform
    public void Forward_AnyLength_EqualsMathNet() => s_values.Sample(values =>
    {
        Complex[] expected = [.. values.Select(value => new Complex(value, 0))];
        Fourier.Forward(expected, FourierOptions.NoScaling);
        Spectrum actual = new RealTransform(values.Length).Forward(values);
        double tolerance = 1e-14 * Math.Log2(values.Length) * Norm(values) * Math.Sqrt(values.Length);
        for (int k = 0; k <= values.Length / 2; k++)
        {
            Assert.Equal(expected[k].Real, actual.Real[k], tolerance);
            Assert.Equal(expected[k].Imaginary, actual.Imaginary[k], tolerance);
        }
    }, iter: 60);

    [Fact]
    public void Inverse_OfForward_ComesBackWithinTheClaimedError() => s_values.Sample(values =>
    {
        RealTransform transform = new(values.Length);
        double[] back = transform.Inverse(transform.Forward(values));
        double error = Norm([.. back.Zip(values, (a, b) => a - b)]);
        Assert.True(error <= 2 * LossComposition.TransformError * Math.Log2(values.Length) * Norm(values), $"{error:R} of {Norm(values):R}");
    }, iter: 60);

    [Fact]
    public void MultiplyByPower_AnyCount_EqualsRepeatedProducts() => Gen.Select(Gen.Int[1, 40], Gen.Int[1, 70]).Sample((length, count) =>
    {
        Spectrum product = Spectrum.Ones(length), factor = new(length);
        double damping = 0;
        Complex[] expected = new Complex[length];
        for (int i = 0; i < length; i++)
        {
            Complex one = Complex.FromPolarCoordinates(0.9 + (0.1 * i / length), i);
            (factor.Real[i], factor.Imaginary[i]) = (one.Real, one.Imaginary);
            expected[i] = Complex.One;
            for (int j = 0; j < count; j++) expected[i] *= one;
            damping += Math.Pow(one.Magnitude, 2 * (count - 1));
        }

        Assert.Equal(damping, product.MultiplyByPower(factor, count), 1e-9);
        for (int i = 0; i < length; i++) Assert.True((expected[i] - new Complex(product.Real[i], product.Imaginary[i])).Magnitude < 1e-13);
    }, iter: 200);

    private static double Norm(double[] values) => Math.Sqrt(values.Sum(value => value * value));
}
