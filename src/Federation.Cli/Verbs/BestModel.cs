using Federation.Cli.Results;
using Federation.Formats;

namespace Federation.Cli.Verbs;

/// <summary>Picks a model by a metric. An evaluator's public test set comes first: it measures every model on the same rows.</summary>
internal static class BestModel
{
    /// <summary>The names of run specs; of the last two less is better.</summary>
    public static IReadOnlyList<string> Metrics { get; } = ["accuracy", "auc", "log-loss", "brier"];

    /// <returns>The best; of equals the one of the later round.</returns>
    /// <exception cref="InvalidInputException">No model was measured by this metric.</exception>
    public static (ModelEntry Model, double Value) Of(IReadOnlyList<ModelEntry> models, string metric)
    {
        double sign = metric is "log-loss" or "brier" ? -1 : 1;
        foreach (bool federated in new[] { false, true })
        {
            var measured = models
                .Select(model => (Model: model, Value: Mean(model.Evaluations.Where(evaluation => evaluation.Source == "federated" == federated), metric)))
                .Where(entry => entry.Value is not null)
                .ToList();
            if (measured.Count > 0) return measured.Select(entry => (entry.Model, entry.Value!.Value)).OrderByDescending(entry => sign * entry.Value).ThenByDescending(entry => entry.Model.Round).First();
        }

        throw new InvalidInputException(new Problem($"No model here was measured by {metric}.", Field: "--best", Repair: "Add `evaluate: { every: 10 }` to the spec, or run a node of role evaluator."));
    }

    /// <summary>Weighted by examples, so that two evaluators count by what they hold.</summary>
    private static double? Mean(IEnumerable<EvaluationEntry> evaluations, string metric)
    {
        double sum = 0, examples = 0;
        foreach (EvaluationEntry evaluation in evaluations)
        {
            if (evaluation.Metrics[metric] is not { } value) continue;
            sum += value * evaluation.Metrics.Examples;
            examples += evaluation.Metrics.Examples;
        }

        return examples == 0 ? null : sum / examples;
    }
}
