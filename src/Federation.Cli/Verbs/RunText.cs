using Federation.Cli.Results;
using Federation.Cli.Terminal;

namespace Federation.Cli.Verbs;

/// <summary>A run as <c>fed run show</c> prints it.</summary>
internal static class RunText
{
    private const int MostRounds = 20;

    public static IEnumerable<string> Of(RunDetail detail)
    {
        RunEntry run = detail.Run;
        yield return $"Run {run.Run} ({run.Name}): {run.State}, {run.CompletedRounds} of {run.Rounds} rounds, submitted {Text.Local(run.Submitted)}";
        if (run.Reason is { } reason) yield return $"Reason: {reason}";
        foreach (string line in Signatures(detail.Submission)) yield return line;
        if (detail.ModelSha256 is { } model) yield return $"Model {model}";
        if (detail.StatisticsSha256 is not null) yield return $"Statistics: `fed data stats --run {run.Run}` shows them";
        foreach (string line in Secure(detail.SecureAggregation)) yield return line;
        yield return "";
        foreach (string line in TextTable.Lines(["site", "state", "problems"], detail.Sites.Select(site => (string[])[site.Site, site.State, site.Mismatches.Count == 0 ? "" : $"{site.Mismatches.Count}"]))) yield return line;
        foreach (RunSiteEntry site in detail.Sites.Where(site => site.Mismatches.Count > 0))
        {
            yield return "";
            yield return $"{site.Site}:";
            foreach (string mismatch in site.Mismatches) yield return $"  - {Output.OneLine(mismatch)}";
        }

        if (detail.Rounds.Count == 0) yield break;
        yield return "";
        int left = Math.Max(0, detail.Rounds.Count - MostRounds);
        foreach (string line in TextTable.Lines([">round", "state", ">sites", ">examples", ">seconds", ">down", ">up", ">control", "model"], detail.Rounds.Skip(left).Select(Row))) yield return line;
        if (left > 0) yield return $"… and {left} earlier rounds; --json shows all.";
        if (detail.Rounds.All(round => round.Opening is null)) yield break;
        yield return "";
        foreach (string line in TextTable.Lines([">round", ">epoch", "opened by", ">contributions", ">training", ">opening", ">decoding", "transcript"], detail.Rounds.Skip(left).Where(round => round.Opening is not null).Select(OpeningRow))) yield return line;
    }

    /// <summary>What is signed, and with which keys.</summary>
    public static IEnumerable<string> Signatures(SubmissionEntry? submission)
    {
        if (submission is null) yield break;
        yield return $"Spec sha256:{submission.SpecSha256}{(submission.InitialModelSha256 is { } initial ? $", initial model sha256:{initial}" : "")}";
        yield return submission.KeySha256 is { } key ? $"Submitted with the key sha256:{key}" : "Submitted unsigned: sites whose policy names submitters take no part";
        foreach (string approval in submission.Approvals) yield return $"Co-signed with the key sha256:{approval}";
    }

    private static IEnumerable<string> Secure(SecureAggregationEntry? secure)
    {
        if (secure is null)
        {
            yield return "Secure aggregation: none; the coordinator sees every site's update.";
            yield break;
        }

        yield return $"Secure aggregation: {secure.Kind}, {secure.Mode}";
        yield return secure.CertificateSha256 is { } certificate
            ? $"  epoch {secure.Epoch}: any {secure.Threshold} of {string.Join(", ", secure.Committee)} open a sum, {Text.Count(secure.Openings, "opening")}{(secure.Retired ? ", no further round" : "")}; certificate {Text.Short(certificate)}, roster sha256:{secure.RosterSha256}"
            : secure.Epoch == 0 ? "  no keys yet" : $"  the keys of epoch {secure.Epoch} are being made";
        yield return $"  {secure.Guarantee}";
    }

    private static string[] OpeningRow(RoundEntry round)
    {
        OpeningEntry opening = round.Opening!;
        return
        [
            $"{round.Round}", $"{opening.Epoch}", string.Join(", ", opening.Members), Text.Bytes(opening.Bytes), Seconds(Math.Max(0, round.Seconds - opening.OpeningSeconds - opening.DecodingSeconds)),
            Seconds(opening.OpeningSeconds), Seconds(opening.DecodingSeconds), Text.Short(opening.TranscriptSha256),
        ];
    }

    private static string Seconds(double seconds) => FormattableString.Invariant($"{seconds:F1} s");

    private static string[] Row(RoundEntry round) =>
    [
        $"{round.Round}", round.State, $"{round.Contributors.Count}/{round.Cohort.Count}", round.Weight == 0 ? "" : $"{round.Weight}", FormattableString.Invariant($"{round.Seconds:F1}"),
        Text.Bytes(round.BytesDown), Text.Bytes(round.BytesUp), Text.Bytes(round.BytesControl), Text.Short(round.ModelSha256 ?? ""),
    ];
}
