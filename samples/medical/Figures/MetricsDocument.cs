using System.Text.Json;
using System.Text.Json.Serialization;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Samples.Medical.Data;
using Federation.Samples.Medical.Processes;

namespace Federation.Samples.Medical.Figures;

/// <param name="Mode">direct or hybrid; null without secure aggregation, like the next two.</param>
/// <param name="Committee">Hospitals that hold a share of the key.</param>
/// <param name="BytesPerParameter">Sent by a hospital each round.</param>
/// <param name="OpenedRounds">Rounds whose sum the committee opened.</param>
internal sealed record SecureAggregationSection(string Kind, string? Mode, int? Threshold, int? Committee, double BytesPerParameter, int OpenedRounds);

/// <param name="EpsilonBySite">Of each patient's record, against everybody who contributes nothing: the coordinator, and whoever sees the model.</param>
/// <param name="EpsilonAgainstCoalition">The most that a hospital's ledger holds: against the coordinator together with <paramref name="MaxColluding"/> hospitals; with own noise, against all others.</param>
/// <param name="LowerBoundBySite">Of an empirical audit; null: none was made.</param>
internal sealed record PrivacySection(
    string Unit, string Relation, double Delta, IReadOnlyDictionary<string, double> EpsilonBySite, double EpsilonAgainstCoalition, int MaxColluding, string Noise, double NoiseMultiplier, string Accountant, IReadOnlyDictionary<string, double>? LowerBoundBySite);

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
    string DataSource,
    SecureAggregationSection SecureAggregation,
    PrivacySection? Privacy)
{
    private static readonly JsonSerializerOptions Options = new() { PropertyNamingPolicy = JsonNamingPolicy.CamelCase };

    public static MetricsDocument Of(Comparison figures, int rounds, double seconds, long bytesUploadedPerSite, ModelState model, string dataSource, RunSpec spec, RunOutcome outcome) => new(
        new FederatedSection(figures.FederatedAll.Accuracy, figures.FederatedAll.Auc, BySite(figures.Federated)),
        BySite(figures.Local),
        figures.PooledAll,
        rounds,
        Math.Round(seconds, 1),
        bytesUploadedPerSite,
        model.Sha256,
        dataSource,
        Section(outcome, (double)bytesUploadedPerSite / spec.Rounds / model.Header.ValueCount),
        PrivacyOf(spec, outcome.Results, model.Header.ValueCount));

    public string ToJson() => JsonSerializer.Serialize(this, Options);

    /// <summary>As it was: a hospital may be without a share of the key.</summary>
    private static SecureAggregationSection Section(RunOutcome outcome, double bytes) => outcome.Secure is { } secure
        ? new(secure.Kind, secure.Mode, (int)secure.Threshold, secure.Committee.Count, Math.Round(bytes, 2), outcome.OpenedRounds)
        : new("none", null, null, null, Math.Round(bytes, 2), 0);

    private static PrivacySection? PrivacyOf(RunSpec spec, IReadOnlyList<HospitalResult> results, int parameters)
    {
        if (spec.Privacy is not { } privacy) return null;
        double outside = Round(PrivacyCost.Epsilon(PrivacyCost.OfRun(spec, null, parameters, Hospital.All.Count, spec.Rounds, outside: true), privacy.Delta));
        bool isShared = privacy.Noise == NoiseSource.Shared;
        return new(
            "record", "add-or-remove-one", privacy.Delta, Hospital.All.ToDictionary(hospital => hospital.Name, _ => outside), results.Max(result => Round(result.Epsilon!.Value)),
            isShared ? privacy.MaxColluding : Hospital.All.Count - 1, isShared ? "shared" : "own", spec.Sigma, "pld", null);

        static double Round(double epsilon) => Math.Ceiling(epsilon * 1e4) / 1e4; // never downwards
    }

    private static Dictionary<string, Figure> BySite(IReadOnlyList<Figure> figures) => Hospital.All.Zip(figures).ToDictionary(pair => pair.First.Name, pair => pair.Second);
}
