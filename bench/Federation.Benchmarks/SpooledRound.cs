using System.Diagnostics;
using Federation.Privacy.Homomorphic;
using Federation.Privacy.Mechanisms;
using Federation.Privacy.SecureAggregation;

namespace Federation.Benchmarks;

/// <summary>One round's contributions as a coordinator spools them, but in memory, under a key whose secret is at hand.</summary>
internal sealed class SpooledRound : IDisposable
{
    private readonly UpdateEncoding _encoding;
    private readonly SiteRound _round;
    private readonly IBfvEngine _engine;
    private readonly SecretKey _key;
    private readonly List<MemoryStream> _files = [];
    private readonly List<Plaintext?> _secrets = [];

    public SpooledRound(UpdateEncoding encoding, int cohort)
    {
        _encoding = encoding;
        BfvParameters parameters = BfvParameters.ForKeys;
        _engine = BfvEngine.Create(parameters);
        _key = _engine.GenerateSecretKey();
        EpochCertificate certificate = new(new EpochDescriptor(new string('0', 64), 1, 0, 2, ["a", "b", "c"], parameters), new byte[32], [1, 2, 3], _engine.GeneratePublicKey(_key), []);
        _round = new(new("bench", 1, 1, Opening.Update), new(new byte[32], new byte[32], [.. Enumerable.Range(0, cohort).Select(i => $"site-{i:D6}")], CommitteePolicy.FewestContributors, 0, WeightRule.One, new byte[32], encoding), certificate);
    }

    /// <summary>Of one contribution, without its header.</summary>
    public long UploadBytes => ContributionFile.BodyBytes(_round);

    /// <summary>Encodes and encrypts an update into a site's file.</summary>
    /// <returns>Seconds.</returns>
    public async Task<(double Encode, double Encrypt)> ContributeAsync(int site, float[] update, int threads)
    {
        while (_files.Count <= site)
        {
            _files.Add(new(new byte[UploadBytes]));
            _secrets.Add(null);
        }

        MemoryStream file = _files[site];
        file.Position = 0;
        using SecureRandom secure = new();
        using PadSecret secret = new(secure);
        Stopwatch watch = Stopwatch.StartNew();
        using UpdateEncoder encoder = UpdateEncoder.Prepare(_encoding, update, 1, new byte[32], null, threads);
        double prepare = watch.Elapsed.TotalSeconds, encode = 0;
        watch.Restart();
        Plaintext plaintext = secret.ToPlaintext(BfvParameters.ForKeys, [], _round.Descriptor.Cohort.Count);
        _secrets[site]?.Dispose();
        _secrets[site] = plaintext;
        Ciphertext key = _engine.Encrypt(plaintext, _round.Certificate.Key);
        file.Write(PackedElement.Pack(key.Ring, key.First));
        file.Write(PackedElement.Pack(key.Ring, key.Second));
        using PadEncryptor encryptor = new(_round.PadSeed, secret, _encoding.Layout.PlaintextBits, _encoding.Blocks);
        // The encoding of blocks is timed inside, so that both parts add up to the whole; with several threads it is their share of the wall time.
        await BlockPipeline.RunAsync(_encoding.Blocks, PadRing.BlockBytes, threads, () => new Site(encoder, encryptor), (worker, first, count, buffer) =>
        {
            for (int i = 0; i < count; i++) worker.Encrypt(first + i, buffer.Slice(i * PadRing.BlockBytes, PadRing.BlockBytes));
            lock (update) encode += worker.TakeEncodeSeconds() / threads;
        }, (_, bytes, token) => file.WriteAsync(bytes, token));
        return (prepare + encode, watch.Elapsed.TotalSeconds - encode);
    }

    /// <summary>Adds the first contributions, decrypts the sum and decodes it.</summary>
    /// <param name="mean">Overwritten.</param>
    /// <returns>Seconds.</returns>
    public double Open(int contributions, float[] mean, int threads)
    {
        ulong t = BfvParameters.ForKeys.PlainModulus.Value;
        ulong[] sum = new ulong[BfvParameters.ForKeys.Degree];
        foreach (Plaintext? secret in _secrets.Take(contributions))
        {
            for (int i = 0; i < sum.Length; i++) sum[i] = (sum[i] + secret!.Coefficients[i]) % t;
        }

        using Plaintext opened = new(BfvParameters.ForKeys, sum);
        int done = 0;
        long start = Stopwatch.GetTimestamp();
        new ContributionSum(_round, [.. _files.Take(contributions)]).WriteMean(opened, part =>
        {
            part.CopyTo(mean.AsSpan(done));
            done += part.Length;
        }, threads: threads);
        return Stopwatch.GetElapsedTime(start).TotalSeconds;
    }

    public void Dispose()
    {
        foreach (Plaintext? secret in _secrets) secret?.Dispose();
        _key.Dispose();
        _engine.Dispose();
    }

    /// <summary>What one thread of a site needs.</summary>
    private sealed class Site(UpdateEncoder encoder, PadEncryptor encryptor) : IDisposable
    {
        private readonly UpdateWorkspace _workspace = encoder.CreateWorkspace();
        private readonly PadEncryptor.Worker _worker = encryptor.CreateWorker();
        private readonly ulong[] _coefficients = new ulong[PadRing.Degree];
        private long _encode;

        public void Encrypt(int block, Span<byte> packed)
        {
            long start = Stopwatch.GetTimestamp();
            encoder.Encode(block, _coefficients, _workspace);
            _encode += Stopwatch.GetTimestamp() - start;
            _worker.Encrypt(block, _coefficients, packed);
        }

        public double TakeEncodeSeconds()
        {
            double seconds = (double)_encode / Stopwatch.Frequency;
            _encode = 0;
            return seconds;
        }

        public void Dispose()
        {
            _workspace.Dispose();
            _worker.Dispose();
        }
    }
}
