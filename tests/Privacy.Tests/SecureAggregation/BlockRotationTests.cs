using CsCheck;
using Federation.Privacy.Mechanisms;
using Federation.Privacy.SecureAggregation;
using Xunit;

namespace Federation.Privacy.Tests.SecureAggregation;

public sealed class BlockRotationTests
{
    [Fact]
    public void Forward_AnySlice_IsSignsThenHadamard() => Gen.Select(Gen.Double[-1, 1].Select(value => (float)value).Array[2048], Gen.Byte.Array[32], Gen.Int[0, 1 << 20]).Sample((values, seed, slice) =>
    {
        using CounterMode mode = new(seed);
        byte[] bits = new byte[256];
        mode.Fill((ulong)slice, 0, bits);
        float[] signed = [.. values.Select((value, i) => (bits[i / 8] >> (i % 8) & 1) == 0 ? value : -value)], turned = [.. values];
        HadamardRotation.TransformScalar(signed);
        using BlockRotation rotation = new(seed);
        rotation.Forward(slice, turned);
        Assert.Equal(signed, turned);
        Assert.True(Clipping.Norm(turned) <= Clipping.Norm(values) * (1 + BlockRotation.Growth));
        rotation.Inverse(slice, turned);
        Assert.All(values.Zip(turned), pair => Assert.Equal(pair.First, pair.Second, 2e-6f));
    }, iter: 200);
}
