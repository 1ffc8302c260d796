using System.Diagnostics;
using System.Globalization;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Samples.Data;
using Federation.Samples.Figures;
using Federation.Samples.Processes;

namespace Federation.Samples;

/// <summary>A sample from data to verdict.</summary>
public static class SampleRun
{
    /// <param name="obtain">The sites' tables; given what tells the user where they come from.</param>
    public static async Task RunAsync(
        SampleDescription sample, Experiment experiment, SampleOptions options, Func<Action<string>, CancellationToken, Task<SampleData>> obtain, CancellationToken cancellationToken)
    {
        long start = Stopwatch.GetTimestamp();
        var screen = new Screen(options.Json);
        TorchDevice.SetThreads(1);
        string output = OutputFolder.Create(options.Out);
        SampleData data = await obtain(screen.Say, cancellationToken);
        RunSpec spec = experiment.Spec;
        using var root = new PrivateRoot(sample.Name);
        screen.Say($"One coordinator and {sample.Parties} start as processes of their own (gRPC over mutual TLS on loopback).");
        screen.Say(Secrecy(sample, spec));
        screen.Say(Promise(sample, spec));
        if (spec.Privacy is { InsecureSeededNoise: true }) screen.Say($"But {PrivacySentence.Seeded} The ledgers record each release as of unlimited ε.");
        RunOutcome outcome = await screen.WithProgressAsync(spec.Rounds, progress => FederatedRun.RunAsync(experiment, data.Tables, root.Path, progress, cancellationToken));
        Comparison figures = Comparison.Of(outcome.Results, PooledModel.Scores(experiment, sample.Sites, root.Path, cancellationToken), sample.IsUnbalanced);
        byte[] plot = AccuracyPlot.Png(sample, figures, data.IsSynthetic, root.Path);
        double seconds = Stopwatch.GetElapsedTime(start).TotalSeconds;
        MetricsDocument metrics = MetricsDocument.Of(sample.Sites, figures, seconds, data.Source, spec, outcome);
        string verdict = Verdict(sample, figures, data);
        outcome.Model.Save(Path.Combine(output, "model.safetensors"));
        await File.WriteAllTextAsync(Path.Combine(output, "metrics.json"), metrics.ToJson() + "\n", cancellationToken);
        await File.WriteAllBytesAsync(Path.Combine(output, "accuracy.png"), plot, cancellationToken);
        PrivacyPages.Collect(sample.Sites, root.Path, output);
        await File.WriteAllTextAsync(Path.Combine(output, "report.html"), ReportPage.Html(sample, figures, metrics, data.IsSynthetic, experiment, verdict, plot), cancellationToken);
        screen.Table(sample, figures);
        string memory = outcome.CoordinatorMemory is { } bytes ? string.Create(CultureInfo.InvariantCulture, $"; the coordinator's peak memory was {bytes / 1e6:0} MB") : "";
        screen.Say(string.Create(CultureInfo.InvariantCulture, $"{seconds:0.0} s; each {sample.Site.One} sent {outcome.BytesUploadedPerSite} bytes of updates in {spec.Rounds} rounds{memory}."));
        screen.Say($"Written to {options.Out}: report.html, metrics.json, accuracy.png, model.safetensors");
        if (metrics.Privacy is { } privacy)
        {
            screen.Say(PrivacySentence.Of(privacy, sample));
            if (PrivacySentence.OfAudit(privacy, sample) is { } audit) screen.Say(audit);
        }

        screen.Say($"Privacy reports, from each {sample.Site.One}'s ledger: {Path.Combine(options.Out, PrivacyPages.Folder, string.Join(", ", sample.Sites.Select(PrivacyPages.NameOf)))}");
        screen.Say(verdict);
        if (options.Json) Console.WriteLine(metrics.ToJson());
    }

    private static string Secrecy(SampleDescription sample, RunSpec spec) => spec.SecureAggregation is { } secure
        ? $"Updates travel encrypted: any {SecureEncoding.ThresholdOf(secure, sample.Sites.Count)} of the {sample.Sites.Count} {sample.Site.Many} open their sum, and nobody, the coordinator included, sees one {sample.Site.One}'s update."
        : $"Without secure aggregation: the coordinator can read each {sample.Site.One}'s update.";

    private static string Promise(SampleDescription sample, RunSpec spec) => spec.Privacy is { } privacy
        ? string.Create(CultureInfo.InvariantCulture, $"Differential privacy: each {sample.Person.One}'s gradient is cut to {privacy.Clip}, and {(privacy.Noise == NoiseSource.Shared ? $"the {sample.Site.Many}' noise adds up to" : $"each {sample.Site.One} adds")} {spec.Sigma} times that in every round.")
        : $"Without differential privacy: what the opened sums say of single {sample.Person.Many} is not bounded.";

    private static string Verdict(SampleDescription sample, Comparison figures, SampleData data)
    {
        double federated = figures.FederatedAll.Accuracy, local = figures.LocalAll.Accuracy, pooled = figures.PooledAll.Accuracy;
        string comparison = federated > local ? "better than" : federated < local ? "worse than" : "as good as";
        string people = $"{(data.IsSynthetic ? "made-up" : "held-out")} {sample.Person.Many}";
        string unbalanced = sample.IsUnbalanced ? string.Create(CultureInfo.InvariantCulture, $" (AUC {figures.FederatedAll.Auc:0.000})") : "", always = sample.IsUnbalanced ? string.Create(CultureInfo.InvariantCulture, $"; always naming the commoner class, {figures.Majority:P1}") : "";
        string published = data.Published is { } text ? " " + text : "";
        return string.Create(CultureInfo.InvariantCulture, $"Verdict: the federated model is right for {federated:P1} of {figures.TestRows.Sum()} {people}{unbalanced}, {comparison} the {sample.Site.Many}' own models ({local:P1}); pooling all records gives {pooled:P1}{always}.{published}");
    }
}
