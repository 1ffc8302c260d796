using CsCheck;
using Federation.Privacy.Mechanisms;
using Xunit;

namespace Federation.Privacy.Tests.Mechanisms;

public sealed class HadamardRotationTests
{
    private static readonly Gen<float> s_value = Gen.Double[-1, 1].Select(value => (float)value);

    [Fact]
    public void Transform_AnyBlock_EqualsThePlainTwin() => Gen.Int[0, 12].SelectMany(log => s_value.Array[1 << log]).Sample(block =>
    {
        float[] fast = [.. block];
        HadamardRotation.Transform(fast);
        float[] scalar = [.. block];
        HadamardRotation.TransformScalar(scalar);
        Assert.Equal(scalar, fast); // bit for bit
        Assert.All(HadamardRotation.TransformPlain(block).Zip(fast), pair => Assert.Equal(pair.First, pair.Second, 1e-5f));
    }, iter: 100);

    [Fact]
    public void Inverse_AfterForward_IsTheVector() => Gen.Select(s_value.Array[1, 5000], Gen.Int[0, 12], Gen.Byte.Array[32]).Sample((values, log, seed) =>
    {
        HadamardRotation rotation = new(seed, 1 << log);
        float[] vector = new float[rotation.PaddedLength(values.Length)];
        values.CopyTo(vector, 0);
        rotation.Forward(vector);
        Assert.Equal(Math.Sqrt(values.Sum(value => (double)value * value)), Clipping.Norm(vector), 1e-3);
        rotation.Inverse(vector);
        Assert.All(values.Zip(vector), pair => Assert.Equal(pair.First, pair.Second, 1e-5f));
    }, iter: 100);

    [Fact] // one large coordinate becomes many small ones, differently for each seed
    public void Forward_OneSpike_IsSpreadEvenly()
    {
        float[] one = new float[4096], other = new float[4096];
        one[5] = other[5] = 64;
        one[6] = other[6] = 64;
        new HadamardRotation(new byte[32], 4096).Forward(one);
        new HadamardRotation([.. Enumerable.Repeat((byte)1, 32)], 4096).Forward(other);
        Assert.InRange(one.Max(Math.Abs), 0, 2.001f);
        Assert.NotEqual(one, other);
    }

    [Fact]
    public void BadArguments_AreNamed()
    {
        Assert.Throws<ArgumentOutOfRangeException>(() => new HadamardRotation(new byte[31], 8));
        Assert.Throws<ArgumentOutOfRangeException>(() => new HadamardRotation(new byte[32], 12));
        Assert.Contains("pad with zeros to a multiple", Assert.Throws<ArgumentException>(() => new HadamardRotation(new byte[32], 8).Forward(new float[9])).Message, StringComparison.Ordinal);
    }
}
