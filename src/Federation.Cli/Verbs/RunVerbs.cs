using System.CommandLine;
using Federation.Cli.CommandLine;
using Federation.Cli.Results;
using Federation.Cli.Terminal;
using Federation.V1;

namespace Federation.Cli.Verbs;

/// <summary><c>fed run</c>: training jobs.</summary>
internal static class RunVerbs
{
    private static readonly Argument<string> SpecFile = new("SPEC") { Description = "The run spec, a YAML file." };

    private static readonly Argument<string> Run = new("RUN") { Description = "A run's id, or the unique beginning of one.", DefaultValueFactory = _ => "latest" };

    private static readonly Option<bool> Watch = new("--watch") { Description = "Follow the run to its end, as `fed run watch` does." };

    public static Verb Create() => new Verb("run", "Start, follow and end training jobs.", "fed run submit run.yaml --watch\nfed run show")
        .With([
            new Verb("submit", "Start a run: the spec, its schema and its initial model are signed and go to the coordinator.", "fed run submit run.yaml --watch\nfed run submit run.yaml --key study.key", "run-submit")
                .With(SpecFile, Watch, OperatorConnection.Key).With(OperatorConnection.Options).Does(SubmitAsync),
            new Verb("list", "Show all runs, the newest first.", "fed run list", "run-list").With(OperatorConnection.Options).Does(ListAsync),
            new Verb("show", "Show a run: its sites with everything that keeps them out, its rounds, its bytes.", "fed run show latest", "run-show")
                .With(Run).With(OperatorConnection.Options).Does(ShowAsync),
            new Verb("watch", "Follow a run to its end. Exit code 0 if it completed, 1 if it failed or was cancelled.", "fed run watch latest", "run-watch")
                .With(Run).With(OperatorConnection.Options).Does(WatchAsync),
            new Verb("cancel", "End a run; its newest model stays.", "fed run cancel latest", "run-show").With(Run).With(OperatorConnection.Options).Does(CancelAsync),
            .. PauseVerbs.Create(Run),
            new Verb("rotate-keys", "Have the committee make new keys before the run's next round.", "fed run rotate-keys latest", "run-show").With(Run).With(OperatorConnection.Options).Does(RotateAsync),
            ApproveVerb.Create(Run),
            TranscriptVerb.Create(Run),
        ]);

    private static async Task<int> SubmitAsync(Invocation invocation)
    {
        var submission = Submission.Prepare(invocation.Get(SpecFile));
        using OperatorConnection connection = OperatorConnection.Open(invocation);
        (string run, string? key) = await submission.SendAsync(connection, invocation);
        if (!invocation.Get(Watch))
        {
            invocation.Output.Result(new SubmittedRun(run, submission.Spec.Name, "preparing", submission.Initial?.Sha256, submission.SpecSha256, key, null), run);
            return ExitCode.Done;
        }

        if (!invocation.Output.Json) invocation.Output.Result(run, run);
        RunDetail ended = await RunWatcher.FollowAsync(connection.Client, run, invocation, printEvents: false);
        if (invocation.Output.Json) invocation.Output.Result(new SubmittedRun(run, submission.Spec.Name, ended.Run.State, ended.ModelSha256, submission.SpecSha256, key, ended.Run.Reason));
        return RunWatcher.CodeOf(ended);
    }

    private static async Task<int> WatchAsync(Invocation invocation)
    {
        using OperatorConnection connection = OperatorConnection.Open(invocation);
        return RunWatcher.CodeOf(await RunWatcher.FollowAsync(connection.Client, invocation.Get(Run), invocation, printEvents: true));
    }

    private static async Task<int> ListAsync(Invocation invocation)
    {
        using OperatorConnection connection = OperatorConnection.Open(invocation);
        ListRunsReply reply = await connection.Client.ListRunsAsync(new ListRunsRequest(), cancellationToken: invocation.Cancellation);
        var result = new RunList([.. reply.Runs.Select(RunEntry.Of).OrderByDescending(run => run.Submitted)]);
        invocation.Output.Result(result, result.Runs.Count == 0
            ? ["No runs yet. `fed run submit run.yaml` starts one."]
            : TextTable.Lines(
                ["run", "name", "state", ">rounds", "submitted", "reason"],
                result.Runs.Select(run => (string[])[run.Run, run.Name, run.State, $"{run.CompletedRounds}/{run.Rounds}", Text.Local(run.Submitted), run.Reason ?? ""])));
        return ExitCode.Done;
    }

    private static async Task<int> ShowAsync(Invocation invocation)
    {
        using OperatorConnection connection = OperatorConnection.Open(invocation);
        RunDetails details = await connection.Client.ShowRunAsync(new ShowRunRequest { RunId = invocation.Get(Run) }, cancellationToken: invocation.Cancellation);
        var result = RunDetail.Of(details);
        invocation.Output.Result(result, RunText.Of(result));
        return ExitCode.Done;
    }

    private static async Task<int> CancelAsync(Invocation invocation)
    {
        using OperatorConnection connection = OperatorConnection.Open(invocation);
        RunDetails before = await connection.Client.ShowRunAsync(new ShowRunRequest { RunId = invocation.Get(Run) }, cancellationToken: invocation.Cancellation);
        RunDetails details = await connection.Client.CancelRunAsync(new CancelRunRequest { RunId = before.Summary.RunId }, cancellationToken: invocation.Cancellation);
        var result = RunDetail.Of(details);
        invocation.Output.Result(result, $"Run {result.Run.Run} ({result.Run.Name}) is {result.Run.State} after {result.Run.CompletedRounds} of {result.Run.Rounds} rounds.");
        return ExitCode.Done;
    }

    private static async Task<int> RotateAsync(Invocation invocation)
    {
        using OperatorConnection connection = OperatorConnection.Open(invocation);
        RunDetails details = await connection.Client.RotateKeysAsync(new RotateKeysRequest { RunId = invocation.Get(Run) }, cancellationToken: invocation.Cancellation);
        var result = RunDetail.Of(details);
        string keys = result.SecureAggregation is { CertificateSha256: not null, Epoch: var epoch } ? $"the keys of epoch {epoch} serve no further round, new ones are made before it." : "its next keys are not made yet, so they are new.";
        invocation.Output.Result(result, $"Run {result.Run.Run} ({result.Run.Name}) is {result.Run.State}: {keys}");
        return ExitCode.Done;
    }
}
