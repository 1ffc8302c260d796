using Federation.Formats.Yaml;

namespace Federation.Formats.Configuration;

/// <summary>Reads the fields of a policy that say whose signatures and which hashes a run needs.</summary>
internal static class ApprovalReader
{
    private const int LongestName = 100;

    /// <returns>Null: the policy has none of the fields.</returns>
    public static ApprovalPolicy? Read(FieldReader policy)
    {
        IReadOnlyList<NamedKey>? submitters = policy.Has("submitters") ? ReadKeys(policy, "submitters") : null;
        CosignerPolicy? cosigners = policy.Map("cosigners", required: false) is { } asked ? ReadCosigners(asked) : null;
        IReadOnlyList<string>? specs = null, models = null;
        if (policy.Map("approved", required: false) is { } approved)
        {
            (specs, models) = (ReadHashes(approved, "specs"), ReadHashes(approved, "models"));
            approved.Close();
        }

        return (submitters, cosigners, specs, models) is (null, null, null, null) ? null : new(submitters, cosigners, specs, models);
    }

    private static CosignerPolicy ReadCosigners(FieldReader asked)
    {
        List<NamedKey> keys = ReadKeys(asked, "keys");
        int required = (int)asked.Integer("required", 1, Math.Max(1, keys.Count), Math.Max(1, keys.Count));
        asked.Close();
        return new(required, keys);
    }

    private static List<NamedKey> ReadKeys(FieldReader fields, string name)
    {
        List<NamedKey> keys = [];
        IReadOnlyList<YamlValue> entries = fields.List(name, required: true);
        if (fields.Has(name) && fields.Value(name) is YamlList && entries.Count == 0) fields.Add(name, "names nobody, so that no run could ever be signed.", "Write [ { name: ann, key: sha256:… } ]; `fed operator key` prints a key's hash.");
        for (int i = 0; i < entries.Count; i++)
        {
            if (fields.Entry(name, i, entries[i]) is not { } entry) continue;
            string who = entry.Text("name", text => text.Length is > 0 and <= LongestName && !text.Any(char.IsControl), $"1 to {LongestName} characters on one line are right"), key = entry.Text("key");
            if (entry.Value("key") is YamlScalar { IsNull: false } && RosterPin.HashIn(key) is null) entry.Add("key", $"'{key}' is no key's hash.", $"Write {RosterPin.Prefix} and the 64 digits that `fed operator key` prints at its owner's; read its words to each other first.");
            if (RosterPin.HashIn(key) is { } sha256 && keys.Any(other => other.Sha256 == sha256)) entry.Add("key", "is listed twice, and counts once.", "Leave one of the entries out.");
            keys.Add(new(who, RosterPin.HashIn(key) ?? ""));
            entry.Close();
        }

        return keys;
    }

    private static List<string>? ReadHashes(FieldReader approved, string name)
    {
        if (!approved.Has(name)) return null;
        IReadOnlyList<string> texts = approved.Texts(name);
        foreach (string text in texts.Where(text => RosterPin.HashIn(text) is null)) approved.Add(name, $"'{text}' is no hash.", $"Write {RosterPin.Prefix} and the 64 digits that `fed node policy check SPEC` prints.");
        return [.. texts.Select(RosterPin.HashIn).OfType<string>()];
    }
}
