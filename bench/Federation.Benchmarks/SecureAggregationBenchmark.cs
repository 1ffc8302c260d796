using System.Diagnostics;
using System.Text.Json;
using Federation.Privacy.Homomorphic;
using Federation.Privacy.Mechanisms;
using Federation.Privacy.SecureAggregation;

namespace Federation.Benchmarks;

/// <summary>One update through encoding, encryption, adding and opening: the median of five whole passes after one that warms up.</summary>
internal static class SecureAggregationBenchmark
{
    private const int Passes = 5, Bits = 14;

    public static async Task<int> Run(string[] args)
    {
        int parameters = 25_000_000, cohort = 10, threads = 1;
        bool json = false;
        for (int i = 0; i < args.Length; i++)
        {
            if (args[i] == "--json") json = true;
            else if (i + 1 < args.Length && int.TryParse(args[i + 1], out int value) && value > 0 && args[i] is "--parameters" or "--cohort" or "--threads")
            {
                if (args[i] == "--parameters") parameters = value;
                else if (args[i] == "--cohort") cohort = value;
                else threads = value;
                i++;
            }
            else
            {
                Console.Error.WriteLine($"'{args[i]}' is not an option, or its number is not positive: --parameters N --cohort n --threads T --json.");
                return 2;
            }
        }

        if (cohort > UpdateLayout.LargestCohort || threads > 1024)
        {
            Console.Error.WriteLine($"A cohort has at most {UpdateLayout.LargestCohort} sites, and at most 1024 threads work at once.");
            return 2;
        }

        Random random = new(1);
        float[] update = new float[parameters];
        for (int i = 0; i < update.Length; i++) update[i] = (random.NextSingle() - 0.5f) * 0.0199f;
        // As many bits as the cohort leaves with two fields a coefficient; one field where even that is too little.
        UpdateLayout layout = Layout(cohort);
        UpdateEncoding encoding = new(layout, parameters, clip: 100, weightScale: 0.01f, rotationSeed: null, cut: 0.01, noiseVariance: 0);
        byte[] seed = new byte[32];
        byte[] upload = new byte[(long)encoding.Blocks * PadRing.BlockBytes];
        ulong[] sums = new ulong[(long)encoding.Blocks * PadRing.Degree];
        float[] opened = new float[parameters];
        List<(double Encode, double Encrypt, double Add, double Open)> passes = [];
        int keyBytes = 0;
        for (int pass = 0; pass <= Passes; pass++)
        {
            using SecureRandom secure = new();
            using PadSecret secret = new(secure);
            Stopwatch watch = Stopwatch.StartNew();
            using UpdateEncoder encoder = UpdateEncoder.Prepare(encoding, update, 1, seed, null, threads);
            double prepare = watch.Elapsed.TotalSeconds;
            using PadEncryptor encryptor = new(seed, secret, encoding.Layout.PlaintextBits, encoding.Blocks);
            double encode = 0;
            watch.Restart();
            // The encoding of blocks is timed inside, so that both parts add up to the whole; with several threads it is their share of the wall time.
            await BlockPipeline.RunAsync(encoding.Blocks, PadRing.BlockBytes, threads, () => new Site(encoder, encryptor), (site, first, count, buffer) =>
            {
                for (int i = 0; i < count; i++) site.Encrypt(first + i, buffer.Slice(i * PadRing.BlockBytes, PadRing.BlockBytes));
                lock (update) encode += site.TakeEncodeSeconds() / threads;
            }, (first, bytes, _) =>
            {
                bytes.CopyTo(upload.AsMemory(first * PadRing.BlockBytes));
                return ValueTask.CompletedTask;
            });
            using IBfvEngine engine = BfvEngine.Create(BfvParameters.ForKeys);
            double encrypt = watch.Elapsed.TotalSeconds - encode;
            using (SecretKey key = engine.GenerateSecretKey())
            {
                PublicKey publicKey = engine.GeneratePublicKey(key);
                watch.Restart();
                using Plaintext plaintext = secret.ToPlaintext(BfvParameters.ForKeys, [], cohort);
                keyBytes = SealFormat.Save(engine.Encrypt(plaintext, publicKey), SealCompression.None).Length;
                encrypt += watch.Elapsed.TotalSeconds;
            }

            Array.Clear(sums);
            watch.Restart();
            Parallel.For(0, encoding.Blocks, new ParallelOptions { MaxDegreeOfParallelism = threads }, block => PadSum.Add(upload.AsSpan(block * PadRing.BlockBytes, PadRing.BlockBytes), sums.AsSpan(block * PadRing.Degree, PadRing.Degree)));
            double add = watch.Elapsed.TotalSeconds;

            using Plaintext sumOfSecrets = secret.ToPlaintext(BfvParameters.ForKeys, [], cohort);
            watch.Restart();
            Open(encoding, seed, PadSecret.SumFrom(sumOfSecrets), sums, opened, threads);
            double open = watch.Elapsed.TotalSeconds;
            for (int i = 0; i < parameters; i += 1009)
            {
                if (Math.Abs(opened[i] - update[i]) > 1.01 * encoding.Grid) throw new InvalidOperationException($"Value {i} came back as {opened[i]}, not {update[i]}.");
            }

            if (pass > 0) passes.Add((prepare + encode, encrypt, add, open));
        }

        Print(json, new()
        {
            ["parameters"] = parameters,
            ["cohort"] = cohort,
            ["encodeSeconds"] = Median(passes.Select(p => p.Encode)),
            ["encryptSeconds"] = Median(passes.Select(p => p.Encrypt)),
            ["addSeconds"] = Median(passes.Select(p => p.Add)),
            ["openSeconds"] = Median(passes.Select(p => p.Open)),
            ["bytesPerParameter"] = (upload.Length + keyBytes) / (double)parameters,
            ["peakWorkingSetBytes"] = Process.GetCurrentProcess().PeakWorkingSet64,
            ["threads"] = threads,
            ["vector"] = PadEncryptor.VectorBits switch { 512 => "avx512", 256 => "avx2", _ => "scalar" },
        });
        return 0;
    }

