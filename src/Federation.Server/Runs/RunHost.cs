using System.Collections.Immutable;
using System.Globalization;
using System.Text.Json;
using Federation.Formats.Data;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Server.Aggregation;
using Federation.Server.Storage;
using Microsoft.Extensions.Logging;

namespace Federation.Server.Runs;

/// <summary>What every run shares.</summary>
public sealed record RunContext(ICoordinatorStore Store, BlobStore Blobs, Spool Spool, Sessions Sessions, Traffic Traffic, Signal Signal, TimeProvider Time, ILogger Logger);

/// <summary>One run: its state, changed by one event at a time; each change is stored before anybody sees it, then its effects are carried out.</summary>
public sealed class RunHost
{
    private readonly RunContext _context;
    private readonly Lock _lock = new();
    private long _sequence;

    /// <param name="sequence">Of the last event stored.</param>
    public RunHost(RunContext context, RunRecord record, RunState state, long sequence)
    {
        (_context, Record, State, _sequence) = (context, record, state, sequence);
        Spec = RunSpec.Parse(record.SpecYaml, record.Name + ".yaml");
        Schema = record.SchemaYaml.Length == 0 ? null : DataSchema.Parse(record.SchemaYaml, "schema");
        ModelHeader = ReadHeader(state.ModelSha256);
    }

    public string Id => Record.Id;

    public RunRecord Record { get; }

    public RunSpec Spec { get; }

    public DataSchema? Schema { get; }

    /// <summary>Every model and update of the run begins with these bytes.</summary>
    public SafetensorsHeader ModelHeader { get; }

    public RunState State { get; private set; }

    /// <summary>The work of closing rounds; tests and shutdown wait for it.</summary>
    public Task Background { get; private set; } = Task.CompletedTask;

    public Transition Apply(RunEvent happened)
    {
        Transition transition;
        lock (_lock)
        {
            DateTimeOffset now = _context.Time.GetUtcNow();
            transition = RunMachine.Apply(State, happened, _context.Sessions.Roster(), now);
            if (transition.Refused is not null || ReferenceEquals(transition.State, State)) return transition;
            _context.Store.Save(ChangeOf(transition, now));
            State = transition.State;
            foreach (RunEffect effect in transition.Effects) CarryOut(effect);
        }

        _context.Signal.Raise();
        return transition;
    }

    /// <summary>After a restart: what the stored state says should be going on.</summary>
    public void Resume()
    {
        if (State.Phase is Aggregating closed) CarryOut(new Aggregate(State.Round, closed.Contributions));
    }

    /// <summary>The newest global model is opened at its data.</summary>
    public FileStream OpenModelData()
    {
        FileStream file = _context.Blobs.Open(State.ModelSha256);
        file.Position = ModelHeader.DataStart;
        return file;
    }

