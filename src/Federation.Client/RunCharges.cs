using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Privacy.Accounting;
using Federation.Privacy.Ledger;
using Federation.Privacy.SecureAggregation;
using Microsoft.Extensions.Logging;
using Opening = Federation.Privacy.SecureAggregation.Opening;

namespace Federation.Client;

/// <summary>What runs cost this site's data sets: foretold before a run begins, and paid before anything is drawn or leaves. A run ends here at its limit, whatever rounds the coordinator asks for.</summary>
internal sealed class RunCharges(NodeLedgers ledgers, ILogger logger)
{
    private readonly Dictionary<string, PrivacyLoss?> _limits = [];

    /// <summary>The coordinator's name in the records.</summary>
    public string Recipient => ledgers.Recipient;

    /// <exception cref="LedgerException">The ledger cannot be used.</exception>
    public PrivacyLedger LedgerOf(LearningTask task) => ledgers.Of(DataSetOf(task));

    /// <summary>Whether node.yaml names the run's data set.</summary>
    public bool Knows(LearningTask task) => ledgers.Names(DataSetOf(task));

    /// <param name="values">Of the model; 0: the run asks for statistics.</param>
    /// <returns>Why this site takes no part; empty: it does.</returns>
    /// <exception cref="LedgerException">The ledger cannot be used.</exception>
    public IReadOnlyList<string> Check(LearningTask task, int values)
    {
        if (ledgers.AmbiguityOf(task) is { } ambiguous) return [ambiguous];
        RunForecast forecast = ledgers.Forecast(task, values, DataSetOf(task));
        if (forecast.Refusals.Count > 0) return forecast.Refusals;
        _limits[task.RunId] = forecast.Limit;
        if (task.Spec.Privacy is null or { IsCentral: true } or { InsecureSeededNoise: true }) logger.LogWarning("Run {Run}: {Cost}", task.RunId, forecast.Cost);
        else logger.LogInformation("Run {Run}: {Cost}", task.RunId, forecast.Cost);
        if (forecast.AllowedRounds < task.Spec.Rounds) logger.LogWarning("The privacy budget of {DataSet} allows {Allowed} of the run's {Rounds} rounds; this site takes no part in the rest", forecast.DataSet, forecast.AllowedRounds, task.Spec.Rounds);
        return [];
    }

    /// <summary>Pays for a release; durable when it returns.</summary>
    /// <param name="values">Of the model.</param>
    /// <param name="cost">Of the release: against those who know no part of a shared noise (true), and against the coalition that the run guards against.</param>
    /// <exception cref="BudgetExceededException">It would go beyond the budget, or beyond what the run may cost; nothing was recorded.</exception>
    /// <exception cref="ProtocolException">The run cannot be charged to this ledger at all, or no ε bounds it and it has had as many rounds as it may.</exception>
    public long Reserve(LearningTask task, int values, int round, string purpose, Func<bool, PrivacyEvent> cost)
    {
        // After a restart of this node the run was agreed to by the process before.
        if (!_limits.TryGetValue(task.RunId, out PrivacyLoss? limit))
        {
            if (ledgers.AmbiguityOf(task) is { } ambiguous) throw new ProtocolException(Refusal.BelowPolicy, ambiguous);
            RunForecast forecast = ledgers.Forecast(task, values, DataSetOf(task));
            if (forecast is { Limit: null, Refusals: [var refusal, ..] }) throw new ProtocolException(Refusal.BelowPolicy, refusal);
            _limits[task.RunId] = limit = forecast.Limit;
        }

        Release release = task.Spec.Privacy is { InsecureSeededNoise: true }
            ? new Release(task.RunId, round, purpose, Recipient, [new NonPrivateEvent()])
            : new Release(task.RunId, round, purpose, Recipient, [cost(false)], task.Spec.Privacy?.Noise == NoiseSource.Shared ? [cost(true)] : null);
        try
        {
            // Under central noise ε bounds what others learn, and not the coordinator, which sees the updates.
            return LedgerOf(task).Reserve(release, limit, limit is null || task.Spec.Privacy is { IsCentral: true } ? MostRounds(task.Spec, purpose) : null);
        }
        catch (RoundsExceededException refused)
        {
            throw new ProtocolException(Refusal.BelowPolicy, $"{refused.Message} The run's spec says {task.Spec.Rounds} rounds; whoever wants more submits another run.");
        }
    }

    /// <summary>Where no ε bounds a run, its spec does: an honest coordinator asks for an update once a round (of an asynchronous run too, where a round is a step of the model, and none is given up), for an evaluation once each that the spec has.</summary>
    private static long MostRounds(RunSpec spec, string purpose) =>
        RunSpec.WithRepeats(purpose == Opening.Evaluation ? (int)EvaluateSpec.Evaluations(spec.Evaluate!.Every, spec.Rounds, spec.Rounds) : spec.Rounds);

    private string DataSetOf(LearningTask task) => task.Schema?.Name ?? ledgers.OwnDataSet;
}
