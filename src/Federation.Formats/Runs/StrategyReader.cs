using System.Globalization;
using Federation.Formats.Yaml;

namespace Federation.Formats.Runs;

/// <summary>Reads <c>strategy</c>: a kind, and the numbers that it takes.</summary>
internal static class StrategyReader
{
    private const string Name = "strategy";

    private static readonly Dictionary<string, StrategyKind> Kinds = new()
    {
        ["fedavg"] = StrategyKind.FedAvg,
        ["fedavgm"] = StrategyKind.FedAvgM,
        ["fedadagrad"] = StrategyKind.FedAdagrad,
        ["fedadam"] = StrategyKind.FedAdam,
        ["fedyogi"] = StrategyKind.FedYogi,
        ["median"] = StrategyKind.Median,
        ["trimmed-mean"] = StrategyKind.TrimmedMean,
        ["krum"] = StrategyKind.Krum,
        ["norm-bound"] = StrategyKind.NormBound,
        ["fednova"] = StrategyKind.FedNova,
        ["scaffold"] = StrategyKind.Scaffold,
        ["q-fedavg"] = StrategyKind.QFedAvg,
        ["custom"] = StrategyKind.Custom,
        ["fedbuff"] = StrategyKind.FedBuff,
    };

    private static readonly Number
        s_learningRate = new("learningRate", value => value is > 0 and <= 1000, "in (0, 1000]", 1),
        s_adaptiveRate = s_learningRate with { Default = 0.1 },
        s_beta1 = new("beta1", value => value is >= 0 and < 1, "in [0, 1)", 0.9),
        s_beta2 = new("beta2", value => value is >= 0 and < 1, "in [0, 1)", 0.99),
        s_tau = new("tau", value => value is > 0 and <= 1, "in (0, 1]", 1e-3);

    private static readonly Dictionary<StrategyKind, Number[]> Numbers = new()
    {
        [StrategyKind.FedAvgM] = [s_learningRate, new("momentum", value => value is >= 0 and < 1, "in [0, 1)", 0.9)],
        [StrategyKind.FedAdagrad] = [s_adaptiveRate, s_beta1 with { Default = 0 }, s_tau],
        [StrategyKind.FedAdam] = [s_adaptiveRate, s_beta1, s_beta2, s_tau],
        [StrategyKind.FedYogi] = [s_adaptiveRate, s_beta1, s_beta2, s_tau],
        [StrategyKind.TrimmedMean] = [new("trim", value => value is >= 0 and < 0.5, "in [0, 0.5)", 0.1)],
        [StrategyKind.Krum] = [new("malicious", IsCount, "that is whole, 0 to 10000,", 1), new("keep", value => value >= 1 && IsCount(value), "that is whole, 1 to 10000,", 1)],
        [StrategyKind.FedBuff] = [new("buffer", value => value >= 1 && IsCount(value), "that is whole, 1 to 10000,", null), s_learningRate, new("maxStaleness", value => value <= 1000 && IsCount(value), "that is whole, 0 to 1000,", 10)],
        [StrategyKind.Scaffold] = [s_learningRate],
        [StrategyKind.QFedAvg] = [new("q", value => value is >= 0 and <= 100, "in [0, 100]", 1)],
        [StrategyKind.NormBound] = [new("maxNorm", value => value is > 0 and <= 1e6, "in (0, 1000000]", null)],
    };

    private static readonly string[] s_all = [.. Numbers.Values.SelectMany(numbers => numbers).Select(number => number.Name).Distinct()];

    private static readonly string[] s_own = ["name", "parameters"];

