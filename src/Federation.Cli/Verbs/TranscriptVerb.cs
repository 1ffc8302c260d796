using System.CommandLine;
using System.CommandLine.Parsing;
using Federation.Cli.CommandLine;
using Federation.Cli.Results;
using Federation.Cli.Terminal;
using Federation.Formats;
using Federation.Privacy.Canonical;
using Federation.Privacy.SecureAggregation;
using Federation.V1;

namespace Federation.Cli.Verbs;

/// <summary><c>fed run verify-transcript</c>: what was signed for a run's keys and sums, checked by whoever wants to.</summary>
internal static class TranscriptVerb
{
    private const int MostNames = 8;

    private static readonly Option<string?> Out = new("--out") { Description = "Keep the transcripts in this folder, new or empty.", HelpName = "folder" };

    private static readonly Option<string?> From = new("--from") { Description = "Check a folder that --out wrote; connects to nobody.", HelpName = "folder" };

    public static Verb Create(Argument<string> run) => new Verb(
        "verify-transcript",
        "Check every signature of a run's key epochs and openings. Exit code 1 if one does not hold.",
        "fed run verify-transcript latest --out transcript\nfed run verify-transcript --from transcript",
        "run-verify-transcript").With(run, Out, From).With(OperatorConnection.Options).Does(invocation => VerifyAsync(invocation, run));

    private static async Task<int> VerifyAsync(Invocation invocation, Argument<string> run)
    {
        if (invocation.Get(From) is { } folder)
        {
            if (invocation.Get(Out) is not null) throw new InvalidInputException(new Problem("There is nothing to download with --from.", Field: Out.Name, Repair: "Leave one of the two out."));
            bool named = invocation.Arguments.GetResult(run) is ArgumentResult { Implicit: false, Tokens: [{ Value: not "latest" }] };
            return Report(invocation, folder, folder, new TranscriptAudit(named ? invocation.Get(run) : null));
        }

        string? kept = invocation.Get(Out);
        if (kept is not null) TranscriptFolder.RequireFree(kept);
        using OperatorConnection connection = OperatorConnection.Open(invocation);
        RunDetails details = await connection.Client.ShowRunAsync(new ShowRunRequest { RunId = invocation.Get(run) }, cancellationToken: invocation.Cancellation);
        string temporary = Directory.CreateTempSubdirectory("fed-transcript-").FullName;
        try
        {
            await TranscriptFolder.DownloadAsync(connection.Client, details.Summary.RunId, kept ?? temporary, invocation.Cancellation);
            if (!Directory.EnumerateFiles(kept ?? temporary).Any()) throw new InvalidInputException(new Problem($"Nothing was signed in run {details.Summary.RunId} yet: it is {details.Summary.State}.", Field: run.Name, Repair: "Ask again when its first key epoch is made."));
            TranscriptFolder.WriteRecord(kept ?? temporary, details.SecureAggregation?.Transcripts ?? []);
            return Report(invocation, kept ?? temporary, kept, new TranscriptAudit(details.Summary.RunId));
        }
        finally
        {
            if (Directory.Exists(temporary)) Directory.Delete(temporary, recursive: true);
        }
    }

    /// <param name="kept">The folder as the user named it; null: it goes away.</param>
    private static int Report(Invocation invocation, string folder, string? kept, TranscriptAudit audit)
    {
        List<AuditedEpoch> epochs = [];
        List<OpeningLine> openings = [];
        List<string[]> rows = [];
        TranscriptProblem? problem = null;
        List<string> missing = [.. TranscriptFolder.Record(folder) ?? []];
        int? recorded = TranscriptFolder.HasRecord(folder) ? missing.Count : null;
        foreach (string file in TranscriptFolder.Files(folder))
        {
            invocation.Cancellation.ThrowIfCancellationRequested();
            try
            {
                byte[] content = TranscriptFolder.Read(file);
                rows.Add(Add(content));
                missing.Remove(Sha256Hex.Of(content));
            }
            catch (Exception error) when (error is ProtocolException or FormatException)
            {
                problem = new TranscriptProblem(kept is null ? Path.GetFileName(file) : file, error.Message);
                break;
            }
        }

        if (problem is null && missing is [var absent, ..]) problem = new TranscriptProblem(kept is null ? TranscriptFolder.RecordFile : Path.Combine(folder, TranscriptFolder.RecordFile), $"The run's record names {recorded} transcripts; {missing.Count} of them {(missing.Count == 1 ? "is" : "are")} not here, the first {absent}.");
        string verdict = $"{Text.Count((ulong)epochs.Count, "epoch")}, {Text.Count((ulong)openings.Count, "opening")}: every signature holds{(recorded is null ? "" : ", and none of the run's record is missing")}";
        invocation.Output.Result(
            new TranscriptReport(audit.Run, problem is null, kept, recorded, epochs, openings, problem),
            [.. TextTable.Lines(["", ">epoch", ">round", "purpose", "contributors", "members"], rows), .. Rosters(epochs), .. problem is null ? (string[])[verdict] : []]);
        return problem is null ? ExitCode.Done : invocation.Output.Fail([new Problem($"This does not hold: {problem.Reason}", problem.File)], ExitCode.Failed);

        string[] Add(byte[] content)
        {
            if (TranscriptAudit.IsEpoch(content))
            {
                AuditedEpoch epoch = audit.AddEpoch(content);
                epochs.Add(epoch);
                return ["epoch", $"{epoch.Epoch}", "", $"keys, any {epoch.Threshold} open; roster {Text.Short(epoch.RosterSha256)}", "", Names(epoch.Members)];
            }

            AuditedOpening opened = audit.AddOpening(content);
            openings.Add(new OpeningLine(opened.Opening.Epoch, opened.Opening.Round, opened.Opening.Purpose, opened.Contributors, opened.Members));
            return ["opening", $"{opened.Opening.Epoch}", $"{opened.Opening.Round}", opened.Opening.Purpose, Names(opened.Contributors), Names(opened.Members)];
        }
    }

    /// <summary>In full: a beginning of the hash can be made to order.</summary>
    private static IEnumerable<string> Rosters(List<AuditedEpoch> epochs) => epochs.GroupBy(epoch => epoch.RosterSha256).Select(same => $"roster of epoch {string.Join(", ", same.Select(epoch => epoch.Epoch))}: sha256:{same.Key}");

    private static string Names(IReadOnlyList<string> sites) => sites.Count <= MostNames ? $"{sites.Count}: {string.Join(", ", sites)}" : $"{sites.Count}";
}
