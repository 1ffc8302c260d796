using System.Text.Json;
using System.Text.Json.Serialization;
using Federation.Samples.Medical.Data;

namespace Federation.Samples.Medical.Figures;

internal sealed record FederatedSection(double PooledAccuracy, double? PooledAuc, IReadOnlyDictionary<string, Figure> Sites);

/// <summary>metrics.json; its schema is <c>docs/schemas/medical-metrics.schema.json</c>.</summary>
internal sealed record MetricsDocument(
    FederatedSection Federated,
    IReadOnlyDictionary<string, Figure> Local,
    Figure Pooled,
    int Rounds,
    double Seconds,
    long BytesUploadedPerSite,
    [property: JsonPropertyName("modelSha256")] string ModelSha256,
    string DataSource)
{
    private static readonly JsonSerializerOptions Options = new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    public static MetricsDocument Of(Comparison figures, int rounds, double seconds, long bytesUploadedPerSite, string modelSha256, string dataSource) => new(
        new FederatedSection(figures.FederatedAll.Accuracy, figures.FederatedAll.Auc, BySite(figures.Federated)),
        BySite(figures.Local),
        figures.PooledAll,
        rounds,
        Math.Round(seconds, 1),
        bytesUploadedPerSite,
        modelSha256,
        dataSource);

    public string ToJson() => JsonSerializer.Serialize(this, Options);

    private static Dictionary<string, Figure> BySite(IReadOnlyList<Figure> figures) => Hospital.All.Zip(figures).ToDictionary(pair => pair.First.Name, pair => pair.Second);
}
