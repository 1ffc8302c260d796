using Federation.Privacy.Mechanisms;
using Federation.Privacy.SecureAggregation;
using Xunit;

namespace Federation.Privacy.Tests.SecureAggregation;

public sealed class UpdateDecoderTests
{
    private static readonly byte[] s_seed = [.. Enumerable.Range(1, 32).Select(i => (byte)i)];

    internal static float[] DecodeAll(UpdateDecoder decoder, ulong[] sums)
    {
        using UpdateWorkspace workspace = decoder.CreateWorkspace();
        float[] mean = new float[decoder.Encoding.Values];
        decoder.OpenWeight(sums.AsSpan(decoder.WeightBlock * 2048, 2048), workspace);
        for (int block = 0; block < decoder.Encoding.Blocks; block++)
        {
            decoder.Decode(block, sums.AsSpan(block * 2048, 2048), mean.AsSpan(Math.Min(mean.Length, block * decoder.Encoding.Layout.ValuesPerBlock), decoder.ValuesOfBlock(block)), workspace);
        }

        return mean;
    }

    private static long[] Grid(UpdateEncoding encoding, int contributors, ulong[] sums)
    {
        UpdateDecoder decoder = new(encoding, contributors);
        using UpdateWorkspace workspace = decoder.CreateWorkspace();
        long[] grid = new long[encoding.Blocks * encoding.Layout.ValuesPerBlock];
        for (int block = 0; block < encoding.Blocks; block++) decoder.DecodeGrid(block, sums.AsSpan(block * 2048, 2048), grid.AsSpan(block * encoding.Layout.ValuesPerBlock, encoding.Layout.ValuesPerBlock), workspace);
        return grid;
    }

    [Theory] // as many as the cohort, fewer than the cohort, with and without noise
    [InlineData(2, 2, 5000, 17, false)]
    [InlineData(2, 10, 5000, 14, true)]
    [InlineData(10, 10, 5000, 14, false)]
    [InlineData(100, 100, 5000, 11, false)]
    [InlineData(60, 100, 5000, 11, true)]
    [InlineData(1000, 1000, 5000, 7, false)]
    [InlineData(1000, 1000, 5000, 20, true)]
    [InlineData(10_000, 10_000, 5, 18, false)]
    public void Decode_SumOfContributors_IsTheSumOfTheirIntegers(int contributors, int cohort, int count, int bits, bool noisy)
    {
        UpdateEncoding encoding = UpdateEncoding.AnyWeight(UpdateLayout.Choose(bits, cohort), count, 10, 0.05f, count > 100 && contributors > 10 ? s_seed : null, 0.5, noisy ? 1e-4 : 0);
        Random random = new(contributors);
        using SecureRandom noise = new();
        ulong[] sums = new ulong[encoding.Blocks * 2048];
        long[] expected = new long[encoding.Blocks * encoding.Layout.ValuesPerBlock];
        double[] weighted = new double[count];
        double weights = 0;
        for (int site = 0; site < contributors; site++)
        {
            float[] update = UpdateEncoderTests.Gaussian(random, count, 0.03);
            double weight = 0.5 + random.NextDouble();
            byte[] key = new byte[32];
            random.NextBytes(key);
            using UpdateEncoder encoder = UpdateEncoder.Prepare(encoding, update, weight, key, noisy ? noise : null);
            Assert.False(encoder.IsClipped);
            Assert.Equal(0, encoder.CutCoordinates);
            ulong[] coefficients = UpdateEncoderTests.EncodeAll(encoder);
            for (int i = 0; i < sums.Length; i++) sums[i] += coefficients[i];
            long[] grid = Grid(encoding, 1, coefficients);
            for (int i = 0; i < grid.Length; i++) expected[i] += grid[i];
            for (int i = 0; i < count; i++) weighted[i] += weight * update[i];
            weights += weight;
        }

        Assert.Equal(expected, Grid(encoding, contributors, sums));
        UpdateDecoder decoder = new(encoding, contributors);
        float[] mean = DecodeAll(decoder, sums);
        // A sum is off by its roundings and its noise, at most 7 deviations in all values together: a false alarm in 10^7 runs.
        double error = 7 * Math.Sqrt(contributors * ((encoding.Grid * encoding.Grid / 4) + encoding.NoiseVariance));
        Assert.Equal(weights, decoder.Weight, error / 0.05 * 1.001);
        for (int i = 0; i < count; i++) Assert.Equal(weighted[i] / decoder.Weight, mean[i], (error / decoder.Weight * 1.001) + 1e-6);
    }

    [Theory] // every field of every site at one end, or half of them
    [InlineData(1, 12)]
    [InlineData(2, 17)]
    [InlineData(3, 17)]
    [InlineData(3, 1)]
    [InlineData(7, 15)]
    [InlineData(10, 14)]
    [InlineData(127, 3)]
    [InlineData(1000, 7)]
    [InlineData(1023, 6)]
    [InlineData(4096, 4)]
    [InlineData(10_000, 18)]
    public void Decode_FieldsAtTheirEnds_IsExact(int cohort, int bits) => AtTheirEnds(UpdateLayout.Choose(bits, cohort));

    [Theory]
    [InlineData(1)]
    [InlineData(3)]
    [InlineData(100)]
    [InlineData(4096)]
    [InlineData(1 << 18)]
    public void Decode_DirectFieldsAtTheirEnds_IsExact(int cohort) => AtTheirEnds(UpdateLayout.ChooseDirect(18, cohort));

