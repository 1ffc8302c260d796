using System.Diagnostics;
using System.Globalization;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Samples.Mnist.Data;
using Federation.Samples.Mnist.Figures;

namespace Federation.Samples.Mnist;

/// <summary>The sample from data to verdict.</summary>
internal static class MnistSample
{
    public const string Name = "mnist";

    /// <summary>Elsewhere than on a terminal too: long work is to show at most 20 lines.</summary>
    private const int MostLines = 20;

    public static async Task RunAsync(Arguments arguments, CancellationToken cancellationToken)
    {
        long start = Stopwatch.GetTimestamp();
        var screen = new Screen(arguments.Options.Json);
        TorchDevice.SetThreads(1); // so the same seed gives the same bytes
        string output = OutputFolder.Create(arguments.Options.Out);
        MnistFiles data = await MnistFiles.ObtainAsync(screen.Say, cancellationToken);
        RunSpec spec = arguments.Spec();
        int every = (spec.Local.Epochs + MostLines - 1) / MostLines;
        screen.Say($"Recipe '{arguments.Recipe}', seed {spec.Seed}: {data.Train.Count} training images in one place, {spec.Local.Epochs} epochs. No federation, no differential privacy.");
        screen.Say("  epoch  training loss  seconds");
        Trained trained = CentralTraining.Run(spec, data.Train, data.Test, Show, cancellationToken);
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        using var root = new PrivateRoot(Name);
        byte[] plot = LossPlot.Png(trained.Losses, data.IsSynthetic, root.Path);
        MetricsDocument metrics = MetricsDocument.Of(arguments.Recipe, spec, data, trained, seconds);
        string verdict = string.Create(CultureInfo.InvariantCulture, $"Verdict: {trained.Accuracy:P2} of the {data.Test.Count} {(data.IsSynthetic ? "made-up" : "MNIST")} test images are named right (log-loss {trained.LogLoss:0.0000}).");
        trained.Model.Save(Path.Combine(output, "model.safetensors"));
        await File.WriteAllTextAsync(Path.Combine(output, "metrics.json"), metrics.ToJson() + "\n", cancellationToken);
        await File.WriteAllBytesAsync(Path.Combine(output, "loss.png"), plot, cancellationToken);
        await File.WriteAllTextAsync(Path.Combine(output, "report.html"), ReportPage.Html(metrics, spec, verdict, plot), cancellationToken);
        screen.Say($"Written to {arguments.Options.Out}: report.html, metrics.json, loss.png, model.safetensors");
        screen.Say(verdict);
        if (arguments.Options.Json) Console.WriteLine(metrics.ToJson());

        void Show(int epoch, double loss)
        {
            if (epoch % every == 0 || epoch == spec.Local.Epochs) screen.Say(string.Create(CultureInfo.InvariantCulture, $"  {epoch,5}  {loss,13:0.00000}  {Stopwatch.GetElapsedTime(start).TotalSeconds,7:0.0}"));
        }
    }
}
