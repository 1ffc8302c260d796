using System.CommandLine;
using System.Diagnostics;
using Federation.Cli.CommandLine;
using Federation.Cli.Results;
using Federation.Cli.Terminal;
using Federation.Formats;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning.DataSets;
using Federation.Simulation;
using static System.FormattableString;

namespace Federation.Cli.Verbs;

/// <summary><c>fed simulate</c>: all clients of a run in this process. Nothing leaves the machine.</summary>
internal static class SimulateVerb
{
    private static readonly Argument<string> SpecFile = new("SPEC") { Description = "The run spec, with a simulation." };

    private static readonly Option<long?> Workers = Numbers.Whole("--workers", "Clients trained side by side; the model does not depend on it. Default: the spec's, else as many as there are cores.", "n");

    private static readonly Option<string?> Out = new("--out") { Description = "Folder for model, metrics.json, rounds.csv, curve, page and checkpoint. Default: simulation-NAME.", HelpName = "folder" };

    private static readonly Option<bool> Resume = new("--resume") { Description = "Go on from the folder's checkpoint, where there is one." };

    private static readonly Option<string?> Sweep = new("--sweep") { Description = "One simulation for each value of a field of the spec, with table and plot: privacy.maxEpsilon=0.5,1,3,none.", HelpName = "field=v1,v2" };

    public static Verb Create() => new Verb("simulate", "Try a run on this machine: all clients in one process, by the same rules, sums and privacy code as on real nodes, in virtual time.", "fed simulate run.yaml --workers 2 --out tried\nfed simulate run.yaml --sweep privacy.maxEpsilon=0.5,1,3,8,none --json", "simulate")
        .With(SpecFile, Workers, Out, Resume, Sweep).Does(SimulateAsync);

    private static Task<int> SimulateAsync(Invocation invocation)
    {
        string path = invocation.Get(SpecFile), yaml = TextFile.Read(path);
        RunSpec spec = RunSpec.ParseSimulation(yaml, path);
        string folder = Path.GetFullPath(invocation.Get(Out) ?? "simulation-" + spec.Name);
        if (invocation.Get(Sweep) is not { } sweep)
        {
            SimulationResult result = Run(invocation, path, yaml, [], folder, "");
            invocation.Output.Result(new SimulateResult(folder, null, [new(null, result)]), Lines(result, folder));
            return Task.FromResult(ExitCode.Done);
        }

        (string field, string[] values) = Parse(sweep);
        foreach (string value in values) RunSpec.ParseSimulation(yaml, path, (field, value)); // a mistake in the last one is told before the first is trained
        List<SweepEntry> entries = [];
        foreach (string value in values) entries.Add(new(value, Run(invocation, path, yaml, [(field, value)], Path.Combine(folder, Name(value)), $"{field} = {value}: ")));
        ResultFiles.WriteSweep(folder, field, [.. entries.Select(entry => (entry.Value!, entry.Result))]);
        invocation.Output.Result(new SimulateResult(folder, field, entries), Table(field, entries, folder));
        return Task.FromResult(ExitCode.Done);
    }

    private static SimulationResult Run(Invocation invocation, string path, string yaml, (string Field, string Value)[] changes, string folder, string label)
    {
        RunSpec spec = RunSpec.ParseSimulation(yaml, path, changes);
        return SpecProblems.Place(path, () =>
        {
            SimulationSpec simulation = spec.Simulation!;
            long workers = invocation.Get(Workers) ?? simulation.Workers ?? Environment.ProcessorCount;
            if (workers is < 1 or > 1024) throw new InvalidInputException(new Problem($"{workers} workers are not possible.", Field: Workers.Name, Repair: "1 to 1024 is right."));
            SimulationInput input = Load(spec, path);
            string root = Path.GetDirectoryName(Path.GetFullPath(path)) ?? "/";
            ModelState? initial = spec.Model.Initial is { } file ? ModelState.Read(Path.GetFullPath(file, root)) : null;
            var kept = new SimulationFolder(folder, string.Join('\n', [yaml, initial?.Sha256 ?? "", .. changes.Select(change => $"{change.Field}={change.Value}")]));
            using var run = new SimulatedRun(input, initial, kept, (int)workers, invocation.Get(Resume));
            PartitionFiles.Write(folder, input); // nothing is wrong with them
            int before = run.Rounds.Count;
            long clock = Stopwatch.GetTimestamp();
            SimulationProgress.Show(invocation.Output, spec.Rounds, run, label, invocation.Cancellation);
            var result = SimulationResult.Of(input, run, (int)workers, Stopwatch.GetElapsedTime(clock).TotalSeconds, run.Rounds.Skip(before).Sum(round => (long)round.Contributors));
            ResultFiles.Write(folder, result, run.Rounds, run.Model);
            return result;
        });
    }