    /// <summary>What other frameworks call a strategy, and here goes with any of them: what is wrong, what is right.</summary>
    private static readonly Dictionary<string, (string Message, string Repair)> Elsewhere = new()
    {
        ["fedbn"] = ("is 'fedbn', which is a matter of what sites share: it goes with every strategy that works on a mean.", "Write personal: { tensors: [\"*.bn*\"] } with the names of the model's normalisation, and here what is to become of the mean, such as kind: fedavg."),
        ["fedprox"] = ("is 'fedprox', which is a matter of how sites train: it goes with every strategy.", "Write local: { …, proximal: 0.01 }, and here what is to become of the mean, such as kind: fedavg."),
    };

    /// <param name="Default">Null: it has to be said.</param>
    private sealed record Number(string Name, Func<double, bool> Valid, string Rule, double? Default);

    public static StrategySpec Read(FieldReader fields)
    {
        if (fields.Map(Name, required: false) is not { } map) return StrategySpec.FedAvg;
        StrategyKind kind = ReadKind(map);
        Dictionary<string, double> numbers = [];
        string? name = null;
        if (kind == StrategyKind.Custom)
        {
            name = map.Text("name", Names.IsSiteName, Names.Rule);
            ReadOwn(map, numbers);
        }
        else
        {
            Number[] own = Numbers.GetValueOrDefault(kind, []);
            foreach (Number number in own) numbers[number.Name] = map.Number(number.Name, number.Valid, number.Rule, number.Default);
            foreach (string other in s_all.Where(other => !numbers.ContainsKey(other) && map.Has(other)))
            {
                map.Add(other, $"belongs to {string.Join(" and ", Kinds.Where(entry => Numbers.GetValueOrDefault(entry.Value, []).Any(number => number.Name == other)).Select(entry => entry.Key))}.", own.Length == 0 ? "Remove it." : $"{map.Text("kind")} takes {string.Join(", ", own.Select(number => number.Name))}.");
            }

            foreach (string other in s_own.Where(map.Has)) map.Add(other, "belongs to kind: custom.", "Remove it.");
        }

        map.Close();
        return new StrategySpec(kind, numbers, name);
    }

    private static StrategyKind ReadKind(FieldReader map)
    {
        if (map.Value("kind") is not YamlScalar { Text: var text } || !Elsewhere.TryGetValue(text, out (string Message, string Repair) other)) return map.Choice("kind", Kinds);
        map.Add("kind", other.Message, other.Repair);
        return StrategyKind.FedAvg;
    }

    /// <summary>What a strategy cannot work with.</summary>
    public static void Check(FieldReader fields, RunSpec spec)
    {
        string kind = Kinds.Single(entry => entry.Value == spec.Strategy.Kind).Key;
        if (spec.Strategy.Kind is StrategyKind.FedNova or StrategyKind.Scaffold or StrategyKind.QFedAvg) CheckLocal(fields, spec, kind);
        if (!spec.Strategy.SeesUpdates) return;
        if (spec.Strategy.Kind == StrategyKind.FedBuff) CheckBuffer(fields, spec);
        if (spec.SecureAggregation is not null) fields.Add(Name, spec.Strategy.Kind == StrategyKind.FedBuff
            ? "fedbuff weights each update by the age of the model that it starts from; under secure aggregation nobody sees one, and what is opened is a sum of updates that all start from one model."
            : $"{kind} compares the sites' updates; under secure aggregation nobody sees one, and only their sum is opened.", "Write secureAggregation: none where the sites trust the coordinator with their updates; else write kind: fedavg.");
        if (spec.Privacy is { IsCentral: true }) fields.Add(Name, $"{kind} is no clipped sum, which is what the coordinator's noise is measured for.", "Write kind: fedavg, or one of the other kinds that work on the mean.");
        if (spec.Strategy.Kind != StrategyKind.Krum) return;
        int least = Math.Max((2 * spec.Strategy.Count("malicious")) + 3, spec.Strategy.Count("malicious") + spec.Strategy.Count("keep"));
        if (spec.Cohort.MinContributors < least) fields.Add(Name, FormattableString.Invariant($"krum with malicious: {spec.Strategy.Count("malicious")} and keep: {spec.Strategy.Count("keep")} needs {least} updates; cohort.minContributors is {spec.Cohort.MinContributors}."), "Raise cohort.minContributors, or lower these.");
    }

