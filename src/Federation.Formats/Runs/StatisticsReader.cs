using Federation.Formats.Yaml;

namespace Federation.Formats.Runs;

/// <summary>Reads a spec that asks for statistics instead of training.</summary>
internal static class StatisticsReader
{
    public const int UsualBins = 50, MostBins = 1000;

    private static readonly string[] s_training = ["model", "task", "rounds", "seed", "local", "strategy", "personal", "evaluate", "privacy", "schedule", "stop"];

    public static RunSpec Read(FieldReader fields, DataSpec? data, CohortSpec cohort)
    {
        StatisticsSpec statistics = new(null, UsualBins);
        PrivacySpec? privacy = null;
        if (fields.Map("statistics", required: true) is { } map)
        {
            IReadOnlyList<string>? columns = map.Has("columns") ? map.Texts("columns") : null;
            if (columns is { Count: 0 }) map.Add("columns", "names no column.", "Leave it out to ask for all.");
            if (columns?.GroupBy(column => column).FirstOrDefault(group => group.Count() > 1) is { } twice) map.Add("columns", $"'{twice.Key}' stands twice.");
            statistics = new(columns, (int)map.Integer("bins", 1, MostBins, UsualBins));
            privacy = PrivacyReader.ReadForStatistics(map, cohort);
            map.Close();
        }

        foreach (string name in s_training.Where(fields.Has)) fields.Add(name, "has no meaning: the run asks for statistics and trains nothing.", "Remove it.");
        SecureAggregationSpec? secure = SecureAggregationReader.Read(fields);
        if (secure is null) fields.Add("secureAggregation", "is none; statistics of sites are opened only as sums.", "Remove it.");
        return new RunSpec
        {
            Name = fields.Text("name", Names.IsSiteName, Names.Rule),
            Data = data,
            Model = new ModelSpec(ModelKind.Custom, []),
            Rounds = 1,
            Seed = 0,
            Cohort = cohort,
            Local = new LocalSpec(new OptimizerSpec(OptimizerKind.Sgd, 1), 1, 1),
            Strategy = StrategySpec.FedAvg,
            SecureAggregation = secure,
            Privacy = privacy,
            Statistics = statistics,
        };
    }
}