    private static void AtTheirEnds(UpdateLayout layout)
    {
        int count = (3 * layout.ValuesPerBlock) - 1, cohort = layout.Cohort;
        UpdateEncoding encoding = UpdateEncoding.AnyWeight(layout, count, 1e6, 1, null, 1, 0);
        long half = layout.Levels / 2;
        foreach (Func<int, float> end in (Func<int, float>[])[_ => 1, _ => -1, i => i % 2 * 2 - 1, i => i / 2048 % 2 * 2 - 1, i => 1 - (i / 2048 % 2 * 2)])
        {
            float[] update = [.. Enumerable.Range(0, count).Select(end)];
            using UpdateEncoder encoder = UpdateEncoder.Prepare(encoding, update, 1, s_seed);
            ulong[] coefficients = UpdateEncoderTests.EncodeAll(encoder);
            for (int contributors = cohort; contributors > 0; contributors /= 3)
            {
                ulong[] sums = [.. coefficients.Select(value => value * (ulong)contributors)];
                Assert.All(sums, sum => Assert.True(sum <= (ulong)layout.LargestSum));
                long[] grid = Grid(encoding, contributors, sums);
                for (int i = 0; i < count; i++) Assert.Equal(contributors * half * (long)update[i], grid[i]);
                UpdateDecoder decoder = new(encoding, contributors);
                Assert.Equal(update, DecodeAll(decoder, sums));
                Assert.Equal(contributors, decoder.Weight);
            }
        }
    }

    [Fact]
    public void OpenWeight_NotPositive_FailsTheRound()
    {
        UpdateEncoding encoding = new(UpdateLayout.Choose(14, 10), 100, 1, 1, null, 1, 0);
        UpdateDecoder decoder = new(encoding, 3);
        using UpdateWorkspace workspace = decoder.CreateWorkspace();
        ulong[] sums = new ulong[2048];
        Assert.Contains("must be positive", Assert.Throws<UpdateWeightException>(() => decoder.OpenWeight(sums, workspace)).Message, StringComparison.Ordinal); // −3
        sums[100] = 3 * 13107; // 0
        Assert.Throws<UpdateWeightException>(() => decoder.OpenWeight(sums, workspace));
        Assert.Contains("weight comes first", Assert.Throws<InvalidOperationException>(() => decoder.Decode(0, sums, new float[100], workspace)).Message, StringComparison.Ordinal);
        sums[100]++;
        decoder.OpenWeight(sums, workspace);
        Assert.Equal(1 / 13107.0, decoder.Weight, 1e-10);
    }

    [Fact]
    public void Decode_ImpossibleSum_IsNamed()
    {
        UpdateEncoding encoding = new(UpdateLayout.Choose(14, 10), 4096, 1, 1, null, 1, 0);
        UpdateDecoder decoder = new(encoding, 3);
        using UpdateWorkspace workspace = decoder.CreateWorkspace();
        ulong[] weight = [.. Enumerable.Repeat(3UL * 20_000, 2048)];
        decoder.OpenWeight(weight, workspace);
        foreach ((ulong sum, int field) in ((ulong, int)[])[((3 * 26214) + 1, 0), (((3UL * 26214) + 1) << 18, 1), (1UL << 63, 1), (1UL << 40, 1)])
        {
            ulong[] sums = new ulong[2048];
            sums[77] = sum;
            string message = Assert.Throws<UpdateSumException>(() => decoder.Decode(0, sums, new float[4096], workspace)).Message;
            Assert.Contains($"Field {field} of coefficient 77 in block 0", message, StringComparison.Ordinal);
            Assert.Throws<UpdateSumException>(() => decoder.DecodeGrid(0, sums, new long[4096], workspace));
        }
    }

    [Fact]
    public void BadArguments_AreNamed()
    {
        UpdateEncoding encoding = new(UpdateLayout.Choose(14, 10), 5000, 1, 1, null, 1, 0);
        Assert.Throws<ArgumentOutOfRangeException>(() => new UpdateDecoder(encoding, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => new UpdateDecoder(encoding, 11));
        UpdateDecoder decoder = new(encoding, 10), other = new(encoding, 10);
        using UpdateWorkspace workspace = decoder.CreateWorkspace(), foreign = other.CreateWorkspace();
        ulong[] sums = [.. Enumerable.Repeat(10UL * 20_000, 2048)];
        Assert.Throws<ArgumentException>(() => decoder.OpenWeight(sums, foreign));
        Assert.Throws<ArgumentException>(() => decoder.OpenWeight(new ulong[100], workspace));
        decoder.OpenWeight(sums, workspace);
        Assert.Equal((1, 4096, 904), (decoder.WeightBlock, decoder.ValuesOfBlock(0), decoder.ValuesOfBlock(1)));
        Assert.Contains("904 values", Assert.Throws<ArgumentException>(() => decoder.Decode(1, sums, new float[905], workspace)).Message, StringComparison.Ordinal);
        Assert.Throws<ArgumentOutOfRangeException>(() => decoder.Decode(2, sums, [], workspace));
        Assert.Throws<ArgumentException>(() => decoder.DecodeGrid(0, sums, new long[4095], workspace));
    }
}
