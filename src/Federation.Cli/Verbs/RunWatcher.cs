using Federation.Cli.CommandLine;
using Federation.Cli.Results;
using Federation.Cli.Terminal;
using Federation.Formats;
using Federation.Protocol;
using Federation.V1;
using Grpc.Core;

namespace Federation.Cli.Verbs;

/// <summary>Follows a run's events to its end; a broken connection goes on after the last event seen, for as long as the user waits.</summary>
internal sealed class RunWatcher(Operator.OperatorClient client, string run, Action<string> note, TimeProvider time)
{
    private static readonly TimeSpan LongestPause = TimeSpan.FromSeconds(10);
    private ulong _sequence;
    private bool _ended;

    /// <param name="run">An id, the beginning of one, or <c>latest</c>.</param>
    /// <param name="printEvents">With --json: every event as a line on stdout. Otherwise progress on stderr.</param>
    /// <returns>The run after its end.</returns>
    /// <exception cref="RpcException">There is no such run, or the coordinator cannot be reached in the first place.</exception>
    public static async Task<RunDetail> FollowAsync(Operator.OperatorClient client, string run, Invocation invocation, bool printEvents)
    {
        CancellationToken cancellation = invocation.Cancellation;
        Output output = invocation.Output;
        RunDetails start = await client.ShowRunAsync(new ShowRunRequest { RunId = run }, cancellationToken: cancellation);
        var watcher = new RunWatcher(client, start.Summary.RunId, output.Note, TimeProvider.System);
        try
        {
            RunDetail ended;
            if (output.Json && printEvents)
            {
                ended = await watcher.RunAsync(happened => output.Result(RunEventLine.Of(happened)), cancellation);
            }
            else
            {
                var progress = new RunProgress(start.Summary.Rounds);
                ended = output.Terminal
                    ? await ProgressBar.ShowAsync(progress, show => watcher.RunAsync(show, cancellation))
                    : await watcher.RunAsync(new ProgressLines(progress, output.Note).Show, cancellation);
                if (!output.Json && CodeOf(ended) == ExitCode.Done) output.Result(ended, ended.ModelSha256 is { } model
                    ? $"Completed: {ended.Run.CompletedRounds} of {ended.Run.Rounds} rounds, model {Text.Short(model)}{progress.MetricsText}."
                    : $"Completed: `fed data stats --run {ended.Run.Run}` shows the statistics.");
            }

            if (CodeOf(ended) != ExitCode.Done) output.Fail([new Problem($"Run {ended.Run.Run} {ended.Run.State}: {ended.Run.Reason ?? "no reason was given."}")], ExitCode.Failed);
            return ended;
        }
        catch (Exception error) when (cancellation.IsCancellationRequested && Failure.IsCancellation(error))
        {
            output.Note($"The run goes on; `fed run watch {start.Summary.RunId}` follows it again.");
            throw;
        }
    }

    public static int CodeOf(RunDetail ended) => ended.Run.State == "completed" ? ExitCode.Done : ExitCode.Failed;

    private async Task<RunDetail> RunAsync(Action<RunEvent> show, CancellationToken cancellation)
    {
        TimeSpan pause = TimeSpan.FromSeconds(1);
        while (true)
        {
            try
            {
                ulong before = _sequence;
                await ReadAsync(show, cancellation);
                if (_ended) return RunDetail.Of(await client.ShowRunAsync(new ShowRunRequest { RunId = run }, cancellationToken: cancellation));
                if (_sequence > before) pause = TimeSpan.FromSeconds(1);
            }
            catch (RpcException error) when (IsBroken(error) && !cancellation.IsCancellationRequested)
            {
                if (pause < LongestPause) note($"The connection broke ({error.Status.Detail}); trying again.");
            }

            await Task.Delay(pause, time, cancellation);
            pause = pause * 2 < LongestPause ? pause * 2 : LongestPause;
        }
    }

    private async Task ReadAsync(Action<RunEvent> show, CancellationToken cancellation)
    {
        using AsyncServerStreamingCall<RunEvent> call = client.WatchRun(new WatchRunRequest { RunId = run, AfterSequence = _sequence }, cancellationToken: cancellation);
        await foreach (RunEvent happened in call.ResponseStream.ReadAllAsync(cancellation))
        {
            _sequence = happened.Sequence;
            _ended |= happened.Kind is "completed" or "failed" or "cancelled";
            show(happened);
        }
    }

    /// <summary>The line, not the request: the coordinator gave no reason, or its database is away.</summary>
    private static bool IsBroken(RpcException error) =>
        RpcError.ReasonOf(error) is null or Refusal.StorageUnavailable && error.StatusCode is StatusCode.Unavailable or StatusCode.Internal or StatusCode.Cancelled or StatusCode.Aborted or StatusCode.Unknown;
}
