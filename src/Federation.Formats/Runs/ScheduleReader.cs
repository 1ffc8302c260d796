using Federation.Formats.Yaml;

namespace Federation.Formats.Runs;

/// <summary>Reads <c>schedule</c>, what changes from a round on, and <c>stop</c>, when a run ends early.</summary>
internal static class ScheduleReader
{
    private const string Name = "schedule";
    private const int MostEntries = 1000;

    public static IReadOnlyList<RoundSettings> Read(FieldReader fields, RunSpec spec)
    {
        List<RoundSettings> schedule = [];
        IReadOnlyList<YamlValue> entries = fields.List(Name, required: false);
        if (entries.Count > MostEntries) fields.Add(Name, $"has {entries.Count} entries; at most {MostEntries} are right.");
        for (int i = 0; i < entries.Count; i++)
        {
            if (fields.Entry(Name, i, entries[i]) is not { } entry) continue;
            var change = new RoundSettings(
                (int)entry.Integer("fromRound", 2, 1_000_000),
                entry.Has("learningRate") ? entry.Number("learningRate", rate => rate is > 0 and <= 1000, "in (0, 1000]") : null,
                entry.Has("batchSize") ? (int)entry.Integer("batchSize", 1, 1_000_000) : null,
                entry.Has("epochs") ? (int)entry.Integer("epochs", 1, 10_000) : null);
            if (entry.Has("fromRound") && change.FromRound > spec.Rounds) entry.Add("fromRound", $"{change.FromRound} is after the last of the run's {spec.Rounds} rounds.", "Lower it, or raise rounds.");
            if (entry.Has("fromRound") && schedule.Count > 0 && change.FromRound <= schedule[^1].FromRound) entry.Add("fromRound", $"{change.FromRound} does not come after {schedule[^1].FromRound}, which the entry before says.", "Write the entries in the order of their rounds.");
            if (change is { LearningRate: null, BatchSize: null, Epochs: null }) entry.Add("fromRound", "says when, and nothing says what changes.", "Write learningRate, batchSize or epochs.");
            RequireTheSameCost(entry, spec.Privacy, change);
            if (spec is { Strategy.Kind: StrategyKind.FedNova, SecureAggregation: not null } && (change.BatchSize ?? change.Epochs) is not null)
            {
                entry.Add("fromRound", "changes how many steps a site may take; under secure aggregation the encoding of fednova has room for those of one batch size and number of epochs.", "Change learningRate alone.");
            }

            entry.Close();
            schedule.Add(change);
        }

        return schedule;
    }

    public static StopSpec? ReadStop(FieldReader fields, RunSpec spec)
    {
        if (fields.Map("stop", required: false) is not { } stop) return null;
        var read = new StopSpec(
            stop.Text("metric"),
            stop.Has("patience") ? (int)stop.Integer("patience", 1, 1_000_000) : null,
            stop.Number("minDelta", value => value is >= 0 and <= 1000, "in [0, 1000]", 0),
            stop.Has("target") ? stop.Number("target", value => value is >= 0 and <= 1000, "in [0, 1000]") : null);
        if (spec.Evaluate is not { } evaluate) stop.Add("metric", "is looked at in the run's evaluations, and the run has none.", "Write evaluate: { every: 5 }.");
        else if (stop.Has("metric") && !evaluate.Metrics.Contains(read.Metric)) stop.Add("metric", $"'{read.Metric}' is none of evaluate.metrics.", Nearest.Repair(read.Metric, evaluate.Metrics));
        else if (read.Metric == "auc" && spec.Task is { Kind: TaskKind.MulticlassClassification }) stop.Add("metric", "is auc, which a task of several classes has not.", "Write metric: accuracy.");
        if (read is { Patience: null, Target: null }) stop.Add("metric", "says what is looked at, and nothing says when it is enough.", "Write patience: 3, or a target, or both.");
        if (read.Patience is null && stop.Has("minDelta")) stop.Add("minDelta", "belongs to patience.", "Write patience: 3, or remove it.");
        stop.Close();
        return read;
    }

    /// <summary>Every round costs what the ledgers were told that it costs.</summary>
    private static void RequireTheSameCost(FieldReader entry, PrivacySpec? privacy, RoundSettings change)
    {
        if (privacy is null or { Unit: DpUnit.Site }) return; // whole updates are clipped, however they came about
        if (privacy.Noise == NoiseSource.Shared)
        {
            entry.Add("fromRound", "changes the local training of a run with noise: shared: range, grid and noise of its encrypted updates are made for one learning rate and batch size, and charged as such in every round.", "Remove the schedule, or write noise: own.");
            return;
        }

        foreach (string other in new[] { change.BatchSize is null ? "" : "batchSize", change.Epochs is null ? "" : "epochs" }.Where(name => name.Length > 0))
        {
            entry.Add(other, $"cannot change under differential privacy: {(other == "epochs" ? "a round has steps, not epochs" : "the noisy sums are divided by one expected size")}, and each round is charged the same.", "Change learningRate alone, which costs nothing.");
        }
    }
}
