using System.Diagnostics;
using System.Globalization;
using Federation.Formats;
using Federation.Formats.Runs;
using Federation.Protocol.Identity;
using Federation.Learning;
using Federation.Samples.Medical.Data;
using Federation.Samples.Medical.Figures;
using Federation.Samples.Medical.Processes;
using Federation.Samples.Medical.Tuning;

namespace Federation.Samples.Medical;

/// <summary>The sample from data to verdict.</summary>
internal static class MedicalSample
{
    public static async Task RunAsync(Arguments arguments, CancellationToken cancellationToken)
    {
        long start = Stopwatch.GetTimestamp();
        var screen = new Screen(arguments.Json);
        TorchDevice.SetThreads(1);
        string output = CreateOutput(arguments.Out);
        HeartData data = await HeartData.ObtainAsync(screen.Say, cancellationToken);
        Experiment experiment = arguments.Experiment;
        int rounds = experiment.Spec(arguments.Seed).Rounds;
        using var root = new PrivateRoot();
        screen.Say("One coordinator and four hospitals start as processes of their own (gRPC over mutual TLS on loopback).");
        screen.Say(experiment.InTheClear
            ? "Without secure aggregation: the coordinator can read each hospital's update."
            : "Updates travel encrypted: any 3 of the 4 hospitals open their sum, and nobody, the coordinator included, sees one hospital's update.");
        screen.Say(Promise(experiment.Spec(arguments.Seed)));
        RunOutcome outcome = await screen.WithProgressAsync(rounds, progress => FederatedRun.RunAsync(experiment, data, arguments.Seed, root.Path, progress, cancellationToken));
        Comparison figures = Comparison.Of(outcome.Results, PooledModel.Scores(experiment, arguments.Seed, root.Path, cancellationToken));
        byte[] plot = AccuracyPlot.Png(figures, data, root.Path);
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        MetricsDocument metrics = MetricsDocument.Of(figures, rounds, seconds, outcome.BytesUploadedPerSite, outcome.Model, data.Source, experiment.Spec(arguments.Seed), outcome);
        string verdict = Verdict(figures, data, experiment);
        outcome.Model.Save(Path.Combine(output, "model.safetensors"));
        await File.WriteAllTextAsync(Path.Combine(output, "metrics.json"), metrics.ToJson() + "\n", cancellationToken);
        await File.WriteAllBytesAsync(Path.Combine(output, "accuracy.png"), plot, cancellationToken);
        await File.WriteAllTextAsync(Path.Combine(output, "report.html"), ReportPage.Html(figures, metrics, data, experiment, arguments.Seed, verdict, plot), cancellationToken);
        screen.Table(figures);
        string memory = outcome.CoordinatorMemory is { } bytes ? string.Create(CultureInfo.InvariantCulture, $"; the coordinator's peak memory was {bytes / 1e6:0} MB") : "";
        screen.Say(string.Create(CultureInfo.InvariantCulture, $"{seconds:0.0} s; each hospital sent {outcome.BytesUploadedPerSite} bytes of updates in {rounds} rounds{memory}."));
        screen.Say($"Written to {arguments.Out}: report.html, metrics.json, accuracy.png, model.safetensors");
        if (metrics.Privacy is { } privacy) screen.Say(PrivacySentence.Of(privacy));
        screen.Say(verdict);
        if (arguments.Json) Console.WriteLine(metrics.ToJson());
    }

    public static async Task TuneAsync(Arguments arguments, CancellationToken cancellationToken)
    {
        var screen = new Screen(json: false);
        TorchDevice.SetThreads(1);
        if (arguments.Experiment.IsPrivate)
        {
            await TunePrivatelyAsync(arguments, screen, cancellationToken);
            return;
        }

        HeartData data = await HeartData.ObtainAsync(screen.Say, cancellationToken);
        if (data.IsSynthetic) throw new InvalidInputException(new Problem("Hyper-parameters are not chosen on made-up patients.", Repair: "Set FED_DATA, or connect to download the UCI files."));
        using var root = new PrivateRoot();
        screen.Say($"{Tuner.Grid.Count} candidates for {arguments.Experiment.WithoutPrivacy.Name}, each by 5-fold cross-validation over training rows, five times:");
        IReadOnlyList<Score> scores = Tuner.Run(
            arguments.Experiment.WithoutPrivacy, data, root.Path, score => screen.Say(string.Create(CultureInfo.InvariantCulture, $"  {score.Candidate.Model,-8}  rate {score.Candidate.LearningRate,-5}  decay {score.Candidate.WeightDecay,-6}  accuracy {score.Accuracy:0.0000}  log-loss {score.LogLoss:0.0000}")), cancellationToken);
        string output = CreateOutput(arguments.Out);
        string path = Path.Combine(output, $"tuning-{arguments.Experiment.WithoutPrivacy.Name}.csv");
        await File.WriteAllTextAsync(path, Tuner.ToCsv(scores), cancellationToken);
        Candidate best = Tuner.Choose(scores).Candidate;
        screen.Say(string.Create(CultureInfo.InvariantCulture, $"Chosen: {best.Model}, learning rate {best.LearningRate}, weight decay {best.WeightDecay}. The table is in {path}."));
    }

