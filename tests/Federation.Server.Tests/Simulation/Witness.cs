using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Server.Runs;
using Federation.Server.Storage;
using Federation.Server.Strategies;

namespace Federation.Server.Tests.Simulation;

/// <param name="Round">Whose model it starts from.</param>
/// <param name="Values">weight·(local − global).</param>
internal sealed record MadeUpdate(string Run, int Round, int Site, ulong Weight, float[] Values, byte[] File);

/// <summary>
/// Sees what is committed, hears what sites are answered, and knows what each update holds: says whether every model is the one before with just those updates that the coordinator said it counted, each once.
/// What it checks follows from the protocol's promises, not from the coordinator's code.
/// </summary>
internal sealed class Witness(Func<BlobStore> blobs)
{
    private readonly Dictionary<string, SeenRun> _runs = [];
    private readonly Dictionary<string, MadeUpdate> _updates = [];

    private sealed class SeenRun(RunRecord record)
    {
        public RunRecord Record { get; } = record;

        public RunSpec Spec { get; } = RunSpec.Parse(record.SpecYaml, "spec");

        /// <summary>As it was last committed.</summary>
        public RunState State { get; set; } = JsonSerializer.Deserialize<RunState>(record.StateJson)!;

        public string StateJson { get; set; } = record.StateJson;

        /// <summary>What was found to be the same in memory.</summary>
        public RunState? Compared { get; set; }

        public long Events { get; set; } = 1;

        public float[] Model { get; set; } = [];

        /// <summary>Sites that were told in the log to be counted, since the last round was closed or abandoned.</summary>
        public SortedSet<string> Told { get; } = new(StringComparer.Ordinal);

        public Dictionary<int, ImmutableSortedDictionary<string, Contribution>> Closed { get; } = [];

        /// <summary>Rounds that came to nothing, with the sites that had contributed.</summary>
        public Dictionary<int, string[]> Abandoned { get; } = [];

        /// <summary>Updates that are in a model, with its round.</summary>
        public Dictionary<string, int> Used { get; } = [];

        public SortedSet<string> Acknowledged { get; } = new(StringComparer.Ordinal);
    }

    /// <summary>The first promise that was broken; null: none.</summary>
    public string? Broken { get; private set; }

    /// <summary>Models made in all runs.</summary>
    public int Rounds { get; private set; }

    public int Abandoned { get; private set; }

    public void Breaks(string promise) => Broken ??= promise;

    public void Made(string sha256, MadeUpdate update) => _updates[sha256] = update;

    public void Added(RunRecord record)
    {
        var seen = new SeenRun(record);
        _runs.Add(record.Id, seen);
        seen.Model = Read(seen.State.ModelSha256);
    }

    /// <summary>A change is in the store.</summary>
    public void Saved(RunChange change)
    {
        SeenRun run = _runs[change.RunId];
        RunState before = run.State, after = JsonSerializer.Deserialize<RunState>(change.StateJson)!;
        if (before.IsOver) Breaks($"{run.Record.Name}: it changed after its end.");
        if (after.Round - before.Round is not (0 or 1)) Breaks($"{run.Record.Name}: round {after.Round} came after round {before.Round}.");
        if (after.CompletedRounds - before.CompletedRounds is var completed && (completed is not (0 or 1) || completed != change.Models.Count)) Breaks($"{run.Record.Name}: {completed} rounds were completed with {change.Models.Count} models.");
        if (change.Over != after.IsOver) Breaks($"{run.Record.Name}: its record and its state do not agree on whether it is over.");
        foreach (ModelRecord model in change.Models) Check(run, model);
        foreach (EventRecord happened in change.Events) Check(run, happened, before, after);
        (run.State, run.StateJson, run.Compared) = (after, change.StateJson, null);
        if (change.Models.Count > 0 && change.Models[^1].Sha256 != after.ModelSha256) Breaks($"{run.Record.Name}: its newest model is not the one that was kept.");
    }

