using System.Numerics;
using System.Runtime.InteropServices;
using CsCheck;
using Federation.Formats.Runs;
using Federation.Privacy.Mechanisms;
using Federation.Server.Aggregation;
using Federation.Server.Strategies;

namespace Federation.Server.Tests.Aggregation;

/// <summary>The sum of clipped updates, and the noise in its mean.</summary>
public sealed class NoisyMeanTests
{
    // Eighths and their like: sums of squares are exact in any order, so the twin finds the very same norms.
    private static readonly Gen<float> s_dyadic = Gen.Int[-2048, 2048].Select(i => i / 1024f);

    [Fact]
    public void Read_AnyUpdates_EqualsThePlainTwin() => Gen.Select(Gen.Int[1, 40], Gen.Int[1, 6], Gen.Int[-6, 6]).SelectMany((values, sites, power) => Gen.Select(s_dyadic.Array[values].Array[sites], Gen.Const(power))).Sample((updates, power) =>
    {
        PrivacySpec privacy = Run().Privacy!;
        RequireTwin(privacy, updates, SiteClip.First(privacy) * Math.Pow(2, power));
    });

    [Fact] // more than three blocks, the last one shorter; most are clipped
    public void Read_LargeUpdatesInAnyOrder_EqualsThePlainTwin()
    {
        var random = new Random(7);
        float[][] updates = [.. Enumerable.Range(0, 5).Select(site => Enumerable.Range(0, 50_001).Select(_ => site * random.Next(-2048, 2048) / 1024f).ToArray())];
        PrivacySpec privacy = Run().Privacy!;
        long[] sums = RequireTwin(privacy, updates, SiteClip.First(privacy) * 100);
        random.Shuffle(updates);
        Assert.Equal(sums, RequireTwin(privacy, updates, SiteClip.First(privacy) * 100));
    }

    [Theory] // whatever one site sends, the sum with it and the sum without it are at most C and the grid's rounding apart
    [InlineData(1e-3f)]
    [InlineData(1)]
    [InlineData(1e6f)]
    [InlineData(1e18f)]
    public void WriteNext_WithOneUpdateOfAnySize_MovesTheSumByAtMostC(float size)
    {
        RunSpec run = Run();
        double whole = SiteClip.First(run.Privacy!), clip = SiteClip.Of(run.Privacy!, whole);
        float[] far = [.. Enumerable.Range(0, 1000).Select(i => (i % 2 == 0 ? size : -size) / MathF.Sqrt(1000))];
        float[] near = new float[1000], model = new float[1000];
        near[3] = 0.125f;
        // The same noise twice, which nobody but a test may have: what is left is the sites' part.
        float[] with = Next(run, model, [near, far, near], 1), without = Next(run, model, [near, new float[1000], near], 1);
        double moved = 3 * Math.Sqrt(with.Zip(without, (a, b) => Math.Pow((double)a - b, 2)).Sum());
        double rounding = whole * Step(run, 1000) * Math.Sqrt(1000);
        Assert.InRange(moved, (Math.Min(size, clip) * (1 - 1e-5)) - rounding, (Math.Min(size, clip) * (1 + 1e-5)) + rounding);
        Assert.InRange(rounding, 0, clip / 10_000);
    }

    [Fact] // χ² of 20,000 values: six deviations, one false alarm in a hundred million
    public void WriteNext_NoiseOfTheMean_HasTheVarianceThatIsAccounted()
    {
        const int values = 20_000;
        RunSpec run = Run(adaptive: false, sigma: 2.5);
        double deviation = 2.5 * SiteClip.First(run.Privacy!) / 4; // of a mean of four
        Assert.InRange(SiteClip.First(run.Privacy!), 1.5, 1.5001);
        float[] zeros = new float[values], next = Next(run, zeros, [zeros, zeros, zeros, zeros], 2);
        double statistic = next.Sum(value => Math.Pow(value / deviation, 2));
        Assert.InRange(statistic, values - (6 * Math.Sqrt(2.0 * values)), values + (6 * Math.Sqrt(2.0 * values)));
        Assert.InRange(next.Average(value => (double)value) / deviation * Math.Sqrt(values), -6, 6);
        Assert.NotEqual(next, Next(run, zeros, [zeros, zeros, zeros, zeros], 3));
    }

