using Federation.Protocol;
using Federation.Server.Runs;
using Federation.Server.Storage;
using Federation.V1;
using Google.Protobuf;
using RunEvent = Federation.V1.RunEvent;
using RunSite = Federation.V1.RunSite;

namespace Federation.Server.Services;

/// <summary>What the operator is shown. However many rounds, sites and runs there are, a reply stays within one message.</summary>
internal static class OperatorMessages
{
    // A list takes at most this much; what else is in its message is small.
    private const int Room = Limits.MessageBytes / 4 * 3;

    /// <summary>The newest elements that fit into one message, in their order.</summary>
    public static IReadOnlyList<T> Newest<T>(IEnumerable<T> messages, int room = Room)
        where T : IMessage
    {
        List<T> kept = [];
        foreach (T message in messages.Reverse())
        {
            room -= message.CalculateSize() + 6; // tag and length
            if (room < 0) break;
            kept.Add(message);
        }

        kept.Reverse();
        return kept;
    }

    public static RunSummary Summarize(RunHost run) => new()
    {
        RunId = run.Id,
        Name = run.Record.Name,
        State = run.State.PhaseName,
        CompletedRounds = (uint)run.State.CompletedRounds,
        Rounds = (uint)run.Spec.Rounds,
        SubmittedUnixMs = run.Record.SubmittedAt.ToUnixTimeMilliseconds(),
        Reason = ReasonOf(run.State),
    };

    private static string ReasonOf(RunState state) => state switch
    {
        { Phase: Ended ended } => ended.Reason,
        { IsAtRest: true } => state.Paused == Pause.WithAll ? "Paused by the operator, with all runs." : "Paused by the operator.",
        { Paused: not null } => $"{char.ToUpperInvariant(PauseRules.UnderWay(state.Phase)[0])}{PauseRules.UnderWay(state.Phase)[1..]} comes to its end first.",
        { Phase: Waiting waiting } => waiting.Reason,
        _ => "",
    };

    /// <param name="rounds">Oldest first; the newest that fit are shown.</param>
    public static RunDetails Describe(RunHost run, IEnumerable<RoundRecord> rounds, IEnumerable<string> transcripts)
    {
        RunState state = run.State;
        var details = new RunDetails { Summary = Summarize(run), ModelSha256 = state.Plan.Statistics ? "" : state.ModelSha256, StatisticsSha256 = state.StatisticsSha256, SpecYaml = run.Record.SpecYaml, SchemaYaml = run.Record.SchemaYaml, SecureAggregation = SecureMessages.Of(run, transcripts), Submission = state.Submission?.ToMessage() };
        int room = Limits.MessageBytes - details.CalculateSize() - (Limits.MessageBytes / 8);
        foreach ((string name, Runs.RunSite site) in state.Sites)
        {
            var message = new RunSite { Name = name, State = site.Standing.ToString().ToLowerInvariant() };
            message.Mismatches.AddRange(site.Reasons.TakeWhile(reason => (room -= reason.Length + 6) > 0));
            room -= message.Name.Length + message.State.Length + 12;
            details.Sites.Add(message);
        }

        details.Rounds.AddRange(Newest(rounds.Select(Of), Math.Max(0, Limits.MessageBytes - details.CalculateSize() - 1024)));
        return details;
    }

    public static Model Of(ModelRecord model, IEnumerable<EvaluationRecord> evaluations, bool removed) => new()
    {
        RunId = model.RunId,
        Round = (uint)model.Round,
        Sha256 = model.Sha256,
        Size = (ulong)model.Size,
        CreatedUnixMs = model.CreatedAt.ToUnixTimeMilliseconds(),
        Removed = removed,
        Evaluations = { evaluations.Select(evaluation => new ModelEvaluation { Source = evaluation.Source, Metrics = evaluation.Sums.ToMetrics().ToMessage() }) },
    };

    public static RunEvent Of(EventRecord happened) => new()
    {
        Sequence = (ulong)happened.Sequence,
        UnixMs = happened.At.ToUnixTimeMilliseconds(),
        Kind = happened.Kind,
        Round = (uint)happened.Round,
        Site = happened.Site,
        Message = happened.Message,
        ModelSha256 = happened.Model,
        Metrics = happened.Metrics?.ToMessage(),
    };

    private static RoundSummary Of(RoundRecord round) => new()
    {
        Round = (uint)round.Round,
        State = round.State,
        Cohort = { round.Cohort },
        Contributors = { round.Contributors },
        Weight = round.Weight,
        ModelSha256 = round.Model,
        Seconds = round.Seconds,
        BytesDown = round.BytesDown,
        BytesUp = round.BytesUp,
        BytesControl = round.BytesControl,
        Opening = round.Opening is not { } opening ? null : new Opening
        {
            Epoch = (uint)opening.Epoch, Members = { opening.Members }, Bytes = (ulong)opening.Bytes, OpeningSeconds = opening.OpeningSeconds, DecodingSeconds = opening.DecodingSeconds, TranscriptSha256 = opening.TranscriptSha256,
        },
    };
}
