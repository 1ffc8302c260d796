using CsCheck;
using Federation.Learning.Optimizers;

namespace Federation.Learning.Tests.Optimizers;

/// <summary>Vectors and plain twins give the same bits, whatever the length leaves over.</summary>
public sealed class KernelTests
{
    private static readonly Gen<float> s_value = Gen.Double[-2, 2].Select(value => (float)value), s_factor = Gen.Double[0, 1].Select(value => (float)value);

    private static readonly Gen<(float Weight, float Gradient, float First, float Second)[]> s_rows = Gen.Select(s_value, s_value, s_value, s_factor).Array[0, 67];

    [Fact]
    public void SgdStep_AnyLength_EqualsScalarTwin() => Gen.Select(s_rows, s_factor, s_factor, s_factor, Gen.Bool).Sample((rows, rate, momentum, decay, moves) =>
    {
        Assert.Equal(After(Sgd.StepScalar), After(Sgd.Step));

        float[] After(SgdKernel kernel)
        {
            (float[] weights, float[] gradient, float[] velocity) = ([.. rows.Select(row => row.Weight)], [.. rows.Select(row => row.Gradient)], moves ? [.. rows.Select(row => row.First)] : []);
            kernel(weights, gradient, velocity, new(rate, momentum, decay));
            return [.. weights, .. velocity];
        }
    });

    [Fact]
    public void AdamStep_AnyLength_EqualsScalarTwin() => Gen.Select(s_rows, s_factor, s_factor, s_factor).Sample((rows, rate, decay, kept) =>
    {
        Assert.Equal(After(Adam.StepScalar), After(Adam.Step));

        float[] After(AdamKernel kernel)
        {
            (float[] weights, float[] gradient) = ([.. rows.Select(row => row.Weight)], [.. rows.Select(row => row.Gradient)]);
            (float[] first, float[] second) = ([.. rows.Select(row => row.First)], [.. rows.Select(row => row.Second)]);
            kernel(weights, gradient, first, second, new(rate, 1e-8f, decay, kept));
            return [.. weights, .. first, .. second];
        }
    });

    [Fact]
    public void Steps_OtherLengths_AreRefused()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => Sgd.Step(new float[9], new float[8], [], new(1, 0, 0)));
        Assert.Throws<ArgumentOutOfRangeException>(() => Sgd.Step(new float[9], new float[9], new float[8], new(1, 1, 0)));
        Assert.Throws<ArgumentOutOfRangeException>(() => Adam.Step(new float[9], new float[8], new float[9], new float[9], new(1, 1, 0, 1)));
        Assert.Throws<ArgumentOutOfRangeException>(() => Adam.Step(new float[9], new float[9], new float[8], new float[9], new(1, 1, 0, 1)));
        Assert.Throws<ArgumentOutOfRangeException>(() => Adam.Step(new float[9], new float[9], new float[9], new float[8], new(1, 1, 0, 1)));
    }

    private delegate void SgdKernel(Span<float> weights, ReadOnlySpan<float> gradient, Span<float> velocity, Sgd.Factors factors);

    private delegate void AdamKernel(Span<float> weights, ReadOnlySpan<float> gradient, Span<float> first, Span<float> second, Adam.Factors factors);
}