    private RunChange ChangeOf(Transition transition, DateTimeOffset now)
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
                    events.Add(new EventRecord(++_sequence, now, said.Kind, said.Round, said.Site, said.Message, said.Model, said.Metrics));
                    break;
                case Summarize summary:
                    rounds.Add(RecordOf(summary, now));
                    break;
                case KeepModel model:
                    models.Add(new ModelRecord(Id, model.Round, model.Sha256, _context.Blobs.SizeOf(model.Sha256), now));
                    break;
                case KeepEvaluation evaluation:
                    evaluations.Add(new EvaluationRecord(Id, evaluation.Round, "federated", evaluation.Sums));
                    break;
            }
        }

        return new RunChange(Id, JsonSerializer.Serialize(transition.State), transition.State.IsOver, events, rounds, models, evaluations);
    }

    private RoundRecord RecordOf(Summarize summary, DateTimeOffset now)
    {
        (ulong down, ulong up, ulong control) = _context.Traffic.Read(Id, summary.Round);
        ulong weight = summary.Contributions.Values.Aggregate(0UL, (sum, contribution) => sum + contribution.Weight);
        return new RoundRecord(summary.Round, summary.State, [.. summary.Cohort], [.. summary.Contributions.Keys], weight, summary.Model, (now - summary.OpenedAt).TotalSeconds, down, up, control);
    }

    private void CarryOut(RunEffect effect)
    {
        switch (effect)
        {
            case Announce said:
                _context.Logger.LogInformation("{Run}: {Message}", Record.Name, said.Message);
                break;
            case Aggregate aggregate:
                Background = Task.Run(() => AggregateInBackground(aggregate));
                break;
            case DropUploads drop:
                _context.Store.DropUploads(Id, drop.Round);
                _context.Spool.DropRound(Id, drop.Round);
                _context.Traffic.Forget(Id, drop.Round);
                break;
        }
    }

    private void AggregateInBackground(Aggregate aggregate)
    {
        try
        {
            Apply(new Aggregated(aggregate.Round, Sum(aggregate)));
        }
#pragma warning disable CA1031 // whatever went wrong ends this run with its reason, never the coordinator
        catch (Exception error)
#pragma warning restore CA1031
        {
            _context.Logger.LogError(error, "{Run}: round {Round} could not be aggregated", Record.Name, aggregate.Round);
            Apply(new AggregationFailed(aggregate.Round, error.Message));
        }
    }

    private string Sum(Aggregate aggregate)
    {
        List<Stream> updates = [];
        try
        {
            double weight = 0; // integers below 2^53 add up exactly
            foreach ((string site, Contribution contribution) in aggregate.Contributions)
            {
                var update = new FileStream(_context.Spool.PathOf(Id, aggregate.Round, site), FileMode.Open, FileAccess.Read, FileShare.Read, 1);
                updates.Add(update);
                update.Position = ModelHeader.DataStart;
                weight += contribution.Weight;
            }

            using FileStream model = OpenModelData();
            using BlobStore.NewBlob next = _context.Blobs.Create();
            next.Stream.Write(ModelHeader.Bytes);
            FedAvg.WriteNext(model, updates, ModelHeader.DataLength, weight, next.Stream, CancellationToken.None);
            return next.Keep();
        }
        finally
        {
            foreach (Stream update in updates) update.Dispose();
        }
    }

    private SafetensorsHeader ReadHeader(string sha256)
    {
        using FileStream file = _context.Blobs.Open(sha256);
        return SafetensorsHeader.Read(file, file.Length);
    }
}

/// <summary>All runs of this coordinator.</summary>
public sealed class RunRegistry
{
    private readonly RunContext _context;
    private readonly Lock _lock = new();
    private ImmutableArray<RunHost> _runs;

    /// <summary>Restores every run from the store and goes on with those that are not over.</summary>
    public RunRegistry(RunContext context)
    {
        _context = context;
        _runs = [.. context.Store.Runs().Select(Restore)];
        foreach (RunHost run in _runs) run.Resume();
    }

    /// <summary>Oldest first.</summary>
    public IReadOnlyList<RunHost> All => _runs;

    public IEnumerable<RunHost> Active => _runs.Where(run => !run.State.IsOver);

    public RunHost? Find(string id) => _runs.FirstOrDefault(run => run.Id == id);

    public RunHost Add(RunSpec spec, string specYaml, string schemaYaml, string initialModel)
    {
        DateTimeOffset now = _context.Time.GetUtcNow();
        string id = Convert.ToHexStringLower(System.Security.Cryptography.RandomNumberGenerator.GetBytes(8));
        RunState state = RunState.Submitted(RunPlan.Of(spec), initialModel, now);
        var record = new RunRecord(id, spec.Name, specYaml, schemaYaml, now, JsonSerializer.Serialize(state), false);
        string message = string.Create(CultureInfo.InvariantCulture, $"Submitted: {spec.Rounds} rounds, at least {spec.Cohort.MinContributors} sites each.");
        var submitted = new EventRecord(1, now, RunLog.Submitted, 0, "", message, initialModel, null);
        _context.Store.AddRun(record, submitted, new ModelRecord(id, 0, initialModel, _context.Blobs.SizeOf(initialModel), now));
        var run = new RunHost(_context, record, state, 1);
        lock (_lock) _runs = _runs.Add(run);
        run.Apply(new Tick());
        _context.Signal.Raise();
        return run;
    }

    /// <summary>Deadlines and sites that came or went.</summary>
    public void Tick()
    {
        foreach (RunHost run in Active) run.Apply(new Tick());
    }

    private RunHost Restore(RunRecord record)
    {
        RunState state = JsonSerializer.Deserialize<RunState>(record.StateJson)!;
        long sequence = 0;
        while (_context.Store.Events(record.Id, sequence) is { Count: > 0 } events) sequence = events[^1].Sequence;
        return new RunHost(_context, record, state, sequence);
    }
}
