using CsCheck;
using Federation.Server.Aggregation;

namespace Federation.Server.Tests.Aggregation;

public sealed class PairSumTests
{
    /// <summary>Updates of one length, values of any finite size, or of one.</summary>
    private static readonly Gen<float[][]> Updates = Gen.Select(Gen.Int[1, 40], Gen.Int[0, 12], Gen.Bool).SelectMany((length, count, any) =>
        (any ? Gen.UInt.Select(BitConverter.UInt32BitsToSingle).Where(float.IsFinite) : Gen.Float[-1, 1]).Array[length].Array[count]);

    [Fact]
    public void Add_WhereItSaysExact_EqualsTheWideSumToTheBit()
    {
        int exact = 0, inexact = 0;
        Updates.Sample(
            updates =>
            {
                int length = updates.FirstOrDefault()?.Length ?? 1;
                (PairSum pairs, ExactSum wide) = (new PairSum(length), new ExactSum(length));
                foreach (float[] update in updates)
                {
                    pairs.Add(update);
                    wide.Add(update);
                }

                Interlocked.Increment(ref pairs.IsExact ? ref exact : ref inexact);
                if (pairs.IsExact) for (int i = 0; i < length; i++) Assert.Equal(BitConverter.DoubleToInt64Bits(wide.ToDouble(i)), BitConverter.DoubleToInt64Bits(pairs.ToDouble(i)));
            },
            iter: 5_000);
        Assert.True(exact > 100 && inexact > 100, $"{exact} were exact and {inexact} were not; the test wants both.");
    }

    [Fact]
    public void Add_UpdatesAsTheyAre_IsExact()
    {
        var sum = new PairSum(1000);
        var random = new Random(1);
        for (int i = 0; i < 1000; i++)
        {
            float[] update = new float[1000];
            for (int k = 0; k < update.Length; k++) update[k] = (random.NextSingle() - 0.5f) * MathF.ScaleB(1, random.Next(-30, 10));
            sum.Add(update);
        }

        Assert.True(sum.IsExact);
    }

    [Theory]
    [InlineData(float.NaN, 0)]
    [InlineData(float.PositiveInfinity, 20)]
    [InlineData(float.MaxValue, 3)] // beside 1 and the smallest
    [InlineData(float.MaxValue, 20)] // past the last whole vector
    public void Add_WhatTwoDoublesCannotHold_IsSaidUntilCleared(float value, int at)
    {
        var sum = new PairSum(21);
        float[] one = [.. Enumerable.Repeat(1f, 21)], small = [.. Enumerable.Repeat(float.Epsilon, 21)], other = new float[21];
        other[at] = value;
        sum.Add(one);
        sum.Add(other);
        sum.Add(small);
        Assert.False(sum.IsExact);
        sum.Clear();
        sum.Add(one);
        Assert.True(sum.IsExact);
    }
}