    private static async Task TunePrivatelyAsync(Arguments arguments, Screen screen, CancellationToken cancellationToken)
    {
        using var root = new PrivateRoot();
        screen.Say($"{PrivateTuner.Grid.Count} candidates for {arguments.Experiment.Name}, each on made-up patients ten times, so that the choice says nothing of real ones:");
        IReadOnlyList<(PrivateCandidate Candidate, double Accuracy)> scores = PrivateTuner.Run(
            arguments.Experiment, root.Path, (one, accuracy) => screen.Say(string.Create(CultureInfo.InvariantCulture, $"  rounds {one.Rounds,-3}  clip {one.Clip,-4}  rate {one.LearningRate,-4}  decay {one.WeightDecay,-5}  accuracy {accuracy:0.0000}")), cancellationToken);
        string path = Path.Combine(CreateOutput(arguments.Out), $"tuning-{arguments.Experiment.Name}.csv");
        await File.WriteAllTextAsync(path, PrivateTuner.ToCsv(scores), cancellationToken);
        PrivateCandidate best = scores.MaxBy(score => score.Accuracy).Candidate;
        screen.Say(string.Create(CultureInfo.InvariantCulture, $"Chosen: {best.Rounds} rounds, clip {best.Clip}, learning rate {best.LearningRate}, weight decay {best.WeightDecay}. The table is in {path}."));
    }

    private static string Promise(RunSpec spec) => spec.Privacy is { } privacy
        ? string.Create(CultureInfo.InvariantCulture, $"Differential privacy: each patient's gradient is cut to {privacy.Clip}, and {(privacy.Noise == NoiseSource.Shared ? "the hospitals' noise adds up to" : "each hospital adds")} {spec.Sigma} times that in every round.")
        : "Without differential privacy: what the opened sums say of single patients is not bounded.";

    private static string Verdict(Comparison figures, HeartData data, Experiment experiment)
    {
        double federated = figures.FederatedAll.Accuracy, local = figures.LocalAll.Accuracy, pooled = figures.PooledAll.Accuracy;
        string comparison = federated > local ? "better than" : federated < local ? "worse than" : "as good as";
        string published = data.IsSynthetic ? "" : $" FLamby's FedAvg: 70.6 %, its pooled model: 75.0 %{(experiment.FlambyRowsOnly ? "" : " (on 13 features)")}.";
        string people = data.IsSynthetic ? "made-up patients" : "held-out patients";
        return string.Create(CultureInfo.InvariantCulture, $"Verdict: the federated model is right for {federated:P1} of {figures.TestRows.Sum()} {people}, {comparison} the hospitals' own models ({local:P1}); pooling all records gives {pooled:P1}.{published}");
    }

    private static string CreateOutput(string path)
    {
        try
        {
            return Directory.CreateDirectory(path).FullName;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new InvalidInputException(new Problem($"The folder cannot be made: {error.Message}", path, Field: "--out"));
        }
    }

    /// <summary>A folder of mode 0700 that is gone at the end.</summary>
    private sealed class PrivateRoot : IDisposable
    {
        public PrivateRoot()
        {
            Path = System.IO.Path.Combine(System.IO.Path.GetTempPath(), $"federated-medical-{Guid.NewGuid():n}");
            PrivateFile.CreateFolder(Path);
        }

        public string Path { get; }

        public void Dispose() => Directory.Delete(Path, recursive: true);
    }
}
