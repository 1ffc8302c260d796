using System.Text.Json;
using Federation.Formats.Runs;
using Federation.Samples.Mnist.Data;

namespace Federation.Samples.Mnist.Figures;

/// <param name="Loss">Mean cross entropy over the epoch's training images, each at the weights of its own step.</param>
internal sealed record EpochLine(int Epoch, double Loss);

/// <summary>metrics.json; its schema is <c>docs/schemas/mnist-metrics.schema.json</c>.</summary>
internal sealed record MetricsDocument(
    string Recipe, ulong Seed, IReadOnlyList<EpochLine> Epochs, double TestAccuracy, double TestLogLoss, int TrainingImages, int TestImages, double Seconds, string ModelSha256, string DataSource)
{
    private static readonly JsonSerializerOptions Options = new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    public static MetricsDocument Of(string recipe, RunSpec spec, MnistFiles data, Trained trained, double seconds) => new(
        recipe,
        spec.Seed,
        [.. trained.Losses.Select((loss, i) => new EpochLine(i + 1, Math.Round(loss, 6)))],
        trained.Accuracy,
        Math.Round(trained.LogLoss, 6),
        data.Train.Count,
        data.Test.Count,
        Math.Round(seconds, 1),
        trained.Model.Sha256,
        data.IsSynthetic ? "synthetic" : "mnist");

    public string ToJson() => JsonSerializer.Serialize(this, Options);
}