    private static UpdateLayout Layout(int cohort)
    {
        for (int bits = Bits; bits > 7; bits--)
        {
            UpdateLayout layout = UpdateLayout.Choose(bits, cohort);
            if (layout.FieldsPerCoefficient > 1) return layout;
        }

        return UpdateLayout.Choose(Bits, cohort);
    }

    private static void Open(UpdateEncoding encoding, byte[] seed, long[] secretSum, ulong[] sums, float[] opened, int threads)
    {
        UpdateDecoder decoder = new(encoding, 1);
        using PadSum pads = new(seed, secretSum, encoding.Layout.PlaintextBits, 1);
        using (Coordinator first = new(decoder, pads)) first.OpenWeight(sums.AsSpan(decoder.WeightBlock * PadRing.Degree, PadRing.Degree));
        Parallel.For(0, encoding.Blocks, new ParallelOptions { MaxDegreeOfParallelism = threads }, () => new Coordinator(decoder, pads), (block, _, worker) =>
        {
            worker.Open(block, sums.AsSpan(block * PadRing.Degree, PadRing.Degree), opened.AsSpan(Math.Min(opened.Length, block * encoding.Layout.ValuesPerBlock), decoder.ValuesOfBlock(block)));
            return worker;
        }, worker => worker.Dispose());
    }

    private static double Median(IEnumerable<double> values) => values.Order().ElementAt(Passes / 2);

    private static void Print(bool json, Dictionary<string, object> result)
    {
        if (json) Console.WriteLine(JsonSerializer.Serialize(result));
        else
        {
            foreach ((string name, object value) in result) Console.WriteLine($"{name,-20} {(value is double number ? $"{number:F3}" : value)}");
        }
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

    /// <summary>What one thread of the coordinator needs.</summary>
    private sealed class Coordinator(UpdateDecoder decoder, PadSum pads) : IDisposable
    {
        private readonly UpdateWorkspace _workspace = decoder.CreateWorkspace();
        private readonly PadSum.Worker _worker = pads.CreateWorker();
        private readonly ulong[] _messages = new ulong[PadRing.Degree];

        public void OpenWeight(ReadOnlySpan<ulong> sums)
        {
            _worker.Decrypt(decoder.WeightBlock, sums, _messages);
            decoder.OpenWeight(_messages, _workspace);
        }

        public void Open(int block, ReadOnlySpan<ulong> sums, Span<float> values)
        {
            _worker.Decrypt(block, sums, _messages);
            decoder.Decode(block, _messages, values, _workspace);
        }

        public void Dispose()
        {
            _workspace.Dispose();
            _worker.Dispose();
        }
    }
}