    [Fact] // the vote is a value of the noised vector like any other
    public void WriteNext_VoteOfTheMean_HasTheNoiseToo()
    {
        RunSpec run = Run(sigma: 2.5);
        double whole = SiteClip.First(run.Privacy!), deviation = 2.5 * whole / 2, statistic = 0;
        float[] within = [0.5f], beyond = [100f];
        const int releases = 400;
        for (int release = 0; release < releases; release++)
        {
            using SecureRandom random = SecureRandom.WithKnownKey([.. BitConverter.GetBytes(release), .. new byte[28]]);
            double vote = NoisyMean.WriteNext(new NextModel(Open([0f]), new MemoryStream(), new FedAvg()), [Open(within), Open(beyond)], sizeof(float), run.Privacy!, whole, CentralNoise.Of(run, 1, random), TestContext.Current.CancellationToken);
            statistic += Math.Pow((vote - (SiteClip.Vote(1.5, 0.5) / 2)) / deviation, 2);
        }

        Assert.InRange(statistic, releases - (6 * Math.Sqrt(2.0 * releases)), releases + (6 * Math.Sqrt(2.0 * releases)));
    }

    [Fact]
    public void WriteNext_AnUpdateHoldsNoNumber_IsRefusedBeforeAnythingIsWritten()
    {
        RunSpec run = Run();
        using SecureRandom random = new();
        var next = new MemoryStream();
        Assert.Throws<NonFiniteValueException>(() => NoisyMean.WriteNext(new NextModel(Open([0, 0]), next, new FedAvg()), [Open([1, 1]), Open([1, float.NaN])], 8, run.Privacy!, SiteClip.First(run.Privacy!), CentralNoise.Of(run, 2, random), TestContext.Current.CancellationToken));
        Assert.Equal(0, next.Length);
    }

    [Fact]
    public void WriteNext_LargeModelOfManySites_TakesTheMemoryOfOneBlock()
    {
        const int count = 1_000_000;
        RunSpec run = Run(adaptive: false);
        using SecureRandom random = new();
        GridGaussian noise = CentralNoise.Of(run, count, random);
        noise.AddNoiseSteps(new long[100_000]); // its tables are made once a process
        Stream[] updates = [.. Enumerable.Range(0, 4).Select(_ => Open(new float[count]))];
        using Stream model = Open(new float[count]);
        var next = new MemoryStream(new byte[count * sizeof(float)]);
        long before = GC.GetAllocatedBytesForCurrentThread();
        NoisyMean.WriteNext(new NextModel(model, next, new FedAvg()), updates, count * sizeof(float), run.Privacy!, SiteClip.First(run.Privacy!), noise, TestContext.Current.CancellationToken);
        Assert.InRange(GC.GetAllocatedBytesForCurrentThread() - before, 0, 2_000_000);
    }

    private static long[] RequireTwin(PrivacySpec privacy, float[][] updates, double whole)
    {
        double step = whole / (1 << 20);
        int values = updates[0].Length;
        var sum = new ClippedSum([.. updates.Select(Open)], values * sizeof(float), SiteClip.Of(privacy, whole), step);
        long[] sums = new long[values];
        for (int done = 0; done < values; done += NextModel.BlockLength) sum.Read(sums.AsSpan(done, Math.Min(NextModel.BlockLength, values - done)));
        Assert.Equal(ClippedSum.SumPlain(privacy, updates, whole, step), sums.Append(sum.Votes()).Select(one => new BigInteger(one)));
        return sums;
    }

    private static float[] Next(RunSpec run, float[] model, float[][] updates, byte key)
    {
        var next = new MemoryStream();
        using SecureRandom random = SecureRandom.WithKnownKey([.. Enumerable.Repeat(key, 32)]);
        NoisyMean.WriteNext(new NextModel(Open(model), next, new FedAvg()), [.. updates.Select(Open)], model.Length * sizeof(float), run.Privacy!, SiteClip.First(run.Privacy!), CentralNoise.Of(run, model.Length, random), TestContext.Current.CancellationToken);
        return MemoryMarshal.Cast<byte, float>(next.ToArray()).ToArray();
    }

    private static double Step(RunSpec run, int values)
    {
        using SecureRandom random = new();
        return CentralNoise.Of(run, values, random).Step;
    }

    private static RunSpec Run(bool adaptive = true, double sigma = 0.01) => RunSpec.Parse(
        Tiny.Spec().Replace("privacy: none", FormattableString.Invariant($"privacy: {{ unit: site, noise: central, clip: 1.5, {(adaptive ? "adaptiveClip: { quantile: 0.5 }, " : "")}noiseMultiplier: {sigma}, delta: 1e-5 }}"), StringComparison.Ordinal), "run.yaml");

    private static Stream Open(float[] values) => new MemoryStream(MemoryMarshal.AsBytes<float>(values).ToArray());
}
