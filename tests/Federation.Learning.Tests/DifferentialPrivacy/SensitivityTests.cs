using CsCheck;
using Federation.Learning.DifferentialPrivacy;
using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Learning.Tests.DifferentialPrivacy;

/// <summary>What all accounting rests on: one unit more or less moves the sum by at most C, whatever its records are.</summary>
public sealed class SensitivityTests
{
    [Fact]
    public void Add_OneUnitMore_MovesTheSumByAtMostC() =>
        Gen.Select(Gen.Enum<ClippingKind>(), Gen.Enum<ClippedSumMethod>(), Gen.Int[0, 3], Gen.Int[2, 8], Gen.Int[1, 3], Gen.Double[-4, 4], Gen.Double[-3, 3], Gen.Long[1, 1L << 40]).Sample((kind, method, model, units, each, scale, bound, seed) =>
        {
            random.manual_seed(seed);
            float size = (float)Math.Pow(10, scale);
            int records = units * each;
            using Twins twins = model switch
            {
                0 => new(nn.Sequential(nn.Linear(5, 40), nn.ReLU(), nn.Linear(40, 2)), randn(records, 5) * size),
                1 => new(nn.Sequential(nn.Conv2d(2, 6, 3L), nn.Tanh(), nn.Conv2d(6, 2, 2L)), randn(records, 2, 5, 5) * size),
                2 => new(nn.Sequential(nn.Embedding(4, 3), nn.LayerNorm(3), nn.Linear(3, 2)), randint(0, 4, [records, 6], dtype: ScalarType.Int64)),
                _ => new(nn.Sequential(nn.Linear(4, 8), nn.Unflatten(1, [8, 1]), Normalization.Group(2, 8), nn.PReLU(8), nn.Flatten(), nn.Linear(8, 1)), randn(records, 4) * size),
            };
            double c = Math.Pow(10, bound);
            double[] bounds = kind == ClippingKind.PerLayer ? [.. twins.Layers.Select((_, i) => c / (i + 1))] : [c];
            double sensitivity = Privacy.Mechanisms.Clipping.Sensitivity(bounds);
            float[] all = Sum(units), fewer = Sum(units - 1);
            double moved = Math.Sqrt(all.Zip(fewer).Sum(pair => Math.Pow(pair.First - (double)pair.Second, 2)));
            // Besides the bound: what float32 sums round, of U·C at most.
            Assert.True(moved <= sensitivity * (1 + (units * 1e-6)), $"{kind}: {moved:R} is more than {sensitivity:R}");

            float[] Sum(int count)
            {
                PrivateBatch batch = each == 1
                    ? PrivateBatch.OneEach([.. Enumerable.Range(0, count).Select(i => (long)i)])
                    : new([.. Enumerable.Range(0, count * each).Select(i => (long)i)], BatchUnits.Of([.. Enumerable.Range(0, count * each).Select(i => i / each)], count), [.. Enumerable.Repeat(1f / each, count * each)]);
                return method == ClippedSumMethod.BookKeeping ? twins.Sum(batch, kind, bounds) : twins.ReferenceSum(batch, kind, bounds);
            }
        }, iter: 150, threads: 1);

    [Fact]
    public void Add_AutomaticClipping_MakesEveryGradientNearlyC()
    {
        using Twins twins = new(nn.Linear(3, 1), randn(1, 3));
        PrivateBatch one = PrivateBatch.OneEach([0]);
        double norm = twins.Norms(one)[0];
        float[] sum = twins.Sum(one, ClippingKind.Automatic, [5.0]);
        Assert.Equal(5 * norm / (norm + 0.01), Math.Sqrt(sum.Sum(value => (double)value * value)), 1e-4);
    }

    [Fact]
    public void Add_ShortGradients_StayAsTheyAre()
    {
        using Twins twins = new(nn.Linear(3, 1), randn(4, 3));
        PrivateBatch batch = PrivateBatch.OneEach([0, 1, 2, 3]);
        double longest = twins.Norms(batch).Max();
        Assert.Equal(twins.Sum(batch, ClippingKind.Flat, [longest * 1.01]), twins.Sum(batch, ClippingKind.Flat, [longest * 1e6]));
    }
}
