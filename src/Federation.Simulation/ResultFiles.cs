using System.Globalization;
using System.Net;
using System.Text.Json;
using System.Text.Json.Serialization;
using Federation.Formats.Models;

namespace Federation.Simulation;

/// <summary>What a simulation leaves in its folder: model, figures, a curve and a page that shows them.</summary>
public static class ResultFiles
{
    public const string Model = "model.safetensors", Metrics = "metrics.json", Rounds = "rounds.csv", Curve = "accuracy.png", Page = "index.html";

    private static readonly JsonSerializerOptions Options = new(JsonSerializerDefaults.Web) { NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals, WriteIndented = true };

    public static void Write(string folder, SimulationResult result, IReadOnlyList<SimulatedRound> rounds, ModelState model)
    {
        Directory.CreateDirectory(folder);
        model.Save(Path.Combine(folder, Model));
        File.WriteAllText(Path.Combine(folder, Metrics), JsonSerializer.Serialize(result, Options));
        File.WriteAllText(Path.Combine(folder, Rounds), SimulationResult.Csv(rounds));
        (double, double)[] accuracy = [.. rounds.Where(round => round.Evaluation is not null).Select(round => ((double)round.Round, round.Evaluation!.Accuracy))];
        byte[]? curve = accuracy.Length == 0 ? null : CurvePlot.Png($"{result.Name}: accuracy on {result.Data}", "round", "accuracy on the test set", accuracy, folder);
        if (curve is not null) File.WriteAllBytes(Path.Combine(folder, Curve), curve);
        File.WriteAllText(Path.Combine(folder, Page), Html(result, curve, PartitionFiles.Picture(folder)));
    }

    /// <summary>Table and picture of what the values of a field made of the run.</summary>
    public static void WriteSweep(string folder, string field, IReadOnlyList<(string Value, SimulationResult Result)> results)
    {
        Directory.CreateDirectory(folder);
        File.WriteAllText(Path.Combine(folder, "sweep.json"), JsonSerializer.Serialize(results.Select(row => new { row.Value, row.Result }), Options));
        File.WriteAllLines(Path.Combine(folder, "sweep.csv"), [$"{field},epsilon,accuracy,logLoss,completedRounds,modelSha256", .. results.Select(row => string.Create(CultureInfo.InvariantCulture, $"{row.Value},{row.Result.Privacy?.Epsilon},{row.Result.Accuracy},{row.Result.LogLoss},{row.Result.CompletedRounds},{row.Result.ModelSha256}"))]);
        if (results.Any(row => row.Result.Accuracy is null)) return;
        byte[] plot = CurvePlot.Png($"{results[0].Result.Name}: accuracy by {field}", field, "accuracy on the test set", [.. results.Select((row, i) => ((double)i, row.Result.Accuracy!.Value))], folder, [.. results.Select(row => row.Value)]);
        File.WriteAllBytes(Path.Combine(folder, "sweep.png"), plot);
    }

    private static string Html(SimulationResult result, byte[]? curve, byte[]? partition) => string.Create(CultureInfo.InvariantCulture, $$"""
        <!doctype html>
        <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
        <title>{{result.Name}}: a simulation</title>
        <style>
        :root { color-scheme: light dark; --line: #8884; }
        body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem; }
        table { border-collapse: collapse; } th, td { padding: .35rem .6rem; border-bottom: 1px solid var(--line); text-align: left; } img { max-width: 100%; background: #fff; border-radius: 6px; } code { word-break: break-all; }
        </style></head><body>
        <h1>{{result.Name}}: {{result.Clients}} clients on one machine</h1>
        <table>
        <tr><th>data</th><td>{{WebUtility.HtmlEncode(result.Data)}}</td></tr>
        <tr><th>rounds</th><td>{{result.CompletedRounds}} of {{result.Rounds}}. {{WebUtility.HtmlEncode(result.Reason)}}</td></tr>
        <tr><th>accuracy</th><td>{{result.Accuracy?.ToString("0.0000", CultureInfo.InvariantCulture) ?? "not evaluated"}}</td></tr>
        <tr><th>privacy</th><td>{{WebUtility.HtmlEncode(result.Privacy?.Sentence ?? "None: nothing bounds what the model says of single records.")}}</td></tr>
        <tr><th>secure aggregation</th><td>{{(result.SecureAggregation == "none" ? "None." : "Simulated: updates are clipped, rounded and summed as on real nodes, so the model has the same bytes; nothing was encrypted.")}}</td></tr>
        <tr><th>time</th><td>{{result.VirtualSeconds:F0}} s of virtual time, {{result.Seconds:F1}} s on this machine with {{result.Workers}} workers: {{result.ClientRoundsPerSecond:F1}} client-rounds a second</td></tr>
        <tr><th>model</th><td><code>{{result.ModelSha256}}</code></td></tr>
        </table>
        {{(curve is null ? "" : $"<p><img alt=\"Accuracy by round\" src=\"data:image/png;base64,{Convert.ToBase64String(curve)}\"></p>")}}
        {{(partition is null ? "" : $"<p><img alt=\"Examples of each label at each client\" src=\"data:image/png;base64,{Convert.ToBase64String(partition)}\"></p>")}}
        </body></html>
        """);
}
