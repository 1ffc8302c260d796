using Federation.Formats.Yaml;

namespace Federation.Formats.Runs;

/// <summary>Reads <c>secureAggregation</c>: none, or a map. A spec that says nothing gets the protection.</summary>
internal static class SecureAggregationReader
{
    public const int FewestContributors = 3;

    private const string Name = "secureAggregation";

    private static readonly string[] Kinds = ["threshold-bfv", "none"];
    private static readonly string[] s_settings = ["threshold", "onCommitteeLoss", "cut", "bits", "maxWeight", "maxOpenings"];
    private static readonly Dictionary<string, CommitteeLoss> Losses = new() { ["wait"] = CommitteeLoss.Wait, ["abort"] = CommitteeLoss.Abort };

    /// <returns>Null: none.</returns>
    public static SecureAggregationSpec? Read(FieldReader fields)
    {
        switch (fields.Value(Name))
        {
            case null: return new();
            case YamlScalar { Text: "none" }: return null;
            case YamlScalar { Text: "threshold-bfv" }: return new();
        }

        if (fields.Map(Name, required: true) is not { } map) return null;
        string kind = map.Text("kind");
        if (!Kinds.Contains(kind)) map.Add("kind", $"'{kind}' is not known.", Nearest.Repair(kind, Kinds));
        SecureAggregationSpec usual = new();
        SecureAggregationSpec spec = new(
            map.Has("threshold") ? (int)map.Integer("threshold", 2, 32) : null,
            map.Choice<CommitteeLoss>("onCommitteeLoss", Losses, usual.OnCommitteeLoss),
            map.Number("cut", cut => cut is > 0 and <= 1e6, "in (0, 1000000]", usual.Cut),
            map.Has("bits") ? (int)map.Integer("bits", SecureAggregationSpec.LeastBits, SecureAggregationSpec.MostBits) : null,
            (int)map.Integer("maxWeight", 1, 1_000_000_000, usual.MaxWeight),
            (int)map.Integer("maxOpenings", 1, 100_000, usual.MaxOpenings));
        if (kind == "none")
        {
            foreach (string other in s_settings.Where(map.Has)) map.Add(other, "has no meaning without secure aggregation.", "Remove it.");
        }

        map.Close();
        return kind == "none" ? null : spec;
    }
}
