using CsCheck;
using Federation.Privacy.Mechanisms;
using Xunit;

namespace Federation.Privacy.Tests.Mechanisms;

public sealed class ClippingTests
{
    private static readonly Gen<float> s_value = Gen.Select(Gen.Double[-1, 1], Gen.Double[-20, 15]).Select((mantissa, exponent) => (float)(mantissa * Math.Pow(10, exponent)));

    [Fact] // the exact norm of the floats that come out, in decimal-free doubles of well separated size
    public void Flat_AnyVector_IsAtMostTheNorm() => Gen.Select(s_value.Array[0, 100], Gen.Double[-6, 6].Select(exponent => Math.Pow(10, exponent))).Sample((values, norm) =>
    {
        float[] clipped = [.. values];
        double before = Clipping.Flat(clipped, norm);
        double after = Math.Sqrt(clipped.Sum(value => (double)value * value));
        Assert.Equal(Math.Sqrt(values.Sum(value => (double)value * value)), before, before * 1e-12);
        Assert.True(after <= norm, $"{after:R} above {norm:R}");
        if (before <= norm * 0.999999) Assert.Equal(values, clipped);
        else Assert.True(after >= norm * 0.99999);
    }, iter: 3000);

    [Theory] // where a float's products underflow or its sums nearly overflow
    [InlineData(3.4e38f, 1, 1e-10)]
    [InlineData(3.4e38f, 1, 1e-7)]
    [InlineData(3e38f, 100_000, 1e-3)]
    [InlineData(1e-38f, 1_000_000, 1.05e-42)]
    [InlineData(1e-44f, 2, 1.5e-45)]
    [InlineData(-1e-44f, 19, 3e-45)]
    [InlineData(1f, 33, 1e-320)]
    public void Flat_ExtremeSizes_IsAtMostTheNormAndKeepsTheSign(float value, int length, double norm)
    {
        float[] vector = new float[length];
        Array.Fill(vector, value);
        Clipping.Flat(vector, norm);
        Assert.True(Clipping.Norm(vector) <= norm, $"{Clipping.Norm(vector):R} above {norm:R}");
        Assert.All(vector.Distinct(), clipped => Assert.True(clipped * value >= 0));
    }

    [Fact]
    public void TowardsZero_AnyDouble_IsTheNextFloatDown() => Gen.Double.Sample(value =>
    {
        if (Math.Abs(value) > float.MaxValue || !double.IsFinite(value)) return;
        float rounded = Clipping.TowardsZero(value);
        Assert.True(Math.Abs((double)rounded) <= Math.Abs(value));
        Assert.True(Math.Abs((double)MathF.BitIncrement(Math.Abs(rounded))) > Math.Abs(value));
    }, iter: 5000);

    [Fact]
    public void Sensitivity_ExtremeNorms_IsNotBelowTheRoot()
    {
        Assert.InRange(Clipping.Sensitivity([1e-170, 1e-170]), Math.Sqrt(2) * 1e-170, Math.Sqrt(2) * 1.000001e-170);
        Assert.InRange(Clipping.Sensitivity([1e200, 1e200]), Math.Sqrt(2) * 1e200, Math.Sqrt(2) * 1.000001e200);
        Assert.Equal(0, Clipping.Sensitivity([]));
    }

    [Fact]
    public void PerLayer_TwoLayers_EachIsAtMostItsNorm()
    {
        float[] vector = [3, 4, 0.1f, 0.2f, 30, 40];
        Clipping.PerLayer(vector, [2, 2, 2], [1, 1, 5]);
        Assert.Equal([0.6f, 0.8f, 0.1f, 0.2f, 3, 4], vector.Select(value => (float)Math.Round(value, 4)));
        Assert.Equal(Math.Sqrt(27), Clipping.Sensitivity([1, 1, 5]), 1e-12);
    }

    [Fact]
    public void NonFiniteValue_IsRefusedAndNothingChanges()
    {
        foreach (float bad in (float[])[float.NaN, float.PositiveInfinity, float.NegativeInfinity])
        {
            float[] vector = [1, 2, bad, 4];
            Assert.Contains("Value 2 of 4", Assert.Throws<NonFiniteValueException>(() => Clipping.Flat(vector, 1)).Message, StringComparison.Ordinal);
            Assert.Throws<NonFiniteValueException>(() => Clipping.PerLayer(vector, [2, 2], [0.1, 0.1]));
            Assert.Equal([1, 2, bad, 4], vector);
        }
    }

    [Fact]
    public void BadArguments_AreNamed()
    {
        foreach (double norm in (double[])[0, -1, double.NaN, double.PositiveInfinity]) Assert.Throws<ArgumentOutOfRangeException>(() => Clipping.Flat([1], norm));
        Assert.Throws<ArgumentException>(() => Clipping.PerLayer([1, 2], [1], [1]));
        Assert.Throws<ArgumentException>(() => Clipping.PerLayer([1, 2], [1, 1], [1]));
    }
}
