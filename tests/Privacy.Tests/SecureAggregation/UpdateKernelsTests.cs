using System.Numerics;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;
using CsCheck;
using Federation.Privacy.Mechanisms;
using Federation.Privacy.SecureAggregation;
using Xunit;

namespace Federation.Privacy.Tests.SecureAggregation;

public sealed class UpdateKernelsTests
{
    private static readonly Gen<float> s_value = Gen.Frequency((8, Gen.Select(Gen.Double[-1, 1], Gen.Double[-12, 3]).Select((mantissa, exponent) => (float)(mantissa * Math.Pow(10, exponent)))), (1, UpdateEncoderTests.OneOf(0f, -0f, 0.5f, -0.5f, 1f, -1f, float.Epsilon, float.MaxValue, -float.MaxValue)));

    public static TheoryData<string> Paths => ["512", "256", "chosen"];

    private static void SkipUnlessHere(string path)
    {
        if (path == "512") Assert.SkipUnless(Vector512.IsHardwareAccelerated && Avx512F.IsSupported, "This machine has no AVX-512.");
        if (path == "256") Assert.SkipUnless(Vector256.IsHardwareAccelerated && Avx2.IsSupported, "This machine has no AVX2.");
    }

    [Theory]
    [MemberData(nameof(Paths))]
    public void Round_AnyValues_EqualsThePlainTwin(string path)
    {
        SkipUnlessHere(path);
        Gen.Select(s_value.Array[0, 100], Gen.Double[-3, 15].Select(exponent => Math.Pow(10, exponent)), Gen.Int[0, 40], Gen.UInt.Array[100]).Sample((values, scale, bits, random) =>
        {
            double limit = (1L << bits) - 0.25;
            long[] plain = new long[values.Length], fast = new long[values.Length];
            int cut = RoundingKernel.RoundPlain(values, scale, limit, random, plain);
            int fastCut = path switch
            {
                "512" => RoundingKernel.Round512(values, scale, limit, random, fast),
                "256" => RoundingKernel.Round256(values, scale, limit, random, fast),
                _ => RoundingKernel.Round(values, scale, limit, random, fast),
            };
            Assert.Equal(plain, fast);
            Assert.Equal(cut, fastCut);
        }, iter: 3000);
    }

    // Of all 2^32 random words, how many round up: they are the largest ones, so a search finds the first.
    private static long WordsThatRoundUp(float value, double scale)
    {
        double y = value * scale;
        long low = 0, high = 1L << 32;
        while (low < high)
        {
            long middle = (low + high) / 2;
            long[] grid = new long[1];
            RoundingKernel.RoundPlain([value], scale, 1L << 40, [(uint)middle], grid);
            Assert.True(grid[0] == (long)Math.Floor(y) || grid[0] == (long)Math.Floor(y) + 1);
            if (grid[0] > (long)Math.Floor(y)) high = middle;
            else low = middle + 1;
        }

        return (1L << 32) - low;
    }

    [Fact] // not a sample: the probability itself
    public void Round_AnyValue_IsUnbiasedAsStated() => Gen.Select(s_value, Gen.Double[-3, 9].Select(exponent => Math.Pow(10, exponent))).Sample((value, scale) =>
    {
        double y = value * scale;
        if (Math.Abs(y) > 1L << 40) return;
        double probability = WordsThatRoundUp(value, scale) / 4294967296.0, bias = Math.Abs(probability - (y - Math.Floor(y)));
        Assert.True(bias <= Math.Pow(2, -32) + (Math.Pow(2, -51) * (Math.Abs(y) + 1)), $"{value:R}·{scale:R}: {bias}");
        if (Math.Abs(y) < 1 << 20) Assert.True(bias <= Math.Pow(2, -30));
    }, iter: 3000);

    [Fact] // |mean − y| above six standard deviations: a false alarm in 5·10^8 runs for each y
    public void Round_FourMillion_HaveTheRightMean()
    {
        using SecureRandom source = new();
        foreach (float y in (float[])[0.3f, -0.3f, 0.01f, 1000.75f, -12.5f])
        {
            float[] values = new float[1 << 22];
            Array.Fill(values, y);
            uint[] random = new uint[values.Length];
            source.Fill(System.Runtime.InteropServices.MemoryMarshal.AsBytes(random.AsSpan()));
            long[] grid = new long[values.Length];
            RoundingKernel.Round(values, 1, 1 << 20, random, grid);
            double fraction = y - Math.Floor(y);
            Assert.Equal(y, grid.Average(), 6 * Math.Sqrt(fraction * (1 - fraction) / values.Length));
        }
    }

    [Fact]
    public void Round_Integers_StayAndCutsAreCounted()
    {
        long[] grid = new long[5];
        foreach (uint random in (uint[])[0, 1, uint.MaxValue / 2, uint.MaxValue])
        {
            Assert.Equal(2, RoundingKernel.Round([7, -7, 0, 8.5f, -9], 1, 7, [random, random, random, random, random], grid));
            Assert.Equal([7, -7, 0, 7, -7], grid);
        }
    }

