using System.Buffers.Binary;
using System.Diagnostics;
using System.Globalization;
using System.IO.Compression;
using System.Text.Json;
using Federation.Learning.DifferentialPrivacy;
using Federation.Privacy.Accounting;
using Federation.Privacy.Mechanisms;
using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Benchmarks;

/// <summary>
/// DP-SGD on MNIST with the MLP 784-256-128-10, to (ε, δ) and no further. What is released is the mean of the weights over the last steps, each weighted by 0.99 to its age: post-processing, at no cost.
/// --validate trains on the first 50,000 training rows and shows the accuracy on the other 10,000: for choosing a configuration. Without it, all 60,000 and the test rows, once.
/// </summary>
internal static class MnistBenchmark
{
    public static int Run(string[] args)
    {
        Dictionary<string, double> settings = new()
        {
            ["--epsilon"] = 3, ["--delta"] = 1e-5, ["--batch"] = 2048, ["--epochs"] = 40, ["--clip"] = 1, ["--rate"] = 1, ["--momentum"] = 0.9, ["--average"] = 0.99, ["--seed"] = 1, ["--threads"] = 1, ["--tanh"] = 0,
        };
        bool validate = false, json = false;
        for (int i = 0; i < args.Length; i++)
        {
            if (args[i] == "--validate") validate = true;
            else if (args[i] == "--json") json = true;
            else if (settings.ContainsKey(args[i]) && i + 1 < args.Length && double.TryParse(args[i + 1], NumberStyles.Float, CultureInfo.InvariantCulture, out double value)) settings[args[i++]] = value;
            else
            {
                Console.Error.WriteLine($"'{args[i]}' is not an option, or has no number: {string.Join(", ", settings.Keys)}, --validate, --json.");
                return 2;
            }
        }

        string folder = Path.Combine(Environment.GetEnvironmentVariable("FED_DATA") ?? "shared/data", "mnist");
        set_num_threads((int)settings["--threads"]);
        random.manual_seed((long)settings["--seed"]);
        long start = Stopwatch.GetTimestamp();
        Tensor images = Images(folder, "train"), labels = Labels(folder, "train");
        int trained = validate ? 50_000 : 60_000;
        (Tensor testImages, Tensor testLabels) = validate ? (images.slice(0, 50_000, 60_000, 1), labels.slice(0, 50_000, 60_000, 1)) : (Images(folder, "t10k"), Labels(folder, "t10k"));

        // The data set's size and the rate are public here.
        double rate = settings["--batch"] / trained;
        long steps = (long)Math.Round(settings["--epochs"] / rate);
        PldAccountant accountant = new();
        // The grid of the noise costs a little, which the search does not know.
        NoiseMultiplier noise = new(1.0005 * Calibration.NoiseMultiplier(accountant, new(settings["--epsilon"], settings["--delta"], NeighboringRelation.AddOrRemoveOne), sigma => [new RepeatedEvent(new GaussianEvent(sigma, new SamplingRate(rate)), steps)]).Value);
        using nn.Module<Tensor, Tensor> model = settings["--tanh"] == 1 ? nn.Sequential(nn.Linear(784, 256), nn.Tanh(), nn.Linear(256, 128), nn.Tanh(), nn.Linear(128, 10)) : BenchmarkModels.Mlp();
        using var optimizer = optim.SGD(model.parameters(), settings["--rate"], momentum: settings["--momentum"]);
        using SecureRandom generator = new();
        DpSgdOptions options = new()
        {
            Clipping = ClippingKind.Flat, ClippingNorm = settings["--clip"], NoiseMultiplier = noise.Value, SamplingRate = rate, ExpectedBatchSize = settings["--batch"], PhysicalBatchSize = 1024,
        };
        using DpTrainer trainer = new(model, optimizer, PrivacyUnits.Records(trained), options.ToParameters(), generator);
        Tensor[] mean = [.. model.parameters().Select(parameter => parameter.detach().clone())];
        for (long step = 0; step < steps; step++)
        {
            // Down to nothing over the run, after Loshchilov and Hutter 2017.
            optimizer.ParamGroups.First().LearningRate = settings["--rate"] * 0.5 * (1 + Math.Cos(Math.PI * step / steps));
            trainer.Step(indices => nn.functional.cross_entropy(model.call(images.index_select(0, indices)), labels.index_select(0, indices), reduction: nn.Reduction.None));
            using IDisposable scope = NewDisposeScope(), off = no_grad();
            double kept = Math.Min(settings["--average"], step / (step + 10.0));
            foreach ((Tensor one, Tensor now) in mean.Zip(model.parameters())) one.mul_(kept).add_(now, 1 - kept);
        }

        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds, last = Accuracy(model, testImages, testLabels);
        using (IDisposable off = no_grad())
        {
            foreach ((Tensor one, Tensor now) in mean.Zip(model.parameters())) now.copy_(one);
        }

        double accuracy = Accuracy(model, testImages, testLabels), epsilon = trainer.Epsilon(settings["--delta"]).Epsilon;
        if (json) Console.WriteLine(JsonSerializer.Serialize(new { epsilon, delta = settings["--delta"], noiseMultiplier = noise.Value, steps, accuracy, accuracyOfLastWeights = last, seconds, rows = validate ? "held-out training rows" : "test", machine = Measured.Machine() }));
        else Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"ε = {epsilon:F4} at δ = {settings["--delta"]:G}, σ = {noise.Value:F4}, {steps} steps: accuracy {accuracy:P2} on {(validate ? "held-out training" : "test")} rows (last weights {last:P2}), {seconds:F0} s"));
        return 0;
    }

    private static double Accuracy(nn.Module<Tensor, Tensor> model, Tensor images, Tensor labels)
    {
        using IDisposable scope = NewDisposeScope(), off = no_grad();
        return (model.call(images).argmax(1) == labels).to(ScalarType.Float32).mean().item<float>();
    }

    /// <summary>Each image to mean 0 and variance 1: of the record alone, so that no other shows in it.</summary>
    private static Tensor Images(string folder, string kind)
    {
        byte[] bytes = Content(Path.Combine(folder, $"{kind}-images-idx3-ubyte.gz"));
        int count = BinaryPrimitives.ReadInt32BigEndian(bytes.AsSpan(4));
        Tensor brightness = tensor(bytes.AsSpan(16).ToArray(), [count, 784]).to(ScalarType.Float32);
        brightness -= brightness.mean(new long[] { 1 }, keepdim: true);
        return brightness / brightness.square().mean(new long[] { 1 }, keepdim: true).sqrt();
    }

    private static Tensor Labels(string folder, string kind) => tensor(Content(Path.Combine(folder, $"{kind}-labels-idx1-ubyte.gz")).AsSpan(8).ToArray()).to(ScalarType.Int64);

    private static byte[] Content(string path)
    {
        using GZipStream stream = new(File.OpenRead(path), CompressionMode.Decompress);
        using MemoryStream bytes = new();
        stream.CopyTo(bytes);
        return bytes.ToArray();
    }
}
