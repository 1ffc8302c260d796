using System.Collections.Immutable;
using System.Data.Common;
using Federation.Formats;
using Federation.Formats.Data;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Protocol;
using Federation.Server.Aggregation;
using Federation.Server.Identity;
using Federation.Server.SecureAggregation;
using Federation.Server.Storage;
using Federation.Server.Strategies;
using Google.Protobuf;
using Microsoft.Extensions.Logging;
using Opening = Federation.Privacy.SecureAggregation.Opening;

namespace Federation.Server.Runs;

/// <summary>One run: its state, changed by one event at a time; each change is stored before anybody sees it, then its effects are carried out.</summary>
public sealed partial class RunHost
{
    /// <summary>How long a full disk, or a database that is away, is given before the sum is tried again.</summary>
    private static readonly TimeSpan RetryFull = TimeSpan.FromSeconds(30), RetryAway = TimeSpan.FromSeconds(2);

    private readonly RunContext _context;
    private readonly Lock _lock = new();
    private readonly Lazy<SafetensorsHeader> _modelHeader;
    private readonly Lazy<UpdateShape> _updateShape;
    private long _sequence;
    private (Transition Transition, RunChange Change, TimeSpan Moved, Action<bool?>? Told)? _unsettled; // given to the store, which failed: it may hold it or not
    private DateTimeOffset _retryAt = DateTimeOffset.MinValue;
    private bool _opening; // of a closed sum, under way
    private Tuple<string, ByteString>? _smallModel; // the last one that was asked for; a reference, because many ask at once

    /// <param name="sequence">Of the last event stored.</param>
    /// <exception cref="InvalidInputException">The spec asks for a strategy that this coordinator does not have.</exception>
    public RunHost(RunContext context, RunRecord record, RunState state, long sequence)
    {
        (_context, Record, State, _sequence, _moved) = (context, record, state, sequence, context.Steady.Moved);
        Spec = RunSpec.Parse(record.SpecYaml, record.Name + ".yaml");
        // An older program's plan does not say it.
        State = state with { Plan = state.Plan with { HasControls = Spec.Strategy.Kind == StrategyKind.Scaffold } };
        Schema = record.SchemaYaml.Length == 0 ? null : DataSchema.Parse(record.SchemaYaml, "schema");
        _modelHeader = new Lazy<SafetensorsHeader>(() => ReadHeader(state.ModelSha256));
        _updateShape = new Lazy<UpdateShape>(() => UpdateShape.Of(Spec, ModelHeader));
        Strategy = state.IsOver ? new FedAvg() : context.Strategies.Of(Spec.Strategy); // of one that is over nothing more is made
        Secure = Spec.SecureAggregation is null ? null : new SecureRun(context, this);
    }

    public string Id => Record.Id;

    public RunRecord Record { get; }

    public RunSpec Spec { get; }

    public DataSchema? Schema { get; }

    internal Strategy Strategy { get; }

    /// <summary>What the sites' updates hold.</summary>
    internal UpdateShape UpdateShape => _updateShape.Value;

    /// <summary>Every model of the run begins with these bytes.</summary>
    /// <exception cref="FileNotFoundException">The model's file is gone.</exception>
    public SafetensorsHeader ModelHeader => _modelHeader.Value;

    /// <summary>Null: the run has no secure aggregation.</summary>
    internal SecureRun? Secure { get; }

    public RunState State { get; private set; }

    /// <summary>The work of closing rounds; tests and shutdown wait for it.</summary>
    public Task Background { get; private set; } = Task.CompletedTask;

    /// <param name="told">Hears of a change whose commit the store did not answer: null at once, then whether the store holds it. Within the run's lock.</param>
    public Transition Apply(RunEvent happened, Action<bool?>? told = null)
    {
        Transition transition;
        lock (_lock)
        {
            Settle();
            FollowClock();
            DateTimeOffset now = _context.Time.GetUtcNow();
            transition = RunMachine.Apply(State, happened, _context.Sessions.Roster(), now);
            if (transition.Refused is not null || ReferenceEquals(transition.State, State)) return transition;
            Store(transition, now, _moved, told);
        }

        _context.Signal.Raise();
        return transition;
    }