    /// <summary>A site was answered that its update is counted.</summary>
    public void Acknowledged(string runId, string site, string update)
    {
        SeenRun run = _runs[runId];
        run.Acknowledged.Add(update);
        if (!IsCounted(run, update) && !(run.Abandoned.GetValueOrDefault(_updates[update].Round)?.Contains(site) ?? false)) Breaks($"{run.Record.Name}: {site} was told that its update {update[..8]} of round {_updates[update].Round} is counted, and the store does not hold that it is.");
    }

    /// <summary>Whether memory is what was committed.</summary>
    public void Compare(IReadOnlyList<RunHost> memory)
    {
        if (memory.Count != _runs.Count) Breaks($"{_runs.Count} runs are in the store, {memory.Count} in memory.");
        foreach (RunHost run in memory)
        {
            SeenRun seen = _runs[run.Id];
            if (ReferenceEquals(seen.Compared, run.State)) continue;
            seen.Compared = run.State;
            if (JsonSerializer.Serialize(run.State) != seen.StateJson) Breaks($"{run.Record.Name}: memory and store do not agree: {run.State.Phase}; {seen.State.Phase}.");
        }
    }

    /// <summary>After the last fault: every run has come to its end, and its records are whole.</summary>
    public void Finish(ICoordinatorStore store)
    {
        foreach (SeenRun run in _runs.Values)
        {
            string name = run.Record.Name;
            if (run.State.Phase is not Ended ended)
            {
                Breaks($"{name} is stuck: {run.State.Phase}.");
                continue;
            }

            if (ended.How == RunEnd.Completed && run.State.CompletedRounds != run.State.Plan.Rounds) Breaks($"{name} completed after {run.State.CompletedRounds} of {run.State.Plan.Rounds} rounds.");
            if (ended.How == RunEnd.Failed && !ended.Reason.Contains("needed sites can take part", StringComparison.Ordinal)) Breaks($"{name} failed: {ended.Reason}");
            List<EventRecord> events = [];
            while (store.Events(run.Record.Id, events.Count) is { Count: > 0 } more) events.AddRange(more);
            if (!events.Select(happened => happened.Sequence).SequenceEqual(Enumerable.Range(1, events.Count).Select(i => (long)i)) || events.Count != run.Events) Breaks($"{name}: of {run.Events} events {events.Count} are in the store.");
            IReadOnlyList<ModelRecord> models = store.Models(run.Record.Id);
            if (models.Count != run.State.CompletedRounds + 1) Breaks($"{name}: {models.Count - 1} models of {run.State.CompletedRounds} completed rounds are in the store.");
            foreach (RoundRecord round in store.Rounds(run.Record.Id))
            {
                if (round.State is not ("completed" or "abandoned") && ended.How == RunEnd.Completed) Breaks($"{name}: round {round.Round} stayed {round.State}.");
                if (round.State == "completed" && !round.Contributors.SequenceEqual(run.Closed[round.Round].Keys)) Breaks($"{name}: the record of round {round.Round} names {string.Join(", ", round.Contributors)}.");
            }

            // What was taken and is in no model waits at the run's end, or its round was abandoned, which only rounds in step are.
            if (run.State.Plan.Buffer is not null && ended.How == RunEnd.Completed && run.Acknowledged.FirstOrDefault(update => !IsCounted(run, update)) is { } lost) Breaks($"{name}: the update {lost[..8]} was taken and is lost.");
        }
    }

    public int Count(RunEnd how) => _runs.Values.Count(run => run.State.Phase is Ended ended && ended.How == how);

    private static bool IsCounted(SeenRun run, string update) =>
        run.Used.ContainsKey(update) || Has(RunMachine.Counted(run.State), update) || Has(run.State.Buffer?.Early, update) || run.Closed.Values.Any(closed => Has(closed, update));

    private static bool Has(ImmutableSortedDictionary<string, Contribution>? contributions, string update) => contributions?.Values.Any(contribution => contribution.UpdateSha256 == update) == true;