    [Theory]
    [MemberData(nameof(Paths))]
    public void Norms_AnyValues_EqualThePlainTwins(string path)
    {
        SkipUnlessHere(path);
        Gen.Select(s_value.Array[0, 200], Gen.Int[0, 39].SelectMany(bits => Gen.Long[-(1L << bits), 1L << bits].Array[0, 200])).Sample((values, grid) =>
        {
            long largest = grid.Length == 0 ? 0 : grid.Max(Math.Abs);
            (double norm, UInt128 squares) = path switch
            {
                "512" => (NormKernels.OfFloats512(values), NormKernels.OfIntegers512(grid, largest)),
                "256" => (NormKernels.OfFloats256(values), NormKernels.OfIntegers256(grid, largest)),
                _ => (NormKernels.OfFloats(values), NormKernels.OfIntegers(grid, largest)),
            };
            Assert.Equal(NormKernels.OfFloatsPlain(values), norm);
            Assert.Equal(grid.Aggregate(BigInteger.Zero, (sum, value) => sum + ((BigInteger)value * value)), squares);
            Assert.Equal(squares, NormKernels.OfIntegersPlain(grid));
        }, iter: 2000);
    }

    [Fact] // all lanes as full as they get
    public void OfIntegers_TheLargest_AreExact()
    {
        foreach (long value in (long[])[NormKernels.LargestNarrow, -NormKernels.LargestNarrow, NormKernels.LargestNarrow + 1, 1L << 39, -(1L << 39)])
        {
            long[] grid = new long[4096];
            Array.Fill(grid, value);
            Assert.Equal((UInt128)(4096 * ((BigInteger)value * value)), NormKernels.OfIntegers(grid, Math.Abs(value)));
        }
    }

    [Theory]
    [MemberData(nameof(Paths))]
    public void PackAndUnpack_AnyFields_EqualThePlainTwins(string path)
    {
        SkipUnlessHere(path);
        Gen.Select(Gen.Int[1, 39], Gen.Int[0, 24], Gen.Int[0, 60], Gen.Int[0, 3]).SelectMany((bits, shift, length, beyond) =>
            Gen.Select(Gen.Const((bits, shift)), Gen.Long[-(1L << (bits - 1)) - (beyond == 0 ? 1 : 0), (1L << (bits - 1)) + (beyond == 1 ? 1 : 0)].Array[length], Gen.ULong[0, 1000].Array[length])).Sample((place, grid, coefficients) =>
        {
            long offset = 1L << (place.bits - 1);
            ulong[] plain = [.. coefficients], fast = [.. coefficients];
            bool fits = FieldKernels.PackPlain(grid, offset, place.shift, plain);
            Assert.Equal(grid.All(value => Math.Abs(value) <= offset), fits);
            Assert.Equal(fits, path switch
            {
                "512" => FieldKernels.Pack512(grid, offset, place.shift, fast),
                "256" => FieldKernels.Pack256(grid, offset, place.shift, fast),
                _ => FieldKernels.Pack(grid, offset, place.shift, fast),
            });
            if (fits) Assert.Equal(plain, fast);

            float[] values = new float[grid.Length], fastValues = new float[grid.Length];
            ulong mask = ulong.MaxValue;
            fits = FieldKernels.UnpackPlain(plain, place.shift, mask, offset, 0.1, values);
            Assert.Equal(fits, path switch
            {
                "512" => FieldKernels.Unpack512(plain, place.shift, mask, offset, 0.1, fastValues),
                "256" => FieldKernels.Unpack256(plain, place.shift, mask, offset, 0.1, fastValues),
                _ => FieldKernels.Unpack(plain, place.shift, mask, offset, 0.1, fastValues),
            });
            if (fits) Assert.Equal(values, fastValues);
            long[] integers = new long[grid.Length];
            Assert.Equal(fits, FieldKernels.UnpackIntegers(plain, place.shift, mask, offset, integers));
            if (fits && coefficients.All(value => value >> place.shift == 0)) Assert.Equal(grid, integers);
        }, iter: 3000);
    }

    [Fact] // each place alone: a kernel that looks at most lanes only is found
    public void PackAndUnpack_OneFieldOutOfRange_IsSeen()
    {
        for (int i = 0; i < 67; i++)
        {
            foreach (long bad in (long[])[8, -8, long.MaxValue - 7, -(1L << 62)])
            {
                long[] grid = new long[67];
                grid[i] = bad;
                Assert.False(FieldKernels.Pack(grid, 7, 3, new ulong[67]));
                ulong[] sums = new ulong[67];
                sums[i] = bad == 8 ? 15 : unchecked((ulong)bad);
                Assert.False(FieldKernels.Unpack(sums, 0, ulong.MaxValue, 7, 1, new float[67]));
            }
        }
    }
}