    private static void CheckBuffer(FieldReader fields, RunSpec spec)
    {
        if (fields.Map(Name, required: false)?.Has("buffer") != true) return;
        int buffer = spec.Strategy.Count("buffer");
        if (buffer < spec.Cohort.MinContributors) fields.Add(Name, FormattableString.Invariant($"a buffer of {buffer} is less than the {spec.Cohort.MinContributors} updates that a step needs at least (cohort.minContributors)."), "Raise buffer, or lower cohort.minContributors.");
        if (buffer > spec.Cohort.Sites?.Count) fields.Add(Name, FormattableString.Invariant($"a buffer of {buffer} is never full: it takes one update of each of {spec.Cohort.Sites.Count} sites."), "Lower buffer, or list more sites.");
        if (spec.Cohort.Draw is not null) fields.Add(Name, "fedbuff takes each site's update when it comes; there is no cohort to draw.", "Remove count, fraction and overSelect from cohort.");
    }

    /// <summary>Strategies with a part at the sites.</summary>
    private static void CheckLocal(FieldReader fields, RunSpec spec, string kind)
    {
        const string repair = "Write kind: fedavg, or one of the other kinds that work on the mean of the updates.";
        if (spec.Local.Optimizer.Kind != OptimizerKind.Sgd) fields.Add(Name, $"{kind} reckons with steps of sgd; local.optimizer is another.", "Write local: { optimizer: { kind: sgd, … }, … }, or another strategy.");
        if (spec.Strategy.Kind == StrategyKind.Scaffold && spec.Local is not { Optimizer.Momentum: 0, Proximal: 0 }) fields.Add(Name, "scaffold takes a site's mean gradient from what its model moved by, which momentum and proximal change.", "Remove them.");
        double pull = spec.Local.Proximal * spec.Schedule.Select(change => change.LearningRate ?? 0).Append(spec.Local.Optimizer.LearningRate).Max();
        if (spec.Strategy.Kind == StrategyKind.FedNova && pull >= 1) fields.Add(Name, FormattableString.Invariant($"fednova divides by how far a site's steps reach, which a pull of learningRate·proximal = {pull:g4} takes away."), "Keep learningRate·proximal below 1.");
        if (spec.Privacy is null) return;
        fields.Add(Name, (spec.Strategy.Kind, spec.Privacy.Unit) switch
        {
            (StrategyKind.FedNova, DpUnit.Site) => "fednova opens the mean number of the sites' steps, which tells of their numbers of examples, and no noise hides that.",
            (StrategyKind.FedNova, _) => "under differential privacy every site takes as many steps, where fednova is fedavg.",
            (StrategyKind.QFedAvg, _) => "q-fedavg opens powers of the sites' training losses, which no noise hides.",
            _ => "scaffold sends and keeps a site's mean gradient beside its update; clipping and noise are measured for the update alone.",
        }, repair);
    }

    private static void ReadOwn(FieldReader map, Dictionary<string, double> numbers)
    {
        switch (map.Value("parameters"))
        {
            case null: return;
            case YamlMap own:
                foreach ((string name, YamlValue value) in own.Fields)
                {
                    if (value is YamlScalar scalar && YamlText.TryNumber(scalar.Text, out double number) && double.IsFinite(number)) numbers[name] = number;
                    else map.Add("parameters", string.Create(CultureInfo.InvariantCulture, $"{name} is {FieldReader.Show(value)}; the parameters of one's own strategy are numbers."));
                }

                return;
            default:
                map.Add("parameters", "has no fields.", "Write parameters: { alpha: 0.5 }.");
                return;
        }
    }

    private static bool IsCount(double value) => value is >= 0 and <= 10_000 && value == Math.Floor(value);
}
