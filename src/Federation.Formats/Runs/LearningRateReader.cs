using Federation.Formats.Yaml;

namespace Federation.Formats.Runs;

/// <summary>Reads <c>local.learningRateSchedule</c>, and refuses what it and the average of the weights do not go with.</summary>
internal static class LearningRateReader
{
    private const string Name = "learningRateSchedule";
    private static readonly Dictionary<string, LearningRateDecay> Kinds = new() { ["constant"] = LearningRateDecay.Constant, ["step"] = LearningRateDecay.Step, ["cosine"] = LearningRateDecay.Cosine };
    private static readonly Dictionary<string, bool> Clocks = new() { ["rounds"] = false, ["steps"] = true };
    private static readonly string[] s_ofSteps = ["at", "factor"];

    /// <returns>Null: there is none.</returns>
    public static LearningRateSchedule? Read(FieldReader local)
    {
        if (local.Map(Name, required: false) is not { } map) return null;
        LearningRateDecay kind = map.Choice("kind", Kinds);
        bool isOverSteps = map.Choice("over", Clocks);
        double warmUp = map.Number("warmUp", part => part is >= 0 and < 1, "in [0, 1), a part of the run,", 0), factor = map.Number("factor", value => value is > 0 and <= 1, "in (0, 1]", 0.1), minimum = map.Number("minimum", value => value is >= 0 and <= 1, "in [0, 1], a part of learningRate,", 0);
        List<double> at = ReadParts(map, required: kind == LearningRateDecay.Step);
        if (kind != LearningRateDecay.Step)
        {
            foreach (string other in s_ofSteps.Where(map.Has)) map.Add(other, "belongs to kind: step.", "Remove it, or write kind: step.");
        }

        if (kind != LearningRateDecay.Cosine && map.Has("minimum")) map.Add("minimum", "belongs to kind: cosine.", "Remove it, or write kind: cosine.");
        map.Close();
        return new LearningRateSchedule(kind, isOverSteps, warmUp, at, factor, minimum);
    }

    private static List<double> ReadParts(FieldReader map, bool required)
    {
        const string at = "at", rule = "Parts of the run between 0 and 1, each later than the one before, are right: at: [0.5, 0.75].";
        List<double> parts = [];
        IReadOnlyList<YamlValue> values = map.List(at, required);
        if (required && map.Has(at) && values.Count is 0 or > 100) map.Add(at, $"has {values.Count} entries; 1 to 100 are right.");
        foreach (YamlValue value in values)
        {
            if (value is YamlScalar scalar && YamlText.TryNumber(scalar.Text, out double part) && part is > 0 and < 1 && (parts.Count == 0 || part > parts[^1])) parts.Add(part);
            else map.Add(at, $"{FieldReader.Show(value)} does not fit.", rule);
        }

        return parts;
    }

    /// <summary>What else in the spec reckons with one learning rate, or with the last weights of a site's training.</summary>
    public static void Check(FieldReader fields, RunSpec spec)
    {
        LocalSpec local = spec.Local;
        if (local.RateSchedule is not null && spec.Schedule.Any(change => change.LearningRate is not null)) fields.Add("schedule", "changes learningRate, which local.learningRateSchedule changes too.", "Remove one of the two.");
        if (spec.Privacy is { Noise: NoiseSource.Shared, Unit: not DpUnit.Site })
        {
            if (local.RateSchedule is not null) fields.Add("local", "learningRateSchedule changes the steps of a run with noise: shared: range, grid and noise of its encrypted updates are made for one learning rate, and charged as such in every round.", "Remove it, or write noise: own.");
            if (local.WeightAverage > 0) fields.Add("local", "weightAverage is the mean over the weights after each step; with shared noise a round is one step.", "Remove it, or write noise: own.");
        }

        if (spec.Strategy.Kind is not (StrategyKind.FedNova or StrategyKind.Scaffold or StrategyKind.QFedAvg)) return;
        if (local.RateSchedule is { IsOverSteps: true }) fields.Add("strategy", "reckons with one learning rate in a round; local.learningRateSchedule changes it from step to step.", "Write learningRateSchedule: { …, over: rounds }, or another strategy.");
        if (local.WeightAverage > 0) fields.Add("strategy", "reckons with what a site's steps move its model by; local.weightAverage sends the mean of the weights on the way.", "Remove weightAverage, or write another strategy.");
    }
}