    private void Check(SeenRun run, EventRecord happened, RunState before, RunState after)
    {
        string name = run.Record.Name;
        if (happened.Sequence != ++run.Events) Breaks($"{name}: event {happened.Sequence} came in the place of {run.Events}.");
        switch (happened.Kind)
        {
            case RunLog.Contributed when !run.Told.Add(happened.Site):
                Breaks($"{name}: {happened.Site} contributed twice to round {happened.Round}.");
                break;
            case RunLog.RoundAbandoned:
                Abandoned++;
                run.Abandoned[happened.Round] = [.. run.Told];
                run.Told.Clear();
                break;
            case RunLog.RoundClosed:
                // One change may close a round and, in a run that is asynchronous, make the one before.
                if (after.Phase is not Aggregating closed || after.Round != happened.Round || !run.Closed.TryAdd(happened.Round, closed.Contributions)) Breaks($"{name}: round {happened.Round} was closed, and is not being summed.");
                else if (!run.Told.SetEquals(closed.Contributions.Keys)) Breaks($"{name}: round {happened.Round} is made of {string.Join(", ", closed.Contributions.Keys)}; the log tells of {string.Join(", ", run.Told)}.");
                run.Told.Clear();
                break;
            case RunLog.RoundOpened when happened.Round != before.Round + 1:
                Breaks($"{name}: round {happened.Round} was opened after round {before.Round}.");
                break;
        }
    }

    /// <summary>One more model: is it made of what was closed, and of nothing that was used before?</summary>
    private void Check(SeenRun run, ModelRecord model)
    {
        Rounds++;
        string name = run.Record.Name;
        if (!run.Closed.TryGetValue(model.Round, out ImmutableSortedDictionary<string, Contribution>? closed))
        {
            Breaks($"{name}: round {model.Round} made a model and was never closed.");
            return;
        }

        // What a site was told to be counted is what counts: no other update of the same site.
        if (run.State.Plan.Buffer is null && run.Acknowledged.FirstOrDefault(update => _updates[update].Round == model.Round && !Has(closed, update)) is { } exchanged) Breaks($"{name}: round {model.Round} is made without the update {exchanged[..8]}, which was taken.");
        List<(MadeUpdate Update, int Age)> parts = [];
        foreach ((string site, Contribution contribution) in closed)
        {
            MadeUpdate? update = _updates.GetValueOrDefault(contribution.UpdateSha256);
            int from = contribution.From == 0 ? model.Round : contribution.From;
            if (update is null || SiteName(update.Site) != site || update.Run != run.Record.Id || update.Round != from || update.Weight != contribution.Weight) Breaks($"{name}: {site} never made the update {contribution.UpdateSha256[..8]} that round {model.Round} is made of.");
            else parts.Add((update, model.Round - from));
            if (!run.Used.TryAdd(contribution.UpdateSha256, model.Round)) Breaks($"{name}: the update {contribution.UpdateSha256[..8]} of {site} is in the models of rounds {run.Used[contribution.UpdateSha256]} and {model.Round}.");
        }

        float[] expected = Next(run, parts), actual = Read(model.Sha256);
        if (!expected.Zip(actual).All(pair => Math.Abs(pair.First - pair.Second) <= 1e-6 * Math.Abs(pair.First))) Breaks($"{name}: round {model.Round} made [{Text(actual)}] from [{Text(run.Model)}]; with {string.Join(", ", closed.Keys)} it is [{Text(expected)}].");
        run.Model = actual;
    }

    private static float[] Next(SeenRun run, List<(MadeUpdate Update, int Age)> parts)
    {
        double[] mean = new double[run.Model.Length];
        bool isBuffered = run.State.Plan.Buffer is not null;
        double weight = isBuffered ? parts.Count : parts.Sum(part => (double)part.Update.Weight);
        foreach ((MadeUpdate update, int age) in parts)
        {
            double factor = isBuffered ? FedBuff.WeightOf(age) / update.Weight : 1;
            for (int i = 0; i < mean.Length; i++) mean[i] += factor * update.Values[i];
        }

        return [.. run.Model.Select((value, i) => (float)(value + (mean[i] / weight)))];
    }

    public static string SiteName(int site) => string.Create(CultureInfo.InvariantCulture, $"site-{site}");

    private float[] Read(string sha256)
    {
        using FileStream file = blobs().Open(sha256);
        return ModelState.Read(file, file.Length).Tensors[0].Values;
    }

    private static string Text(float[] values) => string.Join(' ', values.Select(value => value.ToString("g9", CultureInfo.InvariantCulture)));
}