    private static SimulationInput Load(RunSpec spec, string path)
    {
        SimulationSpec simulation = spec.Simulation!;
        if (simulation.Data is not { } data) throw new InvalidInputException(new Problem("is missing: it says which examples the clients hold.", Field: "simulation.data", Repair: "Write data: { kind: mnist } (docs/simulation-data.md)."));
        data = data with { Schema = data.Schema ?? spec.Data?.Schema, Label = data.Label ?? spec.Task?.Label };
        string root = Path.GetDirectoryName(Path.GetFullPath(path)) ?? "/";
        LoadedExamples examples = ExampleSets.Load(data, root, simulation.Partition.Column);
        DividedExamples divided = Partitioner.Divide(simulation.Partition, examples.Train, simulation.Clients, spec.Seed, root);
        return new SimulationInput(spec, divided.Examples, examples.Test, divided.Partition);
    }

    private static (string Field, string[] Values) Parse(string sweep)
    {
        string[] parts = sweep.Split('=', 2);
        string[] values = parts.Length == 2 ? parts[1].Split(',', StringSplitOptions.TrimEntries) : [];
        if (parts[0].Length == 0 || values.Length == 0 || values.Any(value => value.Length == 0) || values.Distinct().Count() != values.Length) throw new InvalidInputException(new Problem($"'{sweep}' is no sweep.", Field: Sweep.Name, Repair: "A field of the spec and different values, such as privacy.maxEpsilon=0.5,1,3,none, is right."));
        return (parts[0], values);
    }

    /// <summary>Of the value's folder.</summary>
    private static string Name(string value) => string.Concat(value.Select(letter => char.IsAsciiLetterOrDigit(letter) || letter is '.' or '-' ? letter : '_')).TrimStart('.');

    private static IEnumerable<string> Lines(SimulationResult result, string folder)
    {
        yield return Invariant($"{result.Name}: {result.CompletedRounds} of {result.Rounds} rounds with {result.Clients} clients. {result.Reason}").TrimEnd();
        if (result.Accuracy is { } accuracy) yield return Invariant($"Accuracy {accuracy:0.0000} on the public test set of {result.Data}.");
        yield return result.Privacy?.Sentence ?? "No differential privacy.";
        if (result.SecureAggregation != "none") yield return "Secure aggregation was simulated: encoded, rounded and summed as on real nodes, and not encrypted.";
        yield return Invariant($"{result.VirtualSeconds:F0} s of virtual time; {result.Seconds:F1} s here, {result.ClientRoundsPerSecond:F1} client-rounds a second with {result.Workers} workers.");
        yield return $"Model {result.ModelSha256}";
        yield return folder;
    }

    private static IEnumerable<string> Table(string field, IEnumerable<SweepEntry> entries, string folder) =>
    [
        .. TextTable.Lines([field, ">ε", ">accuracy", ">log-loss"], entries.Select(entry => new[] { entry.Value!, entry.Result.Privacy is { } privacy ? double.IsPositiveInfinity(privacy.Epsilon) ? "∞" : Invariant($"{privacy.Epsilon:F3}") : "∞", Shown(entry.Result.Accuracy), Shown(entry.Result.LogLoss) })),
        folder,
    ];

    private static string Shown(double? figure) => figure is { } value ? Invariant($"{value:0.0000}") : "";
}
