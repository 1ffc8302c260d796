using Federation.Cli.Terminal;

namespace Federation.Cli.Results;

/// <param name="State">At the end where the verb watched, else just after submission.</param>
/// <param name="ModelSha256">The newest global model.</param>
internal sealed record SubmittedRun(string Run, string Name, string State, string ModelSha256, string? Reason);

internal sealed record RunList(IReadOnlyList<RunEntry> Runs);

/// <param name="Reason">Why it waits, failed or was cancelled.</param>
internal sealed record RunEntry(string Run, string Name, string State, uint CompletedRounds, uint Rounds, DateTimeOffset Submitted, string? Reason)
{
    public static RunEntry Of(V1.RunSummary run) => new(
        run.RunId, run.Name, run.State, run.CompletedRounds, run.Rounds, DateTimeOffset.FromUnixTimeMilliseconds(run.SubmittedUnixMs), run.Reason.Length == 0 ? null : run.Reason);
}

/// <param name="SecureAggregation">Null: none.</param>
internal sealed record RunDetail(RunEntry Run, IReadOnlyList<RunSiteEntry> Sites, IReadOnlyList<RoundEntry> Rounds, string ModelSha256, SecureAggregationEntry? SecureAggregation)
{
    public static RunDetail Of(V1.RunDetails details) => new(
        RunEntry.Of(details.Summary), [.. details.Sites.Select(RunSiteEntry.Of)], [.. details.Rounds.Select(RoundEntry.Of)], details.ModelSha256,
        details.SecureAggregation is { } secure ? SecureAggregationEntry.Of(secure) : null);
}

/// <param name="Mismatches">Why it was refused or failed, everything that is wrong.</param>
internal sealed record RunSiteEntry(string Site, string State, IReadOnlyList<string> Mismatches)
{
    public static RunSiteEntry Of(V1.RunSite site) => new(site.Name, site.State, [.. site.Mismatches]);
}

/// <param name="Weight">Examples, summed over the contributors.</param>
/// <param name="BytesDown">Message bytes of models to all nodes.</param>
internal sealed record RoundEntry(
    uint Round, string State, IReadOnlyList<string> Cohort, IReadOnlyList<string> Contributors, ulong Weight, string? ModelSha256, double Seconds, ulong BytesDown, ulong BytesUp, ulong BytesControl)
{
    public static RoundEntry Of(V1.RoundSummary round) => new(
        round.Round, round.State, [.. round.Cohort], [.. round.Contributors], round.Weight, round.ModelSha256.Length == 0 ? null : round.ModelSha256,
        round.Seconds, round.BytesDown, round.BytesUp, round.BytesControl);
}

/// <summary>One line of <c>fed run watch --json</c>.</summary>
internal sealed record RunEventLine(ulong Sequence, DateTimeOffset Time, string Kind, uint? Round, string? Site, string Message, string? ModelSha256, MetricValues? Metrics)
{
    public static RunEventLine Of(V1.RunEvent happened) => new(
        happened.Sequence,
        DateTimeOffset.FromUnixTimeMilliseconds(happened.UnixMs),
        happened.Kind,
        happened.Round == 0 ? null : happened.Round,
        happened.Site.Length == 0 ? null : happened.Site,
        happened.Message,
        happened.ModelSha256.Length == 0 ? null : happened.ModelSha256,
        happened.Metrics is { } metrics ? MetricValues.Of(metrics) : null);
}

/// <param name="Auc">Null in a multi-class task, or where one class is missing.</param>
internal sealed record MetricValues(ulong Examples, double Accuracy, double? Auc, double LogLoss, double Brier)
{
    public static MetricValues Of(V1.Metrics metrics) => new(metrics.Examples, metrics.Accuracy, metrics.HasAuc ? metrics.Auc : null, metrics.LogLoss, metrics.Brier);

    public static MetricValues Of(Formats.Evaluation.Metrics metrics) => new(metrics.Examples, metrics.Accuracy, metrics.Auc, metrics.LogLoss, metrics.Brier);

    /// <summary>By the name that specs and flags use.</summary>
    public double? this[string name] => name switch
    {
        "accuracy" => Accuracy,
        "auc" => Auc,
        "log-loss" => LogLoss,
        "brier" => Brier,
        _ => throw new ArgumentException($"'{name}' is no metric.", nameof(name)),
    };

    public override string ToString()
    {
        string auc = Auc is null ? "" : $", AUC {Text.Metric(Auc)}";
        return $"accuracy {Text.Metric(Accuracy)}{auc}";
    }
}
