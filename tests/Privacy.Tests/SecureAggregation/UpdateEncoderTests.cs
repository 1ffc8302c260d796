using System.Numerics;
using CsCheck;
using Federation.Privacy.Mechanisms;
using Federation.Privacy.SecureAggregation;
using Xunit;

namespace Federation.Privacy.Tests.SecureAggregation;

public sealed class UpdateEncoderTests
{
    private static readonly byte[] s_seed = [.. Enumerable.Range(1, 32).Select(i => (byte)i)];
    private static readonly UpdateLayout s_two = UpdateLayout.Choose(14, 10);

    internal static Gen<T> OneOf<T>(params T[] values) => Gen.Int[0, values.Length - 1].Select(i => values[i]);

    internal static ulong[] EncodeAll(UpdateEncoder encoder)
    {
        using UpdateWorkspace workspace = encoder.CreateWorkspace();
        ulong[] all = new ulong[encoder.Encoding.Blocks * UpdateLayout.BlockLength];
        for (int block = 0; block < encoder.Encoding.Blocks; block++) encoder.Encode(block, all.AsSpan(block * UpdateLayout.BlockLength, UpdateLayout.BlockLength), workspace);
        return all;
    }

    internal static float[] Gaussian(Random random, int count, double deviation) =>
        [.. Enumerable.Range(0, count).Select(_ => (float)(deviation * Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble())))];

    [Fact] // coefficients, and the mean of two
    public void Encode_AnyUpdate_EqualsThePlainTwin() => Gen.Select(Gen.Int[1, 9000], Gen.Int[1, 18], UpdateEncoderTests.OneOf(2, 3, 10, 100, 4096), Gen.Bool, Gen.Bool, Gen.Int, Gen.Byte.Array[32]).Sample((count, bits, cohort, rotated, noisy, seed, key) =>
    {
        Random random = new(seed);
        float[] first = Gaussian(random, count, 0.1), second = Gaussian(random, count, 0.001);
        UpdateEncoding encoding;
        try
        {
            encoding = UpdateEncoding.AnyWeight(UpdateLayout.Choose(bits, cohort), count, Math.Pow(10, random.Next(-2, 3)), 0.5f, rotated ? s_seed : null, rotated ? null : 0.01, noisy ? 1e-4 : 0);
        }
        catch (UpdateLayoutException)
        {
            return;
        }

        using SecureRandom fastNoise = SecureRandom.WithKnownKey(s_seed), plainNoise = SecureRandom.WithKnownKey(s_seed);
        using UpdateEncoder one = UpdateEncoder.Prepare(encoding, first, 1.5, key, noisy ? fastNoise : null);
        using UpdateEncoder two = UpdateEncoder.Prepare(encoding, second, 20, s_seed, noisy ? fastNoise : null, threads: 2);
        ulong[] oneFast = EncodeAll(one), twoFast = EncodeAll(two);
        BigInteger[] onePlain = PlainUpdate.Encode(encoding, first, 1.5, key, noisy ? plainNoise : null), twoPlain = PlainUpdate.Encode(encoding, second, 20, s_seed, noisy ? plainNoise : null);
        Assert.Equal(onePlain, oneFast.Select(value => (BigInteger)value));
        Assert.Equal(twoPlain, twoFast.Select(value => (BigInteger)value));

        UpdateDecoder decoder = new(encoding, 2);
        using UpdateWorkspace workspace = decoder.CreateWorkspace();
        ulong[] sums = [.. oneFast.Zip(twoFast, (a, b) => a + b)];
        (float[] mean, double weight) = PlainUpdate.Decode(encoding, 2, [.. onePlain.Zip(twoPlain, (a, b) => a + b)]);
        if (weight <= 0)
        {
            Assert.Throws<UpdateWeightException>(() => decoder.OpenWeight(sums.AsSpan(decoder.WeightBlock * 2048, 2048), workspace));
            return;
        }

        Assert.Equal(mean, UpdateDecoderTests.DecodeAll(decoder, sums));
        Assert.Equal(weight, decoder.Weight);
    }, iter: 150);

    [Fact]
    public void Encode_InAnyOrderOnAnyThread_GivesTheSame()
    {
        UpdateEncoding encoding = UpdateEncoding.AnyWeight(s_two, 50_000, 10, 0.01f, s_seed, null, 0);
        float[] update = Gaussian(new(7), 50_000, 0.1), before = [.. update];
        using UpdateEncoder encoder = UpdateEncoder.Prepare(encoding, update, 3, s_seed), parallel = UpdateEncoder.Prepare(encoding, update, 3, s_seed, threads: 4);
        ulong[] expected = EncodeAll(encoder);
        Assert.Equal((encoder.Norm, encoder.SquaredNorm, encoder.CutCoordinates, encoder.Attempts), (parallel.Norm, parallel.SquaredNorm, parallel.CutCoordinates, parallel.Attempts));
        Parallel.For(0, encoding.Blocks, i =>
        {
            int block = encoding.Blocks - 1 - i;
            using UpdateWorkspace workspace = parallel.CreateWorkspace();
            ulong[] coefficients = [.. Enumerable.Repeat(ulong.MaxValue, 2048)]; // what was there does not count
            parallel.Encode(block, coefficients, workspace);
            Assert.Equal(expected[(block * 2048)..((block + 1) * 2048)], coefficients);
        });
        Assert.Equal(before, update);
    }

    [Fact]
    public void Prepare_LongVector_IsClippedAsOneWithItsWeight()
    {
        UpdateEncoding encoding = UpdateEncoding.AnyWeight(s_two, 3, 1, 2, null, 1, 0);
        using UpdateEncoder encoder = UpdateEncoder.Prepare(encoding, new float[] { 1, 2, 4 }, 10, s_seed);
        Assert.Equal(50, encoder.Norm, 1e-12); // 10·√(1 + 4 + 16 + 2²)
        Assert.True(encoder.IsClipped);
        UpdateDecoder decoder = new(encoding, 1);
        ulong[] sums = EncodeAll(encoder);
        float[] mean = UpdateDecoderTests.DecodeAll(decoder, sums);
        Assert.Equal(0.2, decoder.Weight, 0.0001);
        Assert.All(mean.Zip((float[])[1, 2, 4]), pair => Assert.Equal(pair.Second, pair.First, 0.003f));
        Assert.Equal(0, encoder.CutCoordinates);
    }

    [Fact] // 64 halves of a step: a rounding exceeds the bound of 40 steps² with 1.6 %; that none of 1000 does has a probability of 10^-7
    public void Prepare_RoundingAboveTheNormBound_IsDrawnAgain()
    {
        UpdateLayout coarse = UpdateLayout.Choose(1, 1); // −1, 0, 1
        UpdateEncoding encoding = UpdateEncoding.AnyWeight(coarse, 63, 4, 0.5f, null, 1, 0);
        Assert.Equal((UInt128)40, encoding.LargestSquaredNorm);
        float[] update = [.. Enumerable.Repeat(0.5f, 63)];
        int again = 0;
        for (int i = 0; i < 1000; i++)
        {
            byte[] key = [.. BitConverter.GetBytes(i), .. new byte[28]];
            using UpdateEncoder encoder = UpdateEncoder.Prepare(encoding, update, 1, key);
            Assert.True(encoder.SquaredNorm <= 40);
            if (encoder.Attempts > 1) again++;
            if (i % 50 != 0 && encoder.Attempts == 1) continue;
            UpdateDecoder decoder = new(encoding, 1);
            using UpdateWorkspace workspace = decoder.CreateWorkspace();
            long[] grid = new long[coarse.ValuesPerBlock];
            decoder.DecodeGrid(0, EncodeAll(encoder), grid, workspace);
            Assert.Equal((long)encoder.SquaredNorm, grid.Sum(value => value * value)); // what is sent is what was measured
        }

        Assert.InRange(again, 1, 100);
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public void Prepare_LargestNormsAndFinestGrids_MeetTheBound(bool rotated)
    {
        foreach (int bits in (int[])[8, 20, 36])
        {
            UpdateEncoding encoding = UpdateEncoding.AnyWeight(UpdateLayout.Choose(bits, 3), 6000, 1, 0.01f, rotated ? s_seed : null, rotated ? null : 1, 0);
            foreach (float[] update in (float[][])[Gaussian(new(1), 6000, 1e30), [.. new float[5999], 1e-3f], [1e38f, .. new float[5999]]])
            {
                using UpdateEncoder encoder = UpdateEncoder.Prepare(encoding, update, 1, s_seed);
                Assert.True(encoder.SquaredNorm <= encoding.LargestSquaredNorm);
                Assert.InRange(encoder.Attempts, 1, 5);
            }
        }
    }

    [Fact]
    public void CutCoordinates_BeyondTheCut_AreCounted()
    {
        UpdateEncoding encoding = new(s_two, 5000, 100, 0.5f, null, 1, 0);
        float[] update = new float[5000];
        (update[0], update[2047], update[2048], update[4999], update[17]) = (1.01f, -2, 3, -1.5f, 1);
        using UpdateEncoder encoder = UpdateEncoder.Prepare(encoding, update, 1, s_seed);
        Assert.Equal(4, encoder.CutCoordinates);
        float[] mean = UpdateDecoderTests.DecodeAll(new(encoding, 1), EncodeAll(encoder));
        Assert.Equal([1, -1, 1, -1, 1], ((int[])[0, 2047, 2048, 4999, 17]).Select(i => (float)Math.Round(mean[i], 3)));
    }

    [Fact]
    public void Encode_WithNoise_GivesEachBlockOnce()
    {
        UpdateEncoding encoding = new(s_two, 300_000, 10, 0.01f, null, 0.1, 1e-4);
        using SecureRandom noise = new();
        using UpdateEncoder encoder = UpdateEncoder.Prepare(encoding, new float[300_000], 1, s_seed, noise);
        int given = 0;
        Parallel.For(0, 4 * encoding.Blocks, i =>
        {
            using UpdateWorkspace workspace = encoder.CreateWorkspace();
            try
            {
                encoder.Encode(i % encoding.Blocks, new ulong[2048], workspace);
                Interlocked.Increment(ref given);
            }
            catch (InvalidOperationException error)
            {
                Assert.Contains("was encoded before", error.Message, StringComparison.Ordinal);
            }
        });
        Assert.Equal(encoding.Blocks, given);
    }

    [Fact] // mean and variance of the noise of 10^6 zeros, each within six standard deviations: a false alarm in 2.5·10^8 runs
    public void Encode_WithNoise_AddsThisMuch()
    {
        const int count = 1_000_000;
        UpdateEncoding encoding = new(s_two, count, 10, 0.01f, null, 0.1, 1e-4);
        using SecureRandom noise = new();
        using UpdateEncoder encoder = UpdateEncoder.Prepare(encoding, new float[count], 1, s_seed, noise);
        UpdateDecoder decoder = new(encoding, 1);
        using UpdateWorkspace workspace = decoder.CreateWorkspace();
        ulong[] all = EncodeAll(encoder);
        long[] grid = new long[s_two.ValuesPerBlock];
        double sum = 0, squares = 0;
        for (int block = 0; block < count / grid.Length; block++)
        {
            decoder.DecodeGrid(block, all.AsSpan(block * 2048, 2048), grid, workspace);
            sum += grid.Sum();
            squares += grid.Sum(value => (double)value * value);
        }

        double n = count / grid.Length * grid.Length, variance = encoding.NoiseDeviationSteps * encoding.NoiseDeviationSteps;
        Assert.Equal(1e-4, variance * encoding.Grid * encoding.Grid, 1e-15);
        Assert.Equal(0, sum / n, 6 * Math.Sqrt(variance / n));
        Assert.Equal(1, squares / n / variance, 6 * Math.Sqrt(2 / n));
    }

    [Fact] // room of one deviation in place of nine: a value at the cut leaves it with probability up to 2·Pr[N > 1]
    public void Encode_NoiseBeyondTheRange_WithholdsTheUpload()
    {
        UpdateEncoding encoding = new(s_two, 9000, 1000, 1, null, 1, 0.01, largestWeight: 1, range: 1);
        Assert.Equal(1, encoding.RangeErrorProbability);
        using SecureRandom noise = new();
        using UpdateEncoder encoder = UpdateEncoder.Prepare(encoding, Enumerable.Repeat(1f, 9000).ToArray(), 1, s_seed, noise);
        using UpdateWorkspace workspace = encoder.CreateWorkspace();
        ulong[] coefficients = new ulong[2048];
        string message = Assert.Throws<UpdateOutOfRangeException>(() => encoder.Encode(1, coefficients, workspace)).Message;
        Assert.Contains("beyond ±13107 grid steps", message, StringComparison.Ordinal);
        Assert.All(coefficients, value => Assert.Equal(0UL, value));
        for (int block = 0; block < encoding.Blocks; block++) Assert.Contains("withheld", Assert.Throws<InvalidOperationException>(() => encoder.Encode(block, coefficients, workspace)).Message, StringComparison.Ordinal);
    }

    [Theory] // the norm was tested on the values that were there when the encoder was prepared
    [InlineData(0, 1)]
    [InlineData(3000, 1e-3f)]
    public void Encode_AnUpdateThatChangedSincePrepare_IsWithheld(int place, float change)
    {
        UpdateEncoding encoding = new(s_two, 5000, 1, 0.01f, null, 1, 0);
        float[] update = new float[5000];
        using UpdateEncoder encoder = UpdateEncoder.Prepare(encoding, update, 1, s_seed);
        update[place] += change;
        using UpdateWorkspace workspace = encoder.CreateWorkspace();
        ulong[] coefficients = new ulong[2048];
        int block = place / encoding.Layout.ValuesPerBlock;
        Assert.Contains("changed after it was prepared", Assert.Throws<InvalidOperationException>(() => encoder.Encode(block, coefficients, workspace)).Message, StringComparison.Ordinal);
        Assert.All(coefficients, value => Assert.Equal(0UL, value));
        Assert.Contains("withheld", Assert.Throws<InvalidOperationException>(() => encoder.Encode(1, coefficients, workspace)).Message, StringComparison.Ordinal);
    }

    [Fact] // room of 2.5 deviations in place of nine
    public void RangeErrorProbability_OfManyUploads_IsAnUpperBound()
    {
        UpdateEncoding encoding = new(s_two, 1, 1000, 1, null, 1, 0.01, largestWeight: 1, range: 2.5);
        using SecureRandom noise = new();
        int withheld = 0;
        for (int i = 0; i < 5000; i++)
        {
            byte[] key = [.. BitConverter.GetBytes(i), .. new byte[28]];
            using UpdateEncoder encoder = UpdateEncoder.Prepare(encoding, new float[] { -1 }, 1, key, noise);
            try
            {
                EncodeAll(encoder);
            }
            catch (UpdateOutOfRangeException)
            {
                withheld++;
            }
        }

        // Two values at the cut leave on one side each: half the bound, 0.0124: 62 ± 8 of 5000 uploads. Outside of what is asked once in 10^8 runs.
        Assert.InRange(encoding.RangeErrorProbability, 0.024, 0.0249);
        Assert.InRange(withheld, 15, 5000 * encoding.RangeErrorProbability);
    }

    [Fact]
    public void Encode_ManyBlocks_AllocatesNothing()
    {
        UpdateEncoding encoding = new(s_two, 1 << 20, 10, 0.01f, s_seed, null, 0);
        using UpdateEncoder encoder = UpdateEncoder.Prepare(encoding, new float[1 << 20], 1, s_seed);
        using UpdateWorkspace workspace = encoder.CreateWorkspace();
        UpdateDecoder decoder = new(encoding, 1);
        using UpdateWorkspace decoding = decoder.CreateWorkspace();
        ulong[] coefficients = new ulong[2048];
        float[] values = new float[encoding.Layout.ValuesPerBlock];
        encoder.Encode(decoder.WeightBlock, coefficients, workspace);
        decoder.OpenWeight(coefficients, decoding);
        encoder.Encode(0, coefficients, workspace);
        decoder.Decode(0, coefficients, values, decoding);
        long before = GC.GetAllocatedBytesForCurrentThread();
        for (int i = 0; i < 2000; i++)
        {
            encoder.Encode(i % 256, coefficients, workspace);
            decoder.Decode(i % 256, coefficients, values, decoding);
        }

        // Less than any object a block; a collection in between may count what is left of the thread's last 8 kB.
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 24_000);
    }

    [Fact]
    public void BadArguments_AreNamed()
    {
        UpdateEncoding encoding = new(s_two, 5000, 1, 1, null, 1, 0), noisy = new(s_two, 5000, 1, 1, null, 1, 0.01);
        float[] update = new float[5000];
        using SecureRandom noise = new();
        Assert.Contains("4999 values", Assert.Throws<ArgumentException>(() => UpdateEncoder.Prepare(encoding, new float[4999], 1, s_seed)).Message, StringComparison.Ordinal);
        foreach (double weight in (double[])[0, -1, double.NaN, double.PositiveInfinity, 1e308]) Assert.Equal("weight", Assert.Throws<ArgumentOutOfRangeException>(() => UpdateEncoder.Prepare(encoding, Enumerable.Repeat(1f, 5000).ToArray(), weight, s_seed)).ParamName);
        Assert.Equal("roundingKey", Assert.Throws<ArgumentException>(() => UpdateEncoder.Prepare(encoding, update, 1, new byte[16])).ParamName);
        Assert.Equal("noise", Assert.Throws<ArgumentException>(() => UpdateEncoder.Prepare(encoding, update, 1, s_seed, noise)).ParamName);
        Assert.Equal("noise", Assert.Throws<ArgumentException>(() => UpdateEncoder.Prepare(noisy, update, 1, s_seed)).ParamName);
        foreach (float bad in (float[])[float.NaN, float.PositiveInfinity, float.NegativeInfinity])
        {
            float[] broken = [.. update];
            broken[4998] = bad;
            Assert.Contains("Value 4998 of 5000", Assert.Throws<NonFiniteValueException>(() => UpdateEncoder.Prepare(encoding, broken, 1, s_seed)).Message, StringComparison.Ordinal);
        }

        using UpdateEncoder encoder = UpdateEncoder.Prepare(encoding, update, 1, s_seed), other = UpdateEncoder.Prepare(encoding, update, 1, s_seed);
        using UpdateWorkspace workspace = encoder.CreateWorkspace(), foreign = other.CreateWorkspace();
        Assert.Throws<ArgumentException>(() => encoder.Encode(0, new ulong[2048], foreign));
        Assert.Throws<ArgumentException>(() => encoder.Encode(0, new ulong[2047], workspace));
        Assert.Throws<ArgumentOutOfRangeException>(() => encoder.Encode(-1, new ulong[2048], workspace));
        Assert.Throws<ArgumentOutOfRangeException>(() => encoder.Encode(2, new ulong[2048], workspace));
        encoder.Dispose();
        Assert.Throws<ObjectDisposedException>(encoder.CreateWorkspace);
    }
}