    /// <summary>Stores a change, then lives by it.</summary>
    /// <param name="moved">What the deadlines have of the clock's being set.</param>
    private void Store(Transition transition, DateTimeOffset now, TimeSpan moved, Action<bool?>? told = null)
    {
        RunChange change = RunChanges.Of(_context, Id, transition, _sequence, now);
        _unsettled = (transition, change, moved, null);
        try
        {
            _context.Store.Save(change);
        }
        catch (StoreUnavailableException away) when (away.IsUncertain)
        {
            _unsettled = (transition, change, moved, told);
            told?.Invoke(null);
            throw;
        }

        Adopt(transition, change, moved);
    }

    private void Adopt(Transition transition, RunChange change, TimeSpan moved)
    {
        _unsettled = null;
        _moved = moved;
        _sequence += change.Events.Count;
        State = transition.State;
        if (State.Phase is not (Aggregating or Evaluating { Closed: true })) _opening = false;
        if (State.IsOver) Secure?.Stop();
        foreach (RunEffect effect in transition.Effects) CarryOut(effect);
    }

    /// <summary>After a change that the store did not answer for: looks whether it holds it, before anything is built on either.</summary>
    private void Settle()
    {
        if (_unsettled is not var (transition, change, moved, told)) return;
        bool held = _context.Store.FindRun(Id)?.StateJson == change.StateJson && (change.Events.Count == 0 || _context.Store.Events(Id, _sequence).Count > 0);
        _unsettled = null;
        told?.Invoke(held);
        if (!held) return;
        Adopt(transition, change, moved);
        _context.Signal.Raise();
    }

    /// <summary>After a restart: what the stored state says should be going on, and no files of what is over.</summary>
    public void Resume()
    {
        int over = BufferRules.LastOver(State, State.IsOver ? State.Round : State.Round - 1);
        if (over > 0) CarryOut(new DropUploads(over));
        CarryOut(new KeepStrategy(State.IsOver ? 0 : State.StrategyRound));
        // Members may have taken part in the attempt that the restart ended: the next one is another.
        if (State.Phase is MakingKeys making) Apply(new EpochFailed(making.Epoch, making.Attempt, "The coordinator restarted; the keys are made anew.", [.. making.Dropped], Restarted: true));
        Retry();
    }

    /// <summary>A line of the run's log that changes nothing else.</summary>
    internal void Say(Announce line)
    {
        lock (_lock)
        {
            Settle();
            if (State.IsOver) return;
            Store(new Transition(State, [line]), _context.Time.GetUtcNow(), _moved);
        }

        _context.Signal.Raise();
    }

    /// <summary>Work on a closed round, off the caller's thread; what goes wrong ends the run with its reason.</summary>
    internal void InBackground(int round, Action work)
    {
        lock (_lock)
        {
            Background = _context.Start(() =>
            {
                try
                {
                    work();
                }
#pragma warning disable CA1031 // whatever went wrong ends this run with its reason, never the coordinator
                catch (Exception error)
#pragma warning restore CA1031
                {
                    _opening = false; // a full disk: it is opened again, and members give the same answers
                    if (!State.IsOver) GiveUp(round, error); // cancelled meanwhile: its uploads are gone, as they should be
                }
            });
        }
    }

    /// <summary>Sums the round's updates where that should be going on and is not.</summary>
    public void Retry()
    {
        lock (_lock)
        {
            Settle();
            if (State.Phase is Aggregating closed && !_opening && Background.IsCompleted && _context.Steady.GetUtcNow() >= _retryAt) CarryOut(new Aggregate(State.Round, closed.Contributions));
            if (State.Phase is Evaluating { Closed: true, Encrypted: { } encrypted } && !_opening && Background.IsCompleted && _context.Steady.GetUtcNow() >= _retryAt) CarryOut(new OpenEvaluation(State.Round, encrypted));
        }
    }

    /// <summary>The newest global model is opened at its data.</summary>
    public FileStream OpenModelData()
    {
        FileStream file = _context.Blobs.Open(State.ModelSha256);
        file.Position = ModelHeader.DataStart;
        return file;
    }

