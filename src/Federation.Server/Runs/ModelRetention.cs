using System.Collections.Immutable;
using System.Data.Common;
using Federation.Formats.Configuration;
using Federation.Formats.Evaluation;
using Federation.Server.Storage;
using Microsoft.Extensions.Logging;

namespace Federation.Server.Runs;

/// <summary>
/// The one rule of which blobs stay: those that a record names, but for models that retention gives up. Records stay in any case, and with them what was signed: a run without its old models is checked as before.
/// </summary>
/// <param name="rule">Null: every model stays.</param>
internal sealed class ModelRetention(RunContext context, RetentionRule? rule)
{
    private static readonly TimeSpan Interval = TimeSpan.FromHours(1);
    private DateTimeOffset _next = DateTimeOffset.MinValue;
    private TimeSpan _moved;

    /// <summary>At the start, before anything is made: also what a killed process left that no record names. A killed round leaves such a model; it is made anew, under central noise with other noise.</summary>
    public void Start() => Guarded(() =>
    {
        // A database without a run may have been made in the place of one that is lost: then what is left is not to go too.
        if (context.Store.Runs().Count == 0) return;
        if (context.Blobs.DropAllBut(context.Store.NamedContents()) is > 0 and var dropped) context.Logger.LogInformation("Removed {Count} files from the blobs that no record names; the program was stopped before it had recorded them", dropped);
    });

    /// <summary>Time went by: once an hour.</summary>
    public void Tick()
    {
        DateTimeOffset now = context.Time.GetUtcNow();
        if (rule is null || context.Steady.GetUtcNow() < _next) return;
        // A clock that was just set may be set again, and what it removes is gone for good.
        if (context.Steady.Moved is var moved && (moved - _moved).Duration() >= ClockRules.Least)
        {
            (_moved, _next) = (moved, context.Steady.GetUtcNow() + Interval);
            return;
        }

        Guarded(() =>
        {
            // What came just now is there for a run that is being submitted.
            string[] given = [.. GivenUp(now).Where(model => context.Blobs.Has(model) && now - context.Blobs.WrittenAt(model) > Interval)];
            foreach (string model in given) context.Blobs.Delete(model);
            if (given.Length > 0) context.Logger.LogInformation("Retention removed {Count} models of runs that are over", given.Length);
            _next = context.Steady.GetUtcNow() + Interval;
        });
    }

    /// <summary>Models that no run needs any more. Two runs may have one of the same weights: it stays while either needs it.</summary>
    private HashSet<string> GivenUp(DateTimeOffset now)
    {
        HashSet<string> given = [], kept = [];
        foreach (RunRecord run in context.Store.Runs())
        {
            IReadOnlyList<ModelRecord> models = context.Store.Models(run.Id);
            IReadOnlySet<int> needed = run.Over && EndOf(run.Id) is { } end && now - end >= TimeSpan.FromDays(rule!.Days) ? Needed(models, context.Store.Evaluations(run.Id)) : models.Select(model => model.Round).ToHashSet();
            foreach (ModelRecord model in models) (needed.Contains(model.Round) ? kept : given).Add(model.Sha256);
        }

        given.ExceptWith(kept);
        return given;
    }

    private ImmutableHashSet<int> Needed(IReadOnlyList<ModelRecord> models, IReadOnlyList<EvaluationRecord> evaluations)
    {
        int[] rounds = [.. models.Select(model => model.Round).Order()];
        return [0, .. rounds.TakeLast(rule!.Models), .. BestRounds(evaluations)];
    }

    /// <summary>As <c>fed model list --best</c> chooses: by the evaluators' figures, weighted by examples, and by the federated ones.</summary>
    private static IEnumerable<int> BestRounds(IReadOnlyList<EvaluationRecord> evaluations)
    {
        Func<Metrics, double?>[] better = [metrics => metrics.Accuracy, metrics => metrics.Auc, metrics => -metrics.LogLoss, metrics => -metrics.Brier];
        foreach (IGrouping<bool, EvaluationRecord> source in evaluations.GroupBy(evaluation => evaluation.Source == "federated"))
        {
            foreach (Func<Metrics, double?> value in better)
            {
                var measured = source.GroupBy(evaluation => evaluation.Round).Select(round => (round.Key, Value: Mean(round.Select(evaluation => evaluation.Sums.ToMetrics()), value))).Where(round => round.Value is not null).ToArray();
                if (measured.Length > 0) yield return measured.OrderByDescending(round => round.Value).ThenByDescending(round => round.Key).First().Key;
            }
        }
    }

    private static double? Mean(IEnumerable<Metrics> measured, Func<Metrics, double?> value)
    {
        double sum = 0, examples = 0;
        foreach (Metrics metrics in measured)
        {
            if (value(metrics) is not { } one) continue;
            sum += one * metrics.Examples;
            examples += metrics.Examples;
        }

        return examples == 0 ? null : sum / examples;
    }

    private DateTimeOffset? EndOf(string run)
    {
        DateTimeOffset? end = null;
        for (long sequence = 0; context.Store.Events(run, sequence) is { Count: > 0 } events; sequence = events[^1].Sequence) end = events[^1].At;
        return end;
    }

    private void Guarded(Action work)
    {
        try
        {
            work();
        }
        catch (StoreUnavailableException)
        {
            // said once by the store itself; the next time does it
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or DbException)
        {
            context.Logger.LogWarning("Blobs that nothing needs could not be removed; the next start tries again: {Message}", error.Message);
        }
    }
}
