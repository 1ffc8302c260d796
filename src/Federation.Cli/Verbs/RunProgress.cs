using Federation.Cli.Results;
using Federation.V1;

namespace Federation.Cli.Verbs;

/// <summary>What a run's events add up to.</summary>
internal sealed class RunProgress(uint rounds)
{
    private uint _measuredAfter;

    public uint Rounds => rounds;

    /// <summary>Rounds that changed the model.</summary>
    public uint Completed { get; private set; }

    /// <summary>The newest federated evaluation, or null.</summary>
    public MetricValues? Metrics { get; private set; }

    /// <summary>With a comma before it; empty where nothing was evaluated.</summary>
    public string MetricsText => Metrics is null ? "" : Completed == _measuredAfter ? $", {Metrics}" : $", {Metrics} after round {_measuredAfter}";

    /// <summary>The newest step: who contributed, which keys were made, who opened the sum, sizes and seconds by phase.</summary>
    public string Step { get; private set; } = "";

    /// <returns>A sentence that people should see, or null for the everyday steps of a round.</returns>
    public string? Add(RunEvent happened)
    {
        if (happened.Kind is "keys-made" or "round-opened" or "contributed" or "round-closed" or "opened" or "model" or "evaluated" or "statistics") Step = happened.Message;
        switch (happened.Kind)
        {
            case "model" when happened.Round > 0:
                Completed++;
                return null;
            case "evaluated" when happened.Site.Length == 0 && happened.Metrics is { } metrics:
                (Metrics, _measuredAfter) = (MetricValues.Of(metrics), Completed);
                return null;
            case "site-refused" or "site-waits" or "site-failed" or "approved" or "waiting" or "round-abandoned" or "keys-made" or "keys-failed" or "opening-failed" or "refused" or "paused" or "resumed" or "restored" or "clock":
                return happened.Message;
            default:
                return null;
        }
    }
}
