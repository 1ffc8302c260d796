using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Federation.Formats.Runs;
using Federation.Learning.DifferentialPrivacy;
using Federation.Privacy.Accounting;
using Federation.Privacy.Mechanisms;
using TorchSharp;
using static TorchSharp.torch;

namespace Federation.Benchmarks;

/// <summary>
/// DP-SGD on MNIST with the MLP 784-256-128-10, to (ε, δ) and no further. What is released is the mean of the weights over the last steps, each weighted by 0.99 to its age: post-processing, at no cost.
/// --sites N deals the records to N sites that share one noise, as in a run.
/// --validate trains on the first 50,000 training rows and shows the accuracy on the other 10,000: for choosing a configuration, as the defaults were. Without it, all 60,000 and the test rows, once.
/// </summary>
internal static class MnistBenchmark
{
    public static int Run(string[] args)
    {
        Dictionary<string, double> settings = new()
        {
            ["--epsilon"] = 3, ["--delta"] = 1e-5, ["--batch"] = 8192, ["--epochs"] = 100, ["--clip"] = 0.1, ["--rate"] = 10, ["--momentum"] = 0.9, ["--average"] = 0.99, ["--seed"] = 1, ["--threads"] = 1, ["--tanh"] = 1, ["--sites"] = 1,
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
        Tensor images = MnistData.Images(folder, "train"), labels = MnistData.Labels(folder, "train");
        int trained = validate ? 50_000 : 60_000;
        (Tensor testImages, Tensor testLabels) = validate ? (images.slice(0, 50_000, 60_000, 1), labels.slice(0, 50_000, 60_000, 1)) : (MnistData.Images(folder, "t10k"), MnistData.Labels(folder, "t10k"));

        // The data set's size and the rate are public here.
        double rate = settings["--batch"] / trained;
        long steps = (long)Math.Round(settings["--epochs"] / rate);
        using nn.Module<Tensor, Tensor> model = settings["--tanh"] == 1 ? nn.Sequential(nn.Linear(784, 256), nn.Tanh(), nn.Linear(256, 128), nn.Tanh(), nn.Linear(128, 10)) : BenchmarkModels.Mlp();
        using var optimizer = optim.SGD(model.parameters(), settings["--rate"], momentum: settings["--momentum"]);
        using MnistSites? several = settings["--sites"] > 1 ? new((int)settings["--sites"], model, optimizer, images.slice(0, 0, trained, 1), labels, settings["--batch"], settings["--clip"], settings["--epsilon"], settings["--delta"], steps) : null;
        using SecureRandom generator = new();
        // The grid of the noise costs a little, which the search does not know.
        double sigma = several?.Spec.Sigma ?? 1.0005 * Calibration.NoiseMultiplier(new PldAccountant(), new(settings["--epsilon"], settings["--delta"], NeighboringRelation.AddOrRemoveOne), multiplier => [new RepeatedEvent(new GaussianEvent(multiplier, new SamplingRate(rate)), steps)]).Value;
        DpSgdOptions options = new()
        {
            Clipping = ClippingKind.Flat, ClippingNorm = settings["--clip"], NoiseMultiplier = sigma, SamplingRate = rate, ExpectedBatchSize = settings["--batch"], PhysicalBatchSize = 1024,
        };
        using DpTrainer? one = several is null ? new(model, optimizer, PrivacyUnits.Records(trained), options.ToParameters(), generator) : null;
        Tensor[] mean = [.. model.parameters().Select(parameter => parameter.detach().clone())];
        for (long step = 0; step < steps; step++)
        {
            // Down to nothing over the run, after Loshchilov and Hutter 2017.
            optimizer.ParamGroups.First().LearningRate = settings["--rate"] * 0.5 * (1 + Math.Cos(Math.PI * step / steps));
            several?.Step();
            one?.Step(MnistData.Losses(model, images, labels));
            using IDisposable scope = NewDisposeScope(), off = no_grad();
            double share = Math.Min(settings["--average"], step / (step + 10.0));
            foreach ((Tensor kept, Tensor now) in mean.Zip(model.parameters())) kept.mul_(share).add_(now, 1 - share);
        }

        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds, last = Accuracy(model, testImages, testLabels);
        using (IDisposable off = no_grad())
        {
            foreach ((Tensor kept, Tensor now) in mean.Zip(model.parameters())) now.copy_(kept);
        }

        double accuracy = Accuracy(model, testImages, testLabels), epsilon = one?.Epsilon(settings["--delta"]).Epsilon ?? PrivacyCost.Epsilon([new RepeatedEvent(several!.Event, steps)], settings["--delta"]);
        if (json) Console.WriteLine(JsonSerializer.Serialize(new { epsilon, delta = settings["--delta"], noiseMultiplier = sigma, sites = settings["--sites"], steps, accuracy, accuracyOfLastWeights = last, seconds, rows = validate ? "held-out training rows" : "test", machine = Measured.Machine() }));
        else Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"ε = {epsilon:F4} at δ = {settings["--delta"]:G}, σ = {sigma:F4}, {steps} steps: accuracy {accuracy:P2} on {(validate ? "held-out training" : "test")} rows (last weights {last:P2}), {seconds:F0} s"));
        return 0;
    }

    private static double Accuracy(nn.Module<Tensor, Tensor> model, Tensor images, Tensor labels)
    {
        using IDisposable scope = NewDisposeScope(), off = no_grad();
        return (model.call(images).argmax(1) == labels).to(ScalarType.Float32).mean().item<float>();
    }
}
