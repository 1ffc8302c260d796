using System.Globalization;
using Federation.Formats.Evaluation;
using Federation.Formats.Runs;

namespace Federation.Server.Runs;

/// <param name="Best">The best figure so far.</param>
/// <param name="Stale">Evaluations since, none of which was better.</param>
public sealed record StopProgress(double Best, int Stale);

/// <summary>Whether a run has come far enough. Pure: its progress is part of the run's state, so a restart forgets no evaluation and counts none twice.</summary>
internal static class StopRules
{
    /// <summary>After one more evaluation.</summary>
    /// <returns>What is known now, and why the run ends; null: it goes on.</returns>
    public static (StopProgress? Progress, string? Reason) After(RunPlan plan, StopProgress? before, Metrics metrics)
    {
        if (plan.Stop is not { } stop || ValueOf(stop.Metric, metrics) is not { } value || !double.IsFinite(value)) return (before, null);
        double sign = stop.IsHigherBetter ? 1 : -1;
        StopProgress after = before is null || sign * (value - before.Best) > stop.MinDelta ? new(value, 0) : before with { Stale = before.Stale + 1 };
        if (stop.Target is { } target && sign * (value - target) >= 0) return (after, string.Create(CultureInfo.InvariantCulture, $"{stop.Metric} {value:0.0000} has reached the target {target}."));
        return (after, after.Stale >= stop.Patience ? string.Create(CultureInfo.InvariantCulture, $"{stop.Metric} was no better than {after.Best:0.0000} in {after.Stale} evaluations.") : null);
    }

    private static double? ValueOf(string metric, Metrics metrics) => metric switch
    {
        "accuracy" => metrics.Accuracy,
        "auc" => metrics.Auc,
        "log-loss" => metrics.LogLoss,
        "brier" => metrics.Brier,
        _ => throw new ArgumentOutOfRangeException(nameof(metric), metric, "No such metric."),
    };
}
