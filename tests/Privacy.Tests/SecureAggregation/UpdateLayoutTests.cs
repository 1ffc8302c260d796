using System.Numerics;
using CsCheck;
using Federation.Privacy.SecureAggregation;
using Xunit;

namespace Federation.Privacy.Tests.SecureAggregation;

public sealed class UpdateLayoutTests
{
    [Theory]
    [InlineData(1, 39)]
    [InlineData(3, 38)]
    [InlineData(6, 38)]
    [InlineData(7, 37)]
    [InlineData(10, 37)]
    [InlineData(100, 36)]
    [InlineData(1000, 34)]
    [InlineData(4096, 33)]
    [InlineData(10_000, 32)]
    [InlineData(1 << 18, 30)]
    public void PlaintextBits_OfACohort_LeaveEightDeviations(int cohort, int expected)
    {
        Assert.Equal(expected, PadRing.PlaintextBits(cohort));
        Assert.True(Math.Pow(2, 45 - expected) >= 8 * 6.1 * Math.Sqrt(cohort));
        Assert.True(Math.Pow(2, 44 - expected) < 8 * 6.1 * Math.Sqrt(cohort));
    }

    [Theory] // two fields: 17, 14.7, 11.4 and 7 bits
    [InlineData(17, 3, 2, 19, 174762)]
    [InlineData(14, 10, 2, 18, 26214)]
    [InlineData(11, 100, 2, 18, 2620)]
    [InlineData(7, 1000, 2, 17, 130)]
    [InlineData(1, 1, 19, 2, 2)]
    public void Choose_TheProtocolsExamples_GivesTheirPrecision(int bits, int cohort, int fields, int fieldBits, long levels)
    {
        UpdateLayout layout = UpdateLayout.Choose(bits, cohort);
        Assert.Equal((fields, fieldBits, levels), (layout.FieldsPerCoefficient, layout.FieldBits, layout.Levels));
    }

    [Fact] // every cohort to 5000 and some above, every precision, both modes; the bounds recomputed without limits on size
    public void Choose_AnyCohortAndBits_NoSumOverflows()
    {
        int[] cohorts = [.. Enumerable.Range(1, 5000), 8191, 10_000, 16_383, 65_535, 100_000, 1 << 18];
        Parallel.ForEach(cohorts, cohort =>
        {
            for (int bits = 1; bits <= 41; bits++)
            {
                Check(bits, cohort, direct: false);
                Check(bits, cohort, direct: true);
            }
        });
    }

    private static void Check(int bits, int cohort, bool direct)
    {
        int plaintextBits = direct ? 40 : PadRing.PlaintextBits(cohort);
        BigInteger largest = (direct ? BigInteger.One << 40 : (BigInteger)70368744067073 >> (46 - plaintextBits)) - 1;
        BigInteger needed = (BigInteger.One << bits) - 1;
        UpdateLayout layout;
        try
        {
            layout = direct ? UpdateLayout.ChooseDirect(bits, cohort) : UpdateLayout.Choose(bits, cohort);
        }
        catch (UpdateLayoutException error)
        {
            BigInteger most = largest / cohort;
            Assert.True((most.IsEven ? most : most - 1) < needed, $"{bits} bits fit {cohort} sites, but: {error.Message}");
            return;
        }

        (int fields, int width, BigInteger levels) = (layout.FieldsPerCoefficient, layout.FieldBits, layout.Levels);
        Assert.Equal((plaintextBits / fields, cohort, direct), (width, layout.Cohort, layout.IsDirect));
        Assert.Equal(largest, layout.LargestSum);
        Assert.True(levels.IsEven && levels >= needed);
        Assert.True(Fits(levels, fields, width, cohort, largest), $"{bits} bits, {cohort} sites overflow");
        Assert.False(Fits(levels + 2, fields, width, cohort, largest), $"{bits} bits, {cohort} sites waste levels");
        if (direct) Assert.Equal(1, fields);
        else if (plaintextBits / (fields + 1) > 0) Assert.False(Fits(needed + (needed.IsEven ? 0 : 1), fields + 1, plaintextBits / (fields + 1), cohort, largest), $"{bits} bits, {cohort} sites: one field more fits");
    }

    // The whole cohort sends L in every field.
    private static bool Fits(BigInteger levels, int fields, int width, int cohort, BigInteger largest)
    {
        BigInteger coefficient = 0, field = levels * cohort;
        for (int k = 0; k < fields; k++) coefficient += field << (k * width);
        return field < BigInteger.One << width && coefficient <= largest;
    }

    [Fact] // any mix of fields at their ends comes back from its sum
    public void Choose_FieldsAtTheirEnds_AreReadBack() => Gen.Select(Gen.Int[1, 18], Gen.OneOf(Gen.Int[1, 4096], UpdateEncoderTests.OneOf(3, 7, 15, 127, 1023, 4095, 10_000)), Gen.Int[0, 1 << 18]).Sample((bits, cohort, ends) =>
    {
        UpdateLayout layout;
        try
        {
            layout = UpdateLayout.Choose(bits, cohort);
        }
        catch (UpdateLayoutException)
        {
            return;
        }

        BigInteger one = 0;
        for (int k = 0; k < layout.FieldsPerCoefficient; k++) one += (BigInteger)((ends >> k & 1) * layout.Levels) << (k * layout.FieldBits);
        BigInteger sum = one * cohort;
        Assert.True(sum <= layout.LargestSum);
        for (int k = 0; k < layout.FieldsPerCoefficient; k++)
        {
            Assert.Equal((BigInteger)(ends >> k & 1) * layout.Levels * cohort, sum >> (k * layout.FieldBits) & ((BigInteger.One << layout.FieldBits) - 1));
        }
    }, iter: 5000);

    [Fact]
    public void Blocks_OfValues_AreWholeOnes()
    {
        UpdateLayout layout = UpdateLayout.Choose(14, 10);
        Assert.Equal(4096, layout.ValuesPerBlock);
        Assert.Equal([0, 1, 1, 2, 524_288], ((int[])[0, 1, 4096, 4097, int.MaxValue]).Select(layout.Blocks));
        Assert.Equal(524_288L * 2048, layout.Coefficients(int.MaxValue));
    }

    [Fact]
    public void Choose_TooMuch_NamesBitsCohortAndTheMost()
    {
        string message = Assert.Throws<UpdateLayoutException>(() => UpdateLayout.Choose(25, 4096)).Message;
        Assert.Contains("25 bits a value do not fit into a sum over 4096 sites: the most that fits is 20 bits", message, StringComparison.Ordinal);
        Assert.Equal(1, UpdateLayout.Choose(20, 4096).FieldsPerCoefficient);
        Assert.Contains("38 bits", Assert.Throws<UpdateLayoutException>(() => UpdateLayout.ChooseDirect(39, 3)).Message, StringComparison.Ordinal);
        Assert.Throws<UpdateLayoutException>(() => UpdateLayout.Choose(int.MaxValue, 3));
        Assert.Throws<ArgumentOutOfRangeException>(() => UpdateLayout.Choose(0, 3));
        Assert.Throws<ArgumentOutOfRangeException>(() => UpdateLayout.Choose(8, 0));
        Assert.Throws<ArgumentOutOfRangeException>(() => UpdateLayout.ChooseDirect(8, UpdateLayout.LargestCohort + 1));
    }
}
