using System.Security.Cryptography;
using Federation.Privacy.Homomorphic;
using Federation.Privacy.Mechanisms;
using Federation.Privacy.SecureAggregation;

namespace Federation.Privacy.Tests.SecureAggregation;

[Collection(nameof(BlockPipelineMemoryTests))]
public sealed class ContributionSumMemoryTests
{
    [Theory] // all that is allocated from beginning to end, not only what lives at once
    [InlineData(4_000_000, 1)]
    [InlineData(16_000_000, 2)]
    [InlineData(16_000_000, 64)]
    public async Task WriteMean_AnyLengthAndThreads_AllocatesAtMost64Megabytes(int values, int threads)
    {
        BfvParameters parameters = BfvParameters.ForKeys;
        using SecureRandom random = new();
        using IBfvEngine engine = BfvEngine.Create(parameters);
        using SecretKey key = engine.GenerateSecretKey();
        using ECDsa identity = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        EpochCertificate certificate = new(new EpochDescriptor(new string('0', 64), 1, 0, 2, ["a", "b", "c"]), new byte[32], [1, 2, 3], engine.GeneratePublicKey(key), []);
        UpdateEncoding encoding = new(UpdateLayout.Choose(14, 3), values, clip: 100, weightScale: 0.01f, rotationSeed: null, cut: 0.02, noiseVariance: 0);
        SiteRound round = new(new("heart", 1, 1, Opening.Update), new(new byte[32], new byte[32], ["a", "b", "c"], 3, 1, WeightRule.One, new byte[32], encoding), certificate);
        float[] update = new float[values];
        for (int i = 0; i < values; i++) update[i] = ((i % 2001) - 1000) * 1e-5f;
        using MemoryStream file = new();
        await ContributionFile.WriteUpdateAsync(file, round, "a", identity, update, 1, new byte[32], random, 2, TestContext.Current.CancellationToken);
        ContributionSum sum = new(round, [file]);
        using Plaintext opened = engine.Decrypt(sum.Keys(), key);

        int written = 0;
        float furthest = 0;
        long before = GC.GetTotalAllocatedBytes(precise: true);
        sum.WriteMean(opened, part =>
        {
            for (int i = 0; i < part.Length; i++) furthest = Math.Max(furthest, Math.Abs(part[i] - update[written + i]));
            written += part.Length;
        }, threads: threads);
        Assert.InRange(GC.GetTotalAllocatedBytes(precise: true) - before, 0, 64L << 20);
        Assert.Equal(values, written);
        Assert.InRange(furthest, 0, 2.01 * encoding.Grid); // its own rounding and the weight's
    }
}
