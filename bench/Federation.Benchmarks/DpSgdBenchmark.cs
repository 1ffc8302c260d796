using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Federation.Learning.DifferentialPrivacy;
using Federation.Privacy.Mechanisms;
using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Benchmarks;

/// <summary>
/// One DP-SGD step beside one plain step of the same model, optimizer, batch size and threads, in one process by turns, so that other work on the machine meets both. Medians.
/// The plain step: index the batch, zero_grad, forward, mean loss, backward, optimizer. The DP step: <see cref="DpTrainer.Step"/> at q = 1, so that its batch has the same size; clipping, noise and sampling included.
/// </summary>
internal static class DpSgdBenchmark
{
    public static int Run(string[] args)
    {
        (string Model, int Batch, string Optimizer, int Threads, int Physical, int Steps, bool Json, string? Only) options = ("mlp", 256, "sgd", 1, 0, 0, false, null);
        for (int i = 0; i < args.Length; i++)
        {
            string value = i + 1 < args.Length ? args[i + 1] : "";
            switch (args[i])
            {
                case "--json": options.Json = true; continue;
                case "--model" when value is "mlp" or "cnn" or "resnet18": options.Model = value; break;
                case "--optimizer" when value is "sgd" or "adam" or "adamw": options.Optimizer = value; break;
                case "--only" when value is "plain" or "dp": options.Only = value; break;
                case "--batch" when Positive(value, out options.Batch): break;
                case "--threads" when Positive(value, out options.Threads): break;
                case "--physical" when Positive(value, out options.Physical): break;
                case "--steps" when Positive(value, out options.Steps): break;
                default:
                    Console.Error.WriteLine($"'{args[i]} {value}' is not an option: --model mlp|cnn|resnet18, --batch N, --optimizer sgd|adam|adamw, --threads T, --physical N, --steps N, --only plain|dp, --json.");
                    return 2;
            }

            i++;
        }

        set_num_threads(options.Threads);
        int steps = options.Steps > 0 ? options.Steps : options.Model == "mlp" ? 200 : options.Model == "cnn" ? 40 : 5;
        using Case plain = new(options.Model, options.Batch, options.Optimizer), dp = new(options.Model, options.Batch, options.Optimizer);
        using SecureRandom random = new();
        DpSgdParameters parameters = new DpSgdOptions
        {
            ClippingNorm = 1, Clipping = ClippingKind.Flat, NoiseMultiplier = 1, SamplingRate = 1, ExpectedBatchSize = options.Batch,
            PhysicalBatchSize = options.Physical > 0 ? options.Physical : new DpSgdOptions().PhysicalBatchSize,
        }.ToParameters();
        using DpTrainer trainer = new(dp.Model, dp.Optimizer, PrivacyUnits.Records(options.Batch), parameters, random);
        List<double> plainTimes = [], dpTimes = [];
        for (int i = -Math.Max(1, steps / 10); i < steps; i++)
        {
            double plainTime = options.Only == "dp" ? 0 : Time(plain.PlainStep), dpTime = options.Only == "plain" ? 0 : Time(() => _ = trainer.Step(dp.Losses));
            if (i < 0) continue;
            plainTimes.Add(plainTime);
            dpTimes.Add(dpTime);
        }

        double plainStep = Median(plainTimes), dpStep = Median(dpTimes), ratio = Median([.. dpTimes.Zip(plainTimes, (one, other) => one / other)]);
        long peak = Process.GetCurrentProcess().PeakWorkingSet64 / (1 << 20);
        if (options.Json)
        {
            Console.WriteLine(JsonSerializer.Serialize(new
            {
                model = options.Model, batch = options.Batch, optimizer = options.Optimizer, threads = options.Threads, physicalBatch = parameters.PhysicalBatchSize, steps,
                plainStepMs = Math.Round(plainStep, 3), dpStepMs = Math.Round(dpStep, 3), ratio = double.IsFinite(ratio) ? Math.Round(ratio, 3) : 0,
                plainLeastMs = Math.Round(plainTimes.Min(), 3), dpLeastMs = Math.Round(dpTimes.Min(), 3), peakMegabytes = peak, machine = Measured.Machine(),
            }));
            return 0;
        }

        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Measured.Machine()}, {options.Threads} threads; {options.Model}, batch {options.Batch}, {options.Optimizer}, {steps} steps each by turns"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"plain {plainStep:F2} ms (least {plainTimes.Min():F2}), DP {dpStep:F2} ms (least {dpTimes.Min():F2}), ratio of the medians {dpStep / plainStep:F2}, median of the ratios {ratio:F2}; {peak} MB at most"));
        return 0;
    }

    private static bool Positive(string text, out int value) => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out value) && value > 0;

    private static double Median(List<double> values) => values.Order().ElementAt(values.Count / 2);

    private static double Time(Action work)
    {
        long start = Stopwatch.GetTimestamp();
        work();
        return Stopwatch.GetElapsedTime(start).TotalMilliseconds;
    }

    private sealed class Case : IDisposable
    {
        private readonly Tensor _inputs, _targets, _all;

        public Case(string model, int batch, string optimizer)
        {
            (Model, long[] shape) = model switch
            {
                "mlp" => (BenchmarkModels.Mlp(), new long[] { batch, 784 }),
                "cnn" => (BenchmarkModels.Cnn(), [batch, 1, 28, 28]),
                _ => (BenchmarkModels.ResNet18(), [batch, 3, 32, 32]),
            };
            Optimizer = optimizer switch
            {
                "sgd" => optim.SGD(Model.parameters(), 1e-3),
                "adam" => optim.Adam(Model.parameters(), 1e-3),
                _ => optim.AdamW(Model.parameters(), 1e-3),
            };
            (_inputs, _targets, _all) = (rand(shape), randint(0, 10, [batch]), arange(batch, dtype: ScalarType.Int64));
            Model.train();
        }

        public nn.Module<Tensor, Tensor> Model { get; }

        public optim.Optimizer Optimizer { get; }

        public Tensor Losses(Tensor indices) =>
            nn.functional.cross_entropy(Model.call(_inputs.index_select(0, indices)), _targets.index_select(0, indices), reduction: nn.Reduction.None);

        public void PlainStep()
        {
            using IDisposable scope = NewDisposeScope();
            Optimizer.zero_grad();
            Tensor loss = Losses(_all).mean();
            loss.backward();
            Optimizer.step();
        }

        public void Dispose()
        {
            Optimizer.Dispose();
            Model.Dispose();
            _inputs.Dispose();
            _targets.Dispose();
            _all.Dispose();
        }
    }
}
