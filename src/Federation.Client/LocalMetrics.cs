using System.Text;
using System.Text.Json;
using System.Text.Json.Serialization;
using Federation.Formats.Evaluation;

namespace Federation.Client;

/// <summary>A line of <c>runs/&lt;run&gt;/metrics.jsonl</c>: a model on this site's own test rows. Never sent.</summary>
/// <param name="Round">The round that made the model; 0 is the initial one.</param>
/// <param name="Kind">Absent: the global model. <see cref="LocalMetrics.Personal"/>: with this site's own tensors in it. <see cref="LocalMetrics.FineTuned"/>: trained on here after the last round.</param>
public sealed record LocalMetricsLine(
    [property: JsonPropertyName("round")] int Round,
    [property: JsonPropertyName("modelSha256")] string ModelSha256,
    [property: JsonPropertyName("examples")] ulong Examples,
    [property: JsonPropertyName("accuracy")] double Accuracy,
    [property: JsonPropertyName("auc")] double? Auc,
    [property: JsonPropertyName("logLoss")] double? LogLoss,
    [property: JsonPropertyName("brier")] double? Brier,
    [property: JsonPropertyName("kind"), JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] string? Kind = null);

/// <summary>The site's own record of how each model does on its test rows.</summary>
public static class LocalMetrics
{
    public const string Personal = "personal", FineTuned = "fine-tuned";

    private const string FileName = "metrics.jsonl";

    public static bool Has(string runFolder, int round, string? kind = null) => Read(runFolder).Any(line => line.Round == round && line.Kind == kind);

    public static void Append(string runFolder, int round, string modelSha256, Metrics metrics, string? kind = null)
    {
        var line = new LocalMetricsLine(round, modelSha256, metrics.Examples, metrics.Accuracy, metrics.Auc, metrics.LogLoss, metrics.Brier, kind);
        using var file = new FileStream(Path.Combine(runFolder, FileName), FileMode.OpenOrCreate, FileAccess.ReadWrite);
        bool cut = file.Length > 0 && file.Seek(-1, SeekOrigin.End) >= 0 && file.ReadByte() != '\n'; // a crash cut the last line
        file.Seek(0, SeekOrigin.End);
        file.Write(Encoding.UTF8.GetBytes((cut ? "\n" : "") + JsonSerializer.Serialize(line) + "\n"));
    }

    /// <summary>All complete lines; one that a crash cut short is left out.</summary>
    public static IReadOnlyList<LocalMetricsLine> Read(string runFolder)
    {
        string path = Path.Combine(runFolder, FileName);
        if (!File.Exists(path)) return [];
        List<LocalMetricsLine> lines = [];
        foreach (string text in File.ReadAllLines(path))
        {
            try
            {
                if (JsonSerializer.Deserialize<LocalMetricsLine>(text) is { } line) lines.Add(line);
            }
            catch (JsonException)
            {
                // cut short by a crash; the round is evaluated again
            }
        }

        return lines;
    }
}
