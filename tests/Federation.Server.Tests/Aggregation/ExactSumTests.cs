using System.Numerics;
using CsCheck;
using Federation.Server.Aggregation;

namespace Federation.Server.Tests.Aggregation;

public sealed class ExactSumTests
{
    private static readonly float[] Extremes = [float.MaxValue, float.MinValue, float.Epsilon, -float.Epsilon, 0, -0f, 1, -1, 1.17549435E-38f];

    /// <summary>Every finite bit pattern: normal, subnormal, zeros of both signs, the extremes more often than chance.</summary>
    private static readonly Gen<float> Finite = Gen.Frequency(
        (6, Gen.UInt.Select(BitConverter.UInt32BitsToSingle).Where(float.IsFinite)),
        (2, Gen.Int[0, Extremes.Length - 1].Select(i => Extremes[i])),
        (2, Gen.Float[-1, 1]));

    [Fact]
    public void Add_AnyFiniteValues_EqualsThePlainTwin() => Finite.Array[0, 200].Sample(
        values =>
        {
            var sum = new ExactSum(1);
            foreach (float value in values) sum.Add([value]);
            Assert.Equal(ExactSum.SumPlain(values), sum.ToInteger(0));
        },
        iter: 20_000);

    [Fact]
    public void Add_InAnotherOrder_IsTheSameToTheBit() => Gen.Select(Finite.Array[1, 60], Gen.Int).Sample(
        (values, seed) =>
        {
            var sum = new ExactSum(1);
            var shuffled = new ExactSum(1);
            foreach (float value in values) sum.Add([value]);
            float[] other = [.. values];
            new Random(seed).Shuffle(other);
            foreach (float value in other) shuffled.Add([value]);
            Assert.Equal(BitConverter.DoubleToInt64Bits(sum.ToDouble(0)), BitConverter.DoubleToInt64Bits(shuffled.ToDouble(0)));
        },
        iter: 5_000);

    [Fact]
    public void ToDouble_AnySum_IsRoundedOnceToTheNearest() => Finite.Array[0, 60].Sample(
        values =>
        {
            var sum = new ExactSum(1);
            foreach (float value in values) sum.Add([value]);
            Assert.Equal(Nearest(ExactSum.SumPlain(values)), sum.ToDouble(0));
        },
        iter: 20_000);

    /// <summary>Sums near a tie between two doubles, where folding the low bits wrongly would show.</summary>
    [Fact]
    public void ToDouble_AroundTies_RoundsToEvenAndOtherwiseToTheNearest() => Gen.Select(Gen.Int[0, 70], Gen.Int[-149, -60], Gen.Bool, Gen.Int[-1, 1]).Sample(
        (high, low, negative, nudge) =>
        {
            float sign = negative ? -1 : 1;
            float[] values = [sign * MathF.ScaleB(1, high), sign * MathF.ScaleB(1, high - 53), sign * nudge * MathF.ScaleB(1, low)];
            var sum = new ExactSum(1);
            foreach (float value in values) sum.Add([value]);
            Assert.Equal(Nearest(ExactSum.SumPlain(values)), sum.ToDouble(0));
        },
        iter: 5_000);

    [Fact]
    public void Add_LargeValuesThatCancel_KeepsTheSmallest()
    {
        var sum = new ExactSum(1);
        foreach (float value in new[] { float.MaxValue, float.Epsilon, float.MaxValue, float.MinValue, float.MinValue }) sum.Add([value]);
        Assert.Equal(float.Epsilon, sum.ToDouble(0));
    }

    [Fact]
    public void Add_TheLargestValueAMillionTimes_DoesNotOverflow()
    {
        const int times = 1_000_000;
        var sum = new ExactSum(1);
        for (int i = 0; i < times; i++) sum.Add([float.MinValue]);
        Assert.Equal((double)float.MinValue * times, sum.ToDouble(0));
    }

    [Fact]
    public void Add_ToManyCoordinates_KeepsThemApart()
    {
        var sum = new ExactSum(3);
        sum.Add([1, -1, 0.5f]);
        sum.Add([1, -1]); // fewer than coordinates: the last block of a model
        Assert.Equal([2, -2, 0.5], new[] { sum.ToDouble(0), sum.ToDouble(1), sum.ToDouble(2) });
        sum.Clear();
        Assert.Equal([0, 0, 0], new[] { sum.ToDouble(0), sum.ToDouble(1), sum.ToDouble(2) });
    }

    [Theory]
    [InlineData(float.NaN)]
    [InlineData(float.PositiveInfinity)]
    [InlineData(float.NegativeInfinity)]
    public void Add_AValueThatIsNotFinite_IsRefused(float value) =>
        Assert.Throws<ArgumentException>(() => new ExactSum(2).Add([0, value]));

    [Fact]
    public void Add_MoreValuesThanCoordinates_IsRefused() => Assert.Throws<ArgumentException>(() => new ExactSum(1).Add([1, 2]));

    /// <summary>The nearest double, ties to even, by the textbook: integer division with a remainder.</summary>
    private static double Nearest(BigInteger units)
    {
        if (units.IsZero) return 0;
        BigInteger magnitude = BigInteger.Abs(units);
        int drop = (int)Math.Max(0, magnitude.GetBitLength() - 53);
        BigInteger quotient = magnitude >> drop, rest = magnitude - (quotient << drop), half = drop == 0 ? BigInteger.One : BigInteger.One << (drop - 1);
        if (drop > 0 && (rest > half || (rest == half && !quotient.IsEven))) quotient++;
        return units.Sign * Math.ScaleB((double)(ulong)quotient, drop - 149);
    }
}
