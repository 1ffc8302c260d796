using Federation.Formats.Runs;
using Federation.Formats.Yaml;
using Federation.Privacy.Canonical;
using Federation.Privacy.Ledger;

namespace Federation.Formats.Configuration;

public sealed partial record NodePolicy
{
    /// <summary>Reads a policy in a file of its own: the fields of <c>policy</c> in <c>node.yaml</c>.</summary>
    /// <exception cref="InvalidInputException">Every problem: file, line, field, and what would be right.</exception>
    public static NodePolicy Load(string path) => Parse(TextFile.Read(path), path);

    internal static NodePolicy Parse(string yaml, string path)
    {
        List<Problem> problems = [];
        NodePolicy policy = PolicyReader.ReadFields(new FieldReader(YamlReader.Read(yaml, path), path, problems));
        return problems.Count == 0 ? policy : throw new InvalidInputException([.. problems.OrderBy(problem => problem.Line)]);
    }
}

/// <summary>Reads a site's policy.</summary>
internal static class PolicyReader
{
    private static readonly Dictionary<string, bool> SecureChoices = new() { ["required"] = true, ["optional"] = false };
    private static readonly Dictionary<string, bool> Permissions = new() { ["allowed"] = true, ["refused"] = false };
    private static readonly Dictionary<string, bool> SetsChoices = new() { ["apart"] = true, ["any"] = false };
    private static readonly Dictionary<string, TrustedNoise> NoiseChoices = new() { ["own"] = TrustedNoise.Own, ["any"] = TrustedNoise.Any, ["central"] = TrustedNoise.Central };

    /// <summary>The map <c>policy</c> of a <c>node.yaml</c>; the usual policy where there is none.</summary>
    public static NodePolicy Read(FieldReader node) => node.Map("policy", required: false) is { } policy ? ReadFields(policy) : new();

    public static NodePolicy ReadFields(FieldReader policy)
    {
        NodePolicy usual = new();
        string? written = policy.OptionalText("roster"), roster = written is null ? null : RosterPin.HashIn(written);
        if (written is not null && roster is null) policy.Add("roster", $"'{written}' is no roster's hash.", "Write sha256: and the 64 digits that nodes log with every key epoch; compare them with the other sites first.");

        NodePolicy read = new(
            (int)policy.Integer("minContributors", 3, 100_000, usual.MinContributors),
            (int)policy.Integer("maxColluding", 0, 31, usual.MaxColluding),
            (int)policy.Integer("maxOpenings", 1, 100_000, usual.MaxOpenings),
            roster,
            policy.Choice<bool>("secureAggregation", SecureChoices, false),
            policy.Choice<bool>("statistics", Permissions, false),
            Listed(policy, "runs", IsRunPattern, "a name of " + Names.Rule + ", or the beginning of one and a *"),
            ReadModels(policy),
            Listed(policy, "columns", column => column.Length > 0, "a column's name"),
            ReadPrivacy(policy),
            ReadBudget(policy),
            policy.Choice<bool>("contributorSets", SetsChoices, false),
            policy.Choice<bool>("insecureSeededNoise", Permissions, false),
            ApprovalReader.Read(policy));
        policy.Close();
        return read;
    }

    public static PrivacyBudget? ReadBudget(FieldReader entry)
    {
        if (entry.Map("budget", required: false) is not { } budget) return null;
        double epsilon = budget.Number("epsilon", value => value is > 0 and < double.PositiveInfinity, "above 0"), delta = budget.Number("delta", value => value is > 0 and < 1, "in (0, 1)");
        budget.Close();
        return delta < 1 ? new PrivacyBudget(epsilon, delta) : null; // a problem was noted
    }

    private static PrivacyPolicy? ReadPrivacy(FieldReader policy)
    {
        if (policy.Map("privacy", required: false) is not { } privacy) return null;
        PrivacyPolicy read = new(
            privacy.Choice<DpUnit>("unit", PrivacyReader.Units, DpUnit.Record),
            privacy.Number("minNoiseMultiplier", value => value is >= 0 and <= 1e6, "in [0, 1000000]", 0),
            privacy.Has("maxEpsilon") ? privacy.Number("maxEpsilon", value => value is > 0 and <= 1e6, "in (0, 1000000]") : null,
            privacy.Has("maxDelta") ? privacy.Number("maxDelta", value => value is > 0 and < 1, "in (0, 1)") : null,
            privacy.Choice<TrustedNoise>("noise", NoiseChoices, TrustedNoise.Any));
        privacy.Close();
        return read;
    }

    private static List<ModelKind>? ReadModels(FieldReader policy)
    {
        if (Listed(policy, "models", _ => true, "") is not { } names) return null;
        foreach (string name in names.Where(name => !RunSpec.Models.ContainsKey(name))) policy.Add("models", $"'{name}' is not known.", Nearest.Repair(name, [.. RunSpec.Models.Keys]));
        return [.. names.Where(RunSpec.Models.ContainsKey).Select(name => RunSpec.Models[name])];
    }

    private static IReadOnlyList<string>? Listed(FieldReader policy, string name, Func<string, bool> valid, string rule)
    {
        if (!policy.Has(name)) return null;
        IReadOnlyList<string> texts = policy.Texts(name);
        foreach (string text in texts.Where(text => !valid(text))) policy.Add(name, $"'{text}' is not allowed; {rule} is right.");
        return texts;
    }

    private static bool IsRunPattern(string text) => Names.IsSiteName(text) || (text.EndsWith('*') && (text.Length == 1 || Names.IsSiteName(text[..^1].TrimEnd('-'))));
}
