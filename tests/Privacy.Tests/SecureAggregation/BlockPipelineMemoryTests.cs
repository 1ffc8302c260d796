using Federation.Privacy.Mechanisms;
using Federation.Privacy.SecureAggregation;

namespace Federation.Privacy.Tests.SecureAggregation;

/// <summary>Alone in the process, because what is allocated is counted for all of it.</summary>
[CollectionDefinition(nameof(BlockPipelineMemoryTests), DisableParallelization = true)]
[Collection(nameof(BlockPipelineMemoryTests))]
public sealed class BlockPipelineMemoryTests
{
    private const long Most = 64L << 20;

    [Theory] // 16 MB, 64 MB and 256 MB of update: all that is allocated from beginning to end, not only what lives at once
    [InlineData(4_000_000, 1)]
    [InlineData(16_000_000, 2)]
    [InlineData(64_000_000, 2)]
    [InlineData(16_000_000, 32)]
    public async Task EncodeAndEncrypt_AnyLength_AllocatesAtMost64MegabytesBesideTheUpdate(int values, int threads)
    {
        float[] update = new float[values];
        for (int i = 0; i < values; i++) update[i] = ((i % 2001) - 1000) * 1e-6f;
        UpdateEncoding encoding = new(UpdateLayout.Choose(14, 10), values, clip: 100, weightScale: 0.01f, rotationSeed: new byte[32], cut: null, noiseVariance: 0);
        byte[] seed = new byte[32];
        long before = GC.GetTotalAllocatedBytes(precise: true), sent = 0;
        using (SecureRandom random = new())
        using (PadSecret secret = new(random))
        using (UpdateEncoder encoder = UpdateEncoder.Prepare(encoding, update, 1, seed, threads: threads))
        using (PadEncryptor encryptor = new(seed, secret, encoding.Layout.PlaintextBits, encoding.Blocks))
        {
            await BlockPipeline.RunAsync(encoding.Blocks, PadRing.BlockBytes, threads, () => new Worker(encoder, encryptor), (worker, first, count, buffer) => worker.Encrypt(first, count, buffer), (_, bytes, _) =>
            {
                sent += bytes.Length;
                return ValueTask.CompletedTask;
            }, TestContext.Current.CancellationToken);
        }

        long allocated = GC.GetTotalAllocatedBytes(precise: true) - before;
        Assert.Equal((long)encoding.Blocks * PadRing.BlockBytes, sent);
        Assert.InRange(allocated, 0, Most);
    }

    private sealed class Worker(UpdateEncoder encoder, PadEncryptor encryptor) : IDisposable
    {
        private readonly UpdateWorkspace _workspace = encoder.CreateWorkspace();
        private readonly PadEncryptor.Worker _worker = encryptor.CreateWorker();
        private readonly ulong[] _coefficients = new ulong[PadRing.Degree];

        public void Encrypt(int first, int count, Span<byte> buffer)
        {
            for (int i = 0; i < count; i++)
            {
                encoder.Encode(first + i, _coefficients, _workspace);
                _worker.Encrypt(first + i, _coefficients, buffer.Slice(i * PadRing.BlockBytes, PadRing.BlockBytes));
            }
        }

        public void Dispose()
        {
            _workspace.Dispose();
            _worker.Dispose();
        }
    }
}
