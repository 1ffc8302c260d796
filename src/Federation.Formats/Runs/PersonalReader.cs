using Federation.Formats.Yaml;

namespace Federation.Formats.Runs;

/// <summary>Reads <c>personal</c>: what of the model stays at each site.</summary>
internal static class PersonalReader
{
    private const string Name = "personal";
    private const int MostPatterns = 100, LongestPattern = 200;

    /// <returns>Null: the sites share all of the model, and keep nothing more of it.</returns>
    public static PersonalSpec? Read(FieldReader fields)
    {
        if (fields.Map(Name, required: false) is not { } map) return null;
        IReadOnlyList<string> tensors = map.Texts("tensors");
        var spec = new PersonalSpec(tensors, (int)map.Integer("fineTuneEpochs", 1, 10_000, fallback: 0));
        if (map.Has("tensors") && tensors.Count is 0 or > MostPatterns) map.Add("tensors", $"names {tensors.Count} patterns; 1 to {MostPatterns} are right.");
        foreach (string wrong in tensors.Where(pattern => pattern.Length is 0 or > LongestPattern || pattern.IndexOfAny(['?', '\\']) >= 0))
        {
            map.Add("tensors", $"'{(wrong.Length <= 60 ? wrong : wrong[..60] + "…")}' is no pattern of tensor names; 1 to {LongestPattern} characters are right, of which * stands for any.", "Write for example tensors: [\"*.bn*\", \"head.*\"].");
        }

        if (!map.Has("tensors") && spec.FineTuneEpochs == 0) fields.Add(Name, "says nothing of what is personal.", "Write tensors: [\"head.*\"] for what stays at the site in every round, fineTuneEpochs: 5 for training after the last, or both.");
        map.Close();
        return spec;
    }

    /// <summary>What a part that stays at the site cannot go with.</summary>
    public static void Check(FieldReader fields, RunSpec spec)
    {
        if (spec.Personal is not { Tensors.Count: > 0 }) return;
        if (spec.Privacy is { Noise: NoiseSource.Shared, Unit: not DpUnit.Site }) fields.Add(Name, "tensors that stay at the site would be trained without noise, because with noise: shared a site's own part hides nothing by itself; what is shared in later rounds depends on them, and nobody pays for that.", "Write noise: own, whose noisy steps train both parts, or remove tensors.");
        if (spec.Strategy.Kind == StrategyKind.FedBuff) fields.Add(Name, "tensors that stay at the site go with rounds, and fedbuff has none at the sites.", "Remove tensors, or write strategy: { kind: fedavg }.");
        if (spec.Strategy.Kind == StrategyKind.Scaffold) fields.Add(Name, "tensors that stay at the site have no control variates; scaffold is for models that are shared as a whole.", "Remove tensors, or write strategy: { kind: fedavg }.");
    }
}
