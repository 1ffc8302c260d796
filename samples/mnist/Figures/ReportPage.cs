using System.Globalization;
using System.Net;
using Federation.Formats.Runs;

namespace Federation.Samples.Mnist.Figures;

/// <summary>One self-contained page: what was done, what came out, what it does not show.</summary>
internal static class ReportPage
{
    public static string Html(MetricsDocument metrics, RunSpec spec, string verdict, byte[] plot)
    {
        string source = metrics.DataSource == "synthetic"
            ? "<p class=\"warn\"><strong>Synthetic digits.</strong> The real files could not be had; every figure on this page is about made-up digits.</p>"
            : "<p>Data: MNIST (LeCun, Cortes, Burges 1998), its own split of 60,000 training and 10,000 test images; pixels as x/255.</p>";
        return $$"""
            <!doctype html>
            <html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
            <title>MNIST, a perceptron</title>
            <style>
            :root { color-scheme: light dark; --line: #8884; --warn: #c2410c; }
            body { font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 2rem auto; padding: 0 1rem; }
            table { border-collapse: collapse; } th, td { padding: .35rem .9rem; border-bottom: 1px solid var(--line); text-align: right; }
            img { max-width: 100%; background: #fff; border-radius: 6px; } .warn { border-left: 4px solid var(--warn); padding-left: .8rem; } code { font-size: .9em; word-break: break-all; }
            </style></head><body>
            <h1>MNIST, a perceptron</h1>
            <p>{{WebUtility.HtmlEncode(verdict)}}</p>
            {{source}}
            <p><img alt="Loss by epoch" src="data:image/png;base64,{{Convert.ToBase64String(plot)}}"></p>
            <table><thead><tr><th>epoch</th><th>training loss</th></tr></thead><tbody>
            {{string.Concat(metrics.Epochs.Select(line => string.Create(CultureInfo.InvariantCulture, $"<tr><td>{line.Epoch}</td><td>{line.Loss:0.00000}</td></tr>\n")))}}</tbody></table>
            <ul>
            <li>784-256-128-10 with ReLU, recipe <code>{{metrics.Recipe}}</code>: {{Optimizer(spec.Local)}}.</li>
            <li>Seed {{metrics.Seed}}, {{metrics.TrainingImages}} training images, {{metrics.Seconds.ToString(CultureInfo.InvariantCulture)}} s. Model <code>{{metrics.ModelSha256}}</code>.</li>
            </ul>
            <p class="warn"><strong>No federation and no differential privacy.</strong> All images lie in one place, and nothing bounds what the model says of single ones.</p>
            <p>The test images are looked at once, after training. One of them is 0.01 points; two trainings that differ in their seed alone are some 0.1 points apart.</p>
            </body></html>
            """;
    }

    private static string Optimizer(LocalSpec local)
    {
        string decay = local.Optimizer.WeightDecay > 0 ? string.Create(CultureInfo.InvariantCulture, $" with weight decay {local.Optimizer.WeightDecay}") : "", average = local.WeightAverage > 0 ? string.Create(CultureInfo.InvariantCulture, $", weights averaged with β = {local.WeightAverage}") : "";
        string schedule = local.RateSchedule is { } rates ? $", {rates.Kind.ToString().ToLowerInvariant()} schedule" : "";
        return string.Create(CultureInfo.InvariantCulture, $"{local.Optimizer.Kind.ToString().ToLowerInvariant()} at {local.Optimizer.LearningRate}{decay}{schedule}, batch {local.BatchSize}, {local.Epochs} epochs{average}");
    }
}
