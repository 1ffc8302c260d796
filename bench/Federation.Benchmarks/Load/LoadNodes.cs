using System.Diagnostics;
using System.Globalization;
using System.Text.Json;
using Federation.Client;
using Federation.Formats.Configuration;
using Federation.Formats.Evaluation;
using Federation.Formats.Models;
using Federation.Learning;
using Grpc.Core;

namespace Federation.Benchmarks.Load;

/// <param name="Errors">Nodes that ended otherwise than with a completed run, and warnings.</param>
/// <param name="Milliseconds">Of every call that is no long poll.</param>
internal sealed record LoadedNodes(int Errors, long PeakBytes, IReadOnlyCollection<double> Milliseconds);

/// <summary>Many real nodes in one process, whose updates are there without training.</summary>
internal static class LoadNodes
{
    public const string Verb = "load-nodes";

    /// <summary>Invitations come on stdin, one a line; an empty line starts the nodes, whose end is one JSON document on stdout.</summary>
    public static async Task<int> RunAsync(string folder, Uri coordinator, int parameters)
    {
        List<string> tokens = [];
        while (await Console.In.ReadLineAsync() is { Length: > 0 } token) tokens.Add(token);
        string[] states = [.. tokens.Select((_, i) => Path.Combine(folder, i.ToString(CultureInfo.InvariantCulture)))];
        await Parallel.ForEachAsync(tokens.Zip(states), new ParallelOptions { MaxDegreeOfParallelism = 4 }, async (pair, cancellation) => await NodeEnrolment.EnrollAsync(coordinator, pair.First, pair.Second, cancellation));
        Console.WriteLine("enrolled");
        using CancellationTokenSource stop = CoordinatorProcess.UntilTheParentEnds();
        using var complaints = new ComplaintLog(Console.Error);
        using var times = new CallTimes();
        ModelState update = UpdateOf(parameters);
        int failed = 0;
        await Task.WhenAll(states.Select(state => Task.Run(async () =>
        {
            try
            {
                if ((await FederatedNode.RunAsync(OptionsOf(coordinator, state), new ReadyLearner(update), complaints, stop.Token)).State != "completed") Interlocked.Increment(ref failed);
            }
#pragma warning disable CA1031 // whatever it is, it counts as an error
            catch (Exception error)
#pragma warning restore CA1031
            {
                await Console.Error.WriteLineAsync(error.Message);
                Interlocked.Increment(ref failed);
            }
        })));
        using Process self = Process.GetCurrentProcess();
        Console.WriteLine(JsonSerializer.Serialize(new LoadedNodes(failed + complaints.Count, CoordinatorProcess.PeakBytesOf(self), times.Milliseconds)));
        return 0;
    }

    /// <summary>Zeros of a model with one tensor.</summary>
    public static ModelState InitialOf(int parameters) => new([new NamedTensor("weight", [parameters], new float[parameters])]);

    public static NodeOptions OptionsOf(Uri coordinator, string state) => new() { Configuration = new NodeConfiguration { Coordinator = coordinator, State = state, Data = [] }, ExitAfterRun = true };

    /// <summary>Made-up numbers within ±0.005.</summary>
    public static ModelState UpdateOf(int parameters)
    {
        float[] update = new float[parameters];
        var random = new Random(1);
        for (int i = 0; i < update.Length; i++) update[i] = (random.NextSingle() - 0.5f) * 0.01f;
        return new ModelState([new NamedTensor("weight", [parameters], update)]);
    }
}

/// <summary>An update that is there without training.</summary>
internal sealed class ReadyLearner(ModelState update) : ILocalLearner
{
    public IReadOnlyList<string> Check(LearningTask task, ModelState initial) => [];

    public TrainingResult Train(LearningTask task, int round, ModelState start, CancellationToken cancellationToken) => new(update, 1, 0);

    public EvaluationSums Evaluate(LearningTask task, ModelState model, CancellationToken cancellationToken) => new() { Examples = 0, Correct = 0, LogLossSum = 0, BrierSum = 0 };

    public void Dispose()
    {
    }
}
