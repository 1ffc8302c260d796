using Federation.Cli.Terminal;
using Federation.Protocol;

namespace Federation.Cli.Results;

/// <param name="State">At the end where the verb watched, else just after submission.</param>
/// <param name="ModelSha256">The newest global model; null: the run asks for statistics.</param>
/// <param name="SpecSha256">Of spec, schema and initial model together: what sites approve.</param>
/// <param name="KeySha256">Of the key that it is signed with; null: unsigned.</param>
internal sealed record SubmittedRun(string Run, string Name, string State, string? ModelSha256, string SpecSha256, string? KeySha256, string? Reason);

internal sealed record RunList(IReadOnlyList<RunEntry> Runs);

/// <param name="Reason">Why it waits, failed or was cancelled.</param>
internal sealed record RunEntry(string Run, string Name, string State, uint CompletedRounds, uint Rounds, DateTimeOffset Submitted, string? Reason)
{
    public static RunEntry Of(V1.RunSummary run) => new(
        run.RunId, run.Name, run.State, run.CompletedRounds, run.Rounds, DateTimeOffset.FromUnixTimeMilliseconds(run.SubmittedUnixMs), run.Reason.Length == 0 ? null : run.Reason);
}

/// <param name="ModelSha256">Null: the run asks for statistics.</param>
/// <param name="SecureAggregation">Null: none.</param>
/// <param name="StatisticsSha256">What a run for statistics opened; null: nothing yet, or the run trains.</param>
/// <param name="Submission">Null: an older coordinator took the run.</param>
internal sealed record RunDetail(RunEntry Run, IReadOnlyList<RunSiteEntry> Sites, IReadOnlyList<RoundEntry> Rounds, string? ModelSha256, SecureAggregationEntry? SecureAggregation, string? StatisticsSha256, SubmissionEntry? Submission)
{
    public static RunDetail Of(V1.RunDetails details) => new(
        RunEntry.Of(details.Summary), [.. details.Sites.Select(RunSiteEntry.Of)], [.. details.Rounds.Select(RoundEntry.Of)], details.ModelSha256.Length == 0 ? null : details.ModelSha256,
        details.SecureAggregation is { } secure ? SecureAggregationEntry.Of(secure) : null, details.StatisticsSha256.Length == 0 ? null : details.StatisticsSha256,
        details.Submission is { } submission ? SubmissionEntry.Of(submission.ToDomain(), details.SpecYaml, details.SchemaYaml) : null);
}

/// <param name="Mismatches">Why it was refused or failed, everything that is wrong; which approvals it waits for.</param>
internal sealed record RunSiteEntry(string Site, string State, IReadOnlyList<string> Mismatches)
{
    public static RunSiteEntry Of(V1.RunSite site) => new(site.Name, site.State, [.. site.Mismatches]);
}

/// <param name="Weight">Examples, summed over the contributors; 0 in an encrypted run that is differentially private, where nobody knows.</param>
/// <param name="BytesDown">Message bytes of models to all nodes.</param>
internal sealed record RoundEntry(
    uint Round, string State, IReadOnlyList<string> Cohort, IReadOnlyList<string> Contributors, ulong Weight, string? ModelSha256, double Seconds, ulong BytesDown, ulong BytesUp, ulong BytesControl, OpeningEntry? Opening)
{
    public static RoundEntry Of(V1.RoundSummary round) => new(
        round.Round, round.State, [.. round.Cohort], [.. round.Contributors], round.Weight, round.ModelSha256.Length == 0 ? null : round.ModelSha256,
        round.Seconds, round.BytesDown, round.BytesUp, round.BytesControl, round.Opening is { } opening ? OpeningEntry.Of(opening) : null);
}

/// <param name="Members">Those whose answers opened the sum.</param>
/// <param name="Bytes">Of all contributions.</param>
/// <param name="TranscriptSha256">Of the signed messages, as <c>fed run verify-transcript</c> reads them.</param>
internal sealed record OpeningEntry(uint Epoch, IReadOnlyList<string> Members, ulong Bytes, double OpeningSeconds, double DecodingSeconds, string TranscriptSha256)
{
    public static OpeningEntry Of(V1.Opening opening) => new(opening.Epoch, [.. opening.Members], opening.Bytes, opening.OpeningSeconds, opening.DecodingSeconds, opening.TranscriptSha256);
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
/// <param name="LogLoss">Null where no losses were summed, like <paramref name="Brier"/>: in noisy evaluations.</param>
internal sealed record MetricValues(ulong Examples, double Accuracy, double? Auc, double? LogLoss, double? Brier)
{
    public static MetricValues Of(V1.Metrics metrics) => new(metrics.Examples, metrics.Accuracy, metrics.HasAuc ? metrics.Auc : null, metrics.HasLogLoss ? metrics.LogLoss : null, metrics.HasBrier ? metrics.Brier : null);

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