    /// <summary>A model that travels with the task; empty: it is too large, or there is none.</summary>
    internal ByteString SmallModel(string sha256)
    {
        if (_smallModel is var (known, content) && known == sha256) return content;
        ByteString model = ByteString.Empty;
        if (_context.Blobs.Has(sha256) && _context.Blobs.SizeOf(sha256) <= Limits.SmallBytes)
        {
            using FileStream file = _context.Blobs.Open(sha256);
            model = ByteString.FromStream(file);
        }

        _smallModel = new(sha256, model);
        return model;
    }

    /// <summary>What the strategy kept, on its way into what it keeps after this round; null: nothing.</summary>
    internal StrategyState? OpenStrategyState(int round) => _context.StrategyFiles.Open(Id, Strategy, State.StrategyRound, round, ModelHeader.ValueCount);

    private void CarryOut(RunEffect effect)
    {
        switch (effect)
        {
            case Announce said:
                _context.Logger.LogInformation("{Run}: {Message}", Record.Name, said.Message);
                break;
            case Aggregate aggregate when Secure is not null:
                OpenInBackground(aggregate.Round, aggregate.Contributions, Secure.PurposeOf(State));
                break;
            case Aggregate aggregate:
                InBackground(aggregate.Round, () => Apply(new PlainSums(_context, this).Of(aggregate)));
                break;
            case OpenEvaluation evaluation:
                OpenInBackground(evaluation.Round, evaluation.Contributions, Opening.Evaluation);
                break;
            case MakeKeys keys:
                Secure?.Begin(keys);
                break;
            case StopKeys:
                Secure?.Stop();
                break;
            case DropUploads drop:
                Drop($"uploads of round {drop.Round}", () =>
                {
                    _context.Traffic.Forget(Id, drop.Round);
                    _context.Store.DropUploads(Id, drop.Round);
                    _context.Spool.DropRounds(Id, drop.Round);
                });
                break;
            case KeepStrategy keep:
                Drop("files of its strategy", () => _context.StrategyFiles.Keep(Id, keep.Round));
                break;
        }
    }

    /// <summary>Files that cannot be removed now are removed with a later round's, or at the next start.</summary>
    private void Drop(string what, Action drop)
    {
        try
        {
            drop();
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException or DbException)
        {
            _context.Logger.LogWarning("{Run}: the {What} could not be removed: {Message}", Record.Name, what, error.Message);
        }
    }

    private void OpenInBackground(int round, ImmutableSortedDictionary<string, Contribution> contributions, string purpose)
    {
        _opening = true;
        InBackground(round, () =>
        {
            Secure!.Open(round, contributions.Keys, purpose);
            Secure.Advance();
        });
    }

    private void GiveUp(int round, Exception error)
    {
        try
        {
            if (TryLater(error)) return;
            _context.Logger.LogError(error, "{Run}: round {Round} could not be aggregated", Record.Name, round);
            Apply(State.Phase is Evaluating ? new EvaluationOpened(round, null, error.Message) : new AggregationFailed(round, error.Message, IsOfUpdates: error is AggregationException));
        }
        catch (Exception second) when (second is IOException or DbException)
        {
            if (!TryLater(second)) _retryAt = _context.Steady.GetUtcNow() + RetryFull;
            _context.Logger.LogError("{Run}: nor could that be stored: {Message}", Record.Name, second.Message);
        }
    }

    /// <summary>What somebody else will mend.</summary>
    private bool TryLater(Exception error)
    {
        if (error is not StoreUnavailableException && !DiskFull.Is(error)) return false;
        bool away = error is StoreUnavailableException;
        _retryAt = _context.Steady.GetUtcNow() + (away ? RetryAway : RetryFull);
        if (!away) _context.Logger.LogError("{Run}: the disk is full, its sum waits for room: {Message}", Record.Name, error.Message);
        return true;
    }

    private SafetensorsHeader ReadHeader(string sha256)
    {
        using FileStream file = _context.Blobs.Open(sha256);
        return SafetensorsHeader.Read(file, file.Length);
    }
}
