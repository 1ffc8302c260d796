using System.Globalization;
using System.Text;
using Federation.Formats;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Samples.Mnist.Data;

namespace Federation.Samples.Mnist.Tuning;

/// <summary>The verb <c>tune</c>: candidates for the recipe <c>tuned</c>, by training images that none of them trains on. Test images are not looked at.</summary>
internal static class MnistTuning
{
    private const int HeldOut = 2000;

    private static readonly LearningRateSchedule s_cosine = new(LearningRateDecay.Cosine, IsOverSteps: true);

    /// <summary>The rule: the least log-loss on the images held out. README.md says what it was before.</summary>
    private static readonly IReadOnlyList<(string Name, Func<LocalSpec, LocalSpec> Change)> s_candidates =
    [
        ("plain", local => local),
        ("cosine", local => local with { RateSchedule = s_cosine }),
        ("cosine; average 0.999", local => local with { RateSchedule = s_cosine, WeightAverage = 0.999 }),
        ("adamw 0.1; cosine", local => local with { Optimizer = new(OptimizerKind.AdamW, 0.001, WeightDecay: 0.1), RateSchedule = s_cosine }),
        ("20 epochs; cosine", local => local with { RateSchedule = s_cosine, Epochs = 20 }),
    ];

    public static async Task RunAsync(Arguments arguments, CancellationToken cancellationToken)
    {
        var screen = new Screen(json: false);
        TorchDevice.SetThreads(1);
        MnistFiles data = await MnistFiles.ObtainAsync(screen.Say, cancellationToken);
        if (data.IsSynthetic) throw new InvalidInputException(new Problem("Recipes are not chosen on made-up digits.", Repair: "Set FED_DATA, or connect to download the MNIST files."));
        int trained = data.Train.Count - HeldOut;
        Digits train = data.Train.Slice(0, trained), held = data.Train.Slice(trained, data.Train.Count);
        screen.Say($"{s_candidates.Count} recipes, each trained on the first {trained} training images with seed 0, measured on the last {HeldOut}:");
        List<(string Name, double Accuracy, double LogLoss)> scores = [];
        var csv = new StringBuilder("recipe,held_out_accuracy,held_out_log_loss\n");
        foreach ((string name, Func<LocalSpec, LocalSpec> change) in s_candidates)
        {
            RunSpec plain = Arguments.Spec("plain", seed: 0);
            Trained result = CentralTraining.Run(plain with { Local = change(plain.Local) }, train, held, (_, _) => { }, cancellationToken);
            scores.Add((name, result.Accuracy, result.LogLoss));
            csv.Append(CultureInfo.InvariantCulture, $"{name},{result.Accuracy:0.0000},{result.LogLoss:0.0000}\n");
            screen.Say(string.Create(CultureInfo.InvariantCulture, $"  {name,-24} accuracy {result.Accuracy:0.0000}  log-loss {result.LogLoss:0.0000}"));
        }

        string best = scores.MinBy(score => score.LogLoss).Name, path = Path.Combine(OutputFolder.Create(arguments.Options.Out), "tuning.csv");
        await File.WriteAllTextAsync(path, csv.ToString(), cancellationToken);
        screen.Say($"Chosen: {best}. The table is in {path}.");
    }
}
