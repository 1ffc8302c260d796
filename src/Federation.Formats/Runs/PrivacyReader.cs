using Federation.Formats.Yaml;

namespace Federation.Formats.Runs;

/// <summary>Reads <c>privacy</c>: none, or a map.</summary>
internal static class PrivacyReader
{
    private const string Name = "privacy", Seeded = "insecureSeededNoise";
    private const double LeastCentralNoise = 1e-6; // as for accountants

    internal static readonly Dictionary<string, DpUnit> Units = new() { ["record"] = DpUnit.Record, ["person"] = DpUnit.Person, ["site"] = DpUnit.Site };
    private static readonly Dictionary<string, NoiseSource> Sources = new() { ["own"] = NoiseSource.Own, ["shared"] = NoiseSource.Shared };
    private static readonly Dictionary<string, NoiseSource> AllSources = new(Sources) { ["central"] = NoiseSource.Central };
    private static readonly Dictionary<string, NoiseSource> SiteSources = new() { ["shared"] = NoiseSource.Shared, ["central"] = NoiseSource.Central, ["own"] = NoiseSource.Own }; // the first stands in for a misspelt one
    private static readonly Dictionary<string, GradientClipping> Clippings = new() { ["flat"] = GradientClipping.Flat, ["per-layer"] = GradientClipping.PerLayer, ["automatic"] = GradientClipping.Automatic };
    private static readonly string[] s_person = ["key", "maxUnitRecords"], s_sampled = [.. s_person, "samplingRate", "steps", "clipping"];
    private static readonly Dictionary<string, bool> Mechanisms = new() { ["dp-sgd"] = true };

    /// <returns>Null: none.</returns>
    public static PrivacySpec? Read(FieldReader fields, RunSpec spec)
    {
        switch (fields.Value(Name))
        {
            case null:
                fields.Add(Name, "is missing: a run says how it protects single records, or that it does not.", "Write privacy: { unit: record, … } (docs/formats.md), or privacy: none.");
                return null;
            case YamlScalar { Text: "none" }: return null;
        }

        if (fields.Map(Name, required: true) is not { } map) return null;
        map.Choice<bool>("mechanism", Mechanisms, true);
        DpUnit unit = map.Choice("unit", Units);
        if (unit == DpUnit.Site) return ReadForSites(fields, map, spec);
        NoiseSource noise = map.Choice<NoiseSource>("noise", AllSources, NoiseSource.Own);
        if (noise == NoiseSource.Central) map.Add("noise", "is central, which belongs to unit: site: the coordinator clips whole updates and cannot bound a part of one.", "Write noise: own, or shared under secure aggregation.");
        bool isShared = noise == NoiseSource.Shared;
        (double? sigma, double? maxEpsilon) = Noise(map);
        PrivacySpec privacy = new(
            unit,
            unit == DpUnit.Person ? map.Text("key") : null,
            noise,
            Clip(map),
            map.Choice<GradientClipping>("clipping", Clippings, GradientClipping.Flat),
            sigma,
            map.Number("samplingRate", value => value is > 0 and <= 1, "in (0, 1]"),
            (int)map.Integer("steps", 1, isShared ? 1 : 1_000_000, isShared ? 1 : null),
            (int)map.Integer("maxUnitRecords", 1, 1_000_000, 16),
            Delta(map),
            maxEpsilon,
            Colluding(map, noise, spec.Cohort)) { InsecureSeededNoise = map.Boolean(Seeded, false) };
        if (map.Has("adaptiveClip")) map.Add("adaptiveClip", "belongs to unit: site.", "Remove it.");
        if (unit == DpUnit.Record)
        {
            foreach (string other in s_person.Where(map.Has)) map.Add(other, "belongs to unit: person.", "Remove it.");
        }

        Check(fields, spec, map, privacy);
        map.Close();
        return privacy;
    }

    /// <summary>Reads <c>statistics.privacy</c>: one opening, of which each record is a part.</summary>
    /// <returns>Null: none.</returns>
    public static PrivacySpec? ReadForStatistics(FieldReader fields, CohortSpec cohort)
    {
        if (fields.Value(Name) is null or YamlScalar { Text: "none" } || fields.Map(Name, required: true) is not { } map) return null;
        NoiseSource noise = map.Choice<NoiseSource>("noise", Sources, NoiseSource.Own);
        (double? sigma, double? maxEpsilon) = Noise(map);
        PrivacySpec privacy = new(DpUnit.Record, null, noise, Clip: 1, GradientClipping.Flat, sigma, SamplingRate: 1, Steps: 1, MaxUnitRecords: 1, Delta(map), maxEpsilon, Colluding(map, noise, cohort));
        map.Close();
        return privacy;
    }

    /// <summary>A site's whole update is the unit: it trains as it likes, and nothing of its records is sampled.</summary>
    private static PrivacySpec ReadForSites(FieldReader fields, FieldReader map, RunSpec spec)
    {
        NoiseSource noise = map.Choice<NoiseSource>("noise", SiteSources, NoiseSource.Shared);
        (double? sigma, double? maxEpsilon) = Noise(map);
        Check(map, noise, sigma, isSecure: spec.SecureAggregation is not null);
        double clip = Clip(map);
        AdaptiveClipSpec? adaptive = null;
        if (map.Map("adaptiveClip", required: false) is { } follows)
        {
            adaptive = new(follows.Number("quantile", value => value is >= 0 and <= 1, "in [0, 1]", 0.5), follows.Number("learningRate", value => value is > 0 and <= 10, "in (0, 10]", 0.2));
            follows.Close();
        }

        foreach (string other in s_sampled.Where(map.Has)) map.Add(other, "belongs to units within a site, whose records are sampled.", "Remove it.");
        if (spec.Evaluate is not null) fields.Add("evaluate", "A site's test rows are as many as it likes, so no noise hides a site in their sums.", "Remove it; a node of role evaluator measures every model on a public test set.");
        PrivacySpec privacy = new(DpUnit.Site, null, noise, clip, GradientClipping.Flat, sigma, SamplingRate: 1, Steps: 1, MaxUnitRecords: 1, Delta(map), maxEpsilon, Colluding(map, noise, spec.Cohort), adaptive) { InsecureSeededNoise = map.Boolean(Seeded, false) };
        if (privacy is { IsCentral: true, InsecureSeededNoise: true }) map.Add(Seeded, "is true, and the coordinator adds the noise: it draws that anew each time.", "Remove it, or write noise: shared under secure aggregation.");
        map.Close();
        return privacy;
    }

