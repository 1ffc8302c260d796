using System.CommandLine;
using Federation.Cli.CommandLine;
using Federation.Cli.Results;
using Federation.Cli.Terminal;
using Federation.V1;

namespace Federation.Cli.Verbs;

/// <summary><c>fed run pause</c> and <c>resume</c>, of one run, or of all before the coordinator is stopped for maintenance.</summary>
internal static class PauseVerbs
{
    private static readonly TimeSpan Interval = TimeSpan.FromSeconds(1);

    private static readonly Option<bool> All = new("--all") { Description = "All runs that are not over." };

    private static readonly Option<bool> ResumeAll = new("--all") { Description = "All runs that `fed run pause --all` has paused; one that was paused by name stays so." };

    private static readonly Option<bool> Wait = new("--wait") { Description = "Return when the rounds that are open have come to their end." };

    public static IEnumerable<Verb> Create(Argument<string> run) =>
    [
        new Verb("pause", "Let a run open no further round; the one that is open comes to its end. A pause outlives restarts.", "fed run pause latest\nfed run pause --all --wait", "run-list")
            .With(run, All, Wait).With(OperatorConnection.Options).Does(invocation => PauseAsync(invocation, run)),
        new Verb("resume", "Let a paused run go on.", "fed run resume latest\nfed run resume --all", "run-list")
            .With(run, ResumeAll).With(OperatorConnection.Options).Does(invocation => ResumeAsync(invocation, run)),
    ];

    private static async Task<int> PauseAsync(Invocation invocation, Argument<string> run)
    {
        using OperatorConnection connection = OperatorConnection.Open(invocation);
        ListRunsReply reply = await connection.Client.PauseRunsAsync(new PauseRunsRequest { RunId = invocation.Get(All) ? "" : invocation.Get(run) }, cancellationToken: invocation.Cancellation);
        HashSet<string> asked = [.. reply.Runs.Select(one => one.RunId)];
        string said = "";
        while (invocation.Get(Wait) && reply.Runs.Where(one => one.State == "pausing").ToArray() is { Length: > 0 } pausing)
        {
            string waits = $"Waiting for {string.Join(", ", pausing.Select(one => one.Name))}.";
            if (waits != said) invocation.Output.Note(said = waits);
            await Task.Delay(Interval, invocation.Cancellation);
            ListRunsReply all = await connection.Client.ListRunsAsync(new ListRunsRequest(), cancellationToken: invocation.Cancellation);
            reply = new ListRunsReply { Runs = { all.Runs.Where(one => asked.Contains(one.RunId)) } };
        }

        Show(invocation, reply, "No run is under way.");
        return ExitCode.Done;
    }

    private static async Task<int> ResumeAsync(Invocation invocation, Argument<string> run)
    {
        using OperatorConnection connection = OperatorConnection.Open(invocation);
        ListRunsReply reply = await connection.Client.ResumeRunsAsync(new ResumeRunsRequest { RunId = invocation.Get(ResumeAll) ? "" : invocation.Get(run) }, cancellationToken: invocation.Cancellation);
        Show(invocation, reply, "No run was paused with --all.");
        return ExitCode.Done;
    }

    private static void Show(Invocation invocation, ListRunsReply reply, string none)
    {
        var result = new RunList([.. reply.Runs.Select(RunEntry.Of).OrderByDescending(one => one.Submitted)]);
        invocation.Output.Result(result, result.Runs.Count == 0 ? [none] : result.Runs.Select(one => $"Run {one.Run} ({one.Name}) is {one.State} after {one.CompletedRounds} of {one.Rounds} rounds{(one.Reason is null ? "." : $": {Output.OneLine(one.Reason)}")}"));
    }
}
