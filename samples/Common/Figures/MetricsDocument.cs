using System.Text.Json;
using System.Text.Json.Serialization;
using Federation.Formats.Runs;
using Federation.Samples.Processes;

namespace Federation.Samples.Figures;

/// <param name="Mode">direct or hybrid; null without secure aggregation, like the next two.</param>
/// <param name="Committee">Sites that hold a share of the key.</param>
/// <param name="BytesPerParameter">Sent by a site each round.</param>
/// <param name="OpenedRounds">Rounds whose sum the committee opened.</param>
public sealed record SecureAggregationSection(string Kind, string? Mode, int? Threshold, int? Committee, double BytesPerParameter, int OpenedRounds);

/// <param name="Private">false: the noise followed from the run's seed, which is no secret; ε has no bound, and the next two are null.</param>
/// <param name="EpsilonBySite">Of each record, by each site's own ledger, against everybody who contributes nothing: the coordinator, and whoever sees the model.</param>
/// <param name="EpsilonAgainstCoalition">The most that a site's ledger holds: against the coordinator together with <paramref name="MaxColluding"/> other sites; with own noise, against all others.</param>
/// <param name="LowerBoundBySite">What the attack on a rehearsal of the run at each site shows that ε is at least, each with 95 % confidence; against the same coalition. Null: no audit was made.</param>
public sealed record PrivacySection(
    bool Private, string Unit, string Relation, double Delta, IReadOnlyDictionary<string, double>? EpsilonBySite, double? EpsilonAgainstCoalition, int MaxColluding, string Noise, double NoiseMultiplier, string Accountant, IReadOnlyDictionary<string, double>? LowerBoundBySite);

public sealed record FederatedSection(double PooledAccuracy, double? PooledAuc, [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] double? PooledBalancedAccuracy, IReadOnlyDictionary<string, Figure> Sites);

/// <summary>metrics.json; its schemas are <c>docs/schemas/medical-metrics.schema.json</c> and <c>banking-metrics.schema.json</c>.</summary>
public sealed record MetricsDocument(
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

    public static MetricsDocument Of(IReadOnlyList<Site> sites, Comparison figures, double seconds, string dataSource, RunSpec spec, RunOutcome outcome) => new(
        new FederatedSection(figures.FederatedAll.Accuracy, figures.FederatedAll.Auc, figures.FederatedAll.BalancedAccuracy, BySite(sites, figures.Federated)),
        BySite(sites, figures.Local),
        figures.PooledAll,
        spec.Rounds,
        Math.Round(seconds, 1),
        outcome.BytesUploadedPerSite,
        outcome.Model.Sha256,
        dataSource,
        Section(outcome, (double)outcome.BytesUploadedPerSite / spec.Rounds / outcome.Model.Header.ValueCount),
        PrivacyOf(spec, outcome, sites));

    public string ToJson() => JsonSerializer.Serialize(this, Options);

    /// <summary>As it was: a site may be without a share of the key.</summary>
    private static SecureAggregationSection Section(RunOutcome outcome, double bytes) => outcome.Secure is { } secure
        ? new(secure.Kind, secure.Mode, (int)secure.Threshold, secure.Committee.Count, Math.Round(bytes, 2), outcome.OpenedRounds)
        : new("none", null, null, null, Math.Round(bytes, 2), 0);

    private static PrivacySection? PrivacyOf(RunSpec spec, RunOutcome outcome, IReadOnlyList<Site> sites)
    {
        if (spec.Privacy is not { } privacy) return null;
        bool isShared = privacy.Noise == NoiseSource.Shared;
        return new(
            !privacy.InsecureSeededNoise, "record", "add-or-remove-one", privacy.Delta, privacy.InsecureSeededNoise ? null : sites.Zip(outcome.Results).ToDictionary(pair => pair.First.Name, pair => Round(pair.Second.EpsilonOutside!.Value)), privacy.InsecureSeededNoise ? null : outcome.Results.Max(result => Round(result.Epsilon!.Value)),
            isShared ? privacy.MaxColluding : sites.Count - 1, isShared ? "shared" : "own", spec.Sigma, "pld", LowerBounds(outcome, sites));

        static double Round(double epsilon) => Math.Ceiling(epsilon * 1e4) / 1e4; // never downwards
    }

    private static Dictionary<string, double>? LowerBounds(RunOutcome outcome, IReadOnlyList<Site> sites) => outcome.Results.Any(result => result.LowerBound is null)
        ? null
        : sites.Zip(outcome.Results).ToDictionary(pair => pair.First.Name, pair => Math.Floor(pair.Second.LowerBound!.Value * 1e4) / 1e4); // never upwards

    private static Dictionary<string, Figure> BySite(IReadOnlyList<Site> sites, IReadOnlyList<Figure> figures) => sites.Zip(figures).ToDictionary(pair => pair.First.Name, pair => pair.Second);
}