    /// <summary>Whose noise hides a whole site.</summary>
    private static void Check(FieldReader map, NoiseSource noise, double? sigma, bool isSecure)
    {
        switch (noise)
        {
            case NoiseSource.Own:
                map.Add("noise", "is own, which belongs to units within a site: noise that hides a whole update leaves nothing of it.", "Write noise: shared, or central without secure aggregation.");
                break;
            case NoiseSource.Central when isSecure:
                map.Add("noise", "is central, and the run has secure aggregation: the coordinator sees no update that it could clip.", "Write noise: shared, or secureAggregation: none where the sites trust the coordinator with their updates.");
                break;
            case NoiseSource.Central when sigma < LeastCentralNoise:
                map.Add("noiseMultiplier", FormattableString.Invariant($"is {sigma}; noise below {LeastCentralNoise} counts as none."), "Raise it, or write privacy: none.");
                break;
            case NoiseSource.Shared when !isSecure:
                map.Add("unit", "is a site, and the run has no secure aggregation: the coordinator would see each site's update.", "Write secureAggregation: threshold-bfv, or noise: central where the sites trust the coordinator with their updates.");
                break;
        }
    }

    private static (double? Sigma, double? MaxEpsilon) Noise(FieldReader map)
    {
        bool isAuto = map.Value("noiseMultiplier") is YamlScalar { Text: "auto" };
        double? sigma = isAuto ? null : map.Number("noiseMultiplier", value => value is > 0 and <= 1e6, "in (0, 1000000], or auto,");
        if (isAuto) map.Text("noiseMultiplier");
        return (sigma, isAuto || map.Has("maxEpsilon") ? map.Number("maxEpsilon", value => value is > 0 and <= 1e6, "in (0, 1000000]") : null);
    }

    private static double Clip(FieldReader map) => map.Number("clip", value => value is > 0 and <= 1e6, "in (0, 1000000]");

    private static double Delta(FieldReader map) => map.Number("delta", value => value is > 0 and <= 0.1, "in (0, 0.1]");

    private static int Colluding(FieldReader map, NoiseSource noise, CohortSpec cohort)
    {
        if (noise == NoiseSource.Shared) return (int)map.Integer("maxColluding", 0, Math.Max(0, cohort.MinContributors - 2), Math.Clamp(cohort.MinContributors - 2, 0, 1));
        if (map.Has("maxColluding")) map.Add("maxColluding", $"belongs to noise: shared; {(noise == NoiseSource.Central ? "the coordinator's noise is in every sum, whoever contributes" : "noise of one's own needs nobody else")}.", "Remove it.");
        return 0;
    }

    private static void Check(FieldReader fields, EvaluateSpec evaluate, bool isSecure)
    {
        if (evaluate.NoiseMultiplier is null) fields.Add("evaluate", "noiseMultiplier is missing: sums over the sites' test rows are releases of private records.", "Write evaluate: { …, noiseMultiplier: 5 }, which costs ε like a round, or remove evaluate: each site measures every model on its own test rows, for itself.");
        if (!isSecure) fields.Add("evaluate", "Noisy sums over test rows travel encrypted alone.", "Write secureAggregation: threshold-bfv, or remove evaluate.");
        if (evaluate.Metrics.FirstOrDefault(metric => metric is "log-loss" or "brier") is { } loss) fields.Add("evaluate", $"metrics names '{loss}', a sum of losses; under differential privacy only counts are opened.", "accuracy and auc are right.");
    }

    private static void Check(FieldReader fields, RunSpec spec, FieldReader map, PrivacySpec privacy)
    {
        if (spec.Data?.Scaling == Scaling.PerSite) fields.Add("data", "scaling: per-site takes mean and deviation from private records, so that each record changes every other one's features; under differential privacy that is a release that nobody pays for.", "Write scaling: public-ranges.");
        if (spec.Evaluate is { } evaluate) Check(fields, evaluate, spec.SecureAggregation is not null);
        if (fields.Map("local", required: false)?.Has("epochs") == true) fields.Add("local", "Under differential privacy there are no epochs: records are sampled.", "Remove epochs; privacy.steps says how many steps a round has.");
        if (privacy.Noise != NoiseSource.Shared) return;
        if (spec.SecureAggregation is null) map.Add("noise", "is shared, and the run has no secure aggregation: whoever sees one site's part sees its records with too little noise.", "Write noise: own, or secureAggregation: threshold-bfv.");
        if (spec.Local.Optimizer.Kind != OptimizerKind.Sgd || spec.Local.Optimizer.Momentum != 0) fields.Add("local", "With shared noise a round is one step on the opened sum: sgd without momentum.", "Write optimizer: { kind: sgd, learningRate: … }.");
        if (spec.Local.Proximal > 0) fields.Add("local", "proximal pulls back steps that have left the global model; with shared noise a round is one step, which starts there.", "Remove proximal, or write noise: own.");
    }
}
