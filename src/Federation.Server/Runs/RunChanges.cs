using System.Text.Json;
using Federation.Server.Storage;

namespace Federation.Server.Runs;

/// <summary>What a transition of a run adds to the store.</summary>
internal static class RunChanges
{
    /// <param name="sequence">Of the last event stored.</param>
    public static RunChange Of(RunContext context, string id, Transition transition, long sequence, DateTimeOffset now)
    {
        List<EventRecord> events = [];
        List<RoundRecord> rounds = [];
        List<ModelRecord> models = [];
        List<EvaluationRecord> evaluations = [];
        foreach (RunEffect effect in transition.Effects)
        {
            switch (effect)
            {
                case Announce said:
                    events.Add(new EventRecord(sequence + events.Count + 1, now, said.Kind, said.Round, said.Site, said.Message, said.Model, said.Metrics));
                    break;
                case Summarize summary:
                    rounds.Add(RecordOf(context, id, summary, now));
                    break;
                case KeepModel model:
                    models.Add(new ModelRecord(id, model.Round, model.Sha256, context.Blobs.SizeOf(model.Sha256), now));
                    break;
                case KeepEvaluation evaluation:
                    evaluations.Add(new EvaluationRecord(id, evaluation.Round, "federated", evaluation.Sums));
                    break;
            }
        }

        return new RunChange(id, JsonSerializer.Serialize(transition.State), transition.State.IsOver, events, rounds, models, evaluations);
    }

    private static RoundRecord RecordOf(RunContext context, string id, Summarize summary, DateTimeOffset now)
    {
        (ulong down, ulong up, ulong control) = context.Traffic.Read(id, summary.Round);
        ulong weight = summary.Opening?.Weight ?? summary.Contributions.Values.Aggregate(0UL, (sum, contribution) => sum + contribution.Weight);
        return new RoundRecord(summary.Round, summary.State, [.. summary.Cohort], [.. summary.Contributions.Keys], weight, summary.Model, (now - summary.OpenedAt).TotalSeconds, down, up, control, summary.Opening);
    }
}
