using System.Collections.Concurrent;
using System.Collections.Immutable;
using Federation.Formats;
using Federation.Formats.Evaluation;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Privacy.Mechanisms;
using Federation.Privacy.SecureAggregation;
using Federation.Server.Aggregation;
using Federation.Server.Runs;
using Federation.Server.Strategies;
using Roster = Federation.Server.Runs.Roster;

namespace Federation.Simulation;

/// <summary>
/// A run with all of its clients in one process: the coordinator's rules and sums, the nodes' training, virtual time. Nothing is sent, and nothing waits.
/// Without privacy noise the models' bytes follow from spec and examples alone: not from the number of workers, and not from where a run was stopped and went on.
/// </summary>
public sealed class SimulatedRun : IDisposable
{
    private const int RowsAtOnce = 1000, MostAbandoned = 100;
    private const string RunId = "simulation";

    private readonly SimulationInput _input;
    private readonly VirtualClients _clients;
    private readonly WorkerPool _workers;
    private readonly StrategyFiles _files;
    private readonly Strategy _strategy;
    private readonly SimulationFolder _folder;
    private readonly List<SimulatedRound> _rounds;
    private RunState _state;
    private ModelState _model;
    private DateTimeOffset _now;
    private int _abandoned;

    /// <param name="initial">Null: by the spec's seed.</param>
    /// <param name="folder">For checkpoints and what a strategy keeps.</param>
    /// <param name="workers">At least 1.</param>
    /// <param name="resume">Goes on from the folder's checkpoint, where there is one.</param>
    /// <exception cref="InvalidInputException">It cannot be simulated; lists every problem. Nothing was trained.</exception>
    public SimulatedRun(SimulationInput input, ModelState? initial, SimulationFolder folder, int workers, bool resume = false)
    {
        SimulationCheck.Of(input);
        ModelState fresh = ClientWorker.Initial(input);
        if (initial is not null && initial.Header.DifferencesFrom(fresh.Header) is [_, ..] differences) throw new InvalidInputException([.. differences.Select(difference => new Problem(difference, Field: "model.initial"))]);
        SimulationCheck.OfModel(input, fresh, workers, GC.GetGCMemoryInfo().TotalAvailableMemoryBytes);
        (_input, _folder, _clients) = (input, folder, new VirtualClients(input.Spec, input.Simulation, input.Partition));
        _files = new StrategyFiles(folder.Strategy);
        _strategy = new StrategyBook().Of(input.Spec.Strategy);
        if (resume && folder.Read(input.Spec) is var (checkpoint, model))
        {
            (_state, _model, _now, _rounds) = (checkpoint.State, model, checkpoint.Now, [.. checkpoint.Rounds]);
        }
        else
        {
            _model = initial ?? fresh;
            (_state, _now, _rounds) = (Begin(input, _clients, _model), VirtualClients.Begin, []);
            folder.Clear();
        }

        _workers = new WorkerPool(input, workers);
    }

    /// <summary>The newest global model.</summary>
    public ModelState Model => _model;

    public IReadOnlyList<SimulatedRound> Rounds => _rounds;

    /// <summary>Rounds that changed the model.</summary>
    public int CompletedRounds => _state.CompletedRounds;

    /// <summary>Why it ended before its last round; empty: it did not.</summary>
    public string Reason => _state.Phase is Ended ended ? ended.Reason : "";

    /// <summary>Client names and the number of rounds that each contributed to, of those that did.</summary>
    internal RunState State => _state;

    /// <summary>Until the run is over.</summary>
    /// <param name="told">Hears of each round that is over.</param>
    /// <exception cref="InvalidInputException">The run cannot go on: too few clients ever take part.</exception>
    /// <exception cref="AggregationException">A round's updates make no model.</exception>
    public void Run(Action<SimulatedRound>? told = null, CancellationToken cancellationToken = default)
    {
        while (!_state.IsOver)
        {
            cancellationToken.ThrowIfCancellationRequested();
            switch (_state.Phase)
            {
                case RoundOpen:
                    SimulatedRound round = Round(cancellationToken);
                    _rounds.Add(round);
                    if (round.Contributors > 0 && (_state.IsOver || _state.CompletedRounds % (_input.Simulation.CheckpointEvery ?? int.MaxValue) == 0)) _folder.Write(_input.Spec, new SimulationCheckpoint(_state, _now, _rounds), _model, _files, RunId);
                    told?.Invoke(round);
                    break;
                default:
                    Wait();
                    break;
            }
        }

        if (_state.Phase is Ended { How: not RunEnd.Completed } failed) throw new InvalidInputException(new Problem(failed.Reason, Field: "cohort"));
    }

    public void Dispose() => _workers.Dispose();

    // Clients say yes at once: a simulation's data fit its spec. Keys and committee are not simulated, and evaluation is on the public test set.
    private static RunState Begin(SimulationInput input, VirtualClients clients, ModelState model)
    {
        RunPlan plan = RunPlan.Of(input.Spec) with { Sites = clients.Names, Secure = false, EvaluateEvery = null };
        RunState submitted = RunState.Submitted(plan, model.Sha256, VirtualClients.Begin);
        return submitted with { Phase = new Waiting(""), Sites = submitted.Sites.ToImmutableSortedDictionary(site => site.Key, _ => new RunSite(SiteStanding.Ready, []), StringComparer.Ordinal) };
    }

    /// <summary>Opens a round, at the time when enough clients are connected.</summary>
    private void Wait()
    {
        for (int turn = 0; ; turn++)
        {
            _state = RunMachine.Apply(_state, new Tick(), Sites(), _now).State;
            if (_state.Phase is not Waiting waiting) return;
            if (turn == 10_000 || _clients.NextChange(_now) is not { } later) throw new InvalidInputException(new Problem($"No round can be opened: {waiting.Reason}", Field: "cohort.minContributors", Repair: "Lower it, or raise simulation.availability.share."));
            _now = later;
        }
    }

    private SimulatedRound Round(CancellationToken cancellationToken)
    {
        var open = (RoundOpen)_state.Phase;
        int number = _state.Round;
        RunSpec spec = _input.Spec.At(number);
        var sum = new RoundSum(spec, _model, UpdateShape.Of(spec, _model.Header), number, open.Cohort.Count, _state.SiteClip);
        ConcurrentDictionary<string, string> failed = new(StringComparer.Ordinal);
        Dictionary<string, double> losses = [];
        VirtualRound round = VirtualRound.Play(_state, spec, _clients, failed);
        HashSet<string> done = new(StringComparer.Ordinal);
        // A client that fails makes room for another, which then has to be trained, too.
        while (round.Closed is { } closed && closed.Contributions.Keys.Where(done.Add).ToArray() is [_, ..] sites)
        {
            int before = failed.Count;
            Train(spec, number, sites, sum, failed, losses, cancellationToken);
            if (failed.Count > before) round = VirtualRound.Play(_state, spec, _clients, failed);
        }

        (_state, _now) = (round.State, round.At);
        Metrics? metrics = null;
        int contributors = round.Closed?.Contributions.Count ?? 0;
        if (round.Closed is { } aggregate)
        {
            _abandoned = 0;
            using StrategyState? kept = _files.Open(RunId, _strategy, _state.StrategyRound, number, _model.Header.ValueCount);
            (_model, Aggregated made) = sum.Close(aggregate, _strategy, kept);
            _state = RunMachine.Apply(_state, made, Sites(), _now).State;
            metrics = EvaluateIfDue(cancellationToken);
        }
        else if (++_abandoned == MostAbandoned)
        {
            throw new InvalidInputException(new Problem($"{MostAbandoned} rounds in a row were abandoned: fewer than {_input.Spec.Cohort.MinContributors} updates came in {_input.Spec.Cohort.Deadline.TotalSeconds} s of virtual time.{(failed.IsEmpty ? "" : $" Of the last one: {failed.First().Value}")}", Field: "cohort.minContributors", Repair: "Lower it, ask more clients, lengthen cohort.deadline, or lower simulation.dropout."));
        }

        return new(number, (_now - VirtualClients.Begin).TotalSeconds, open.Cohort.Count, contributors, round.Silent, failed.Count, Mean(round.Closed, losses), _model.Sha256, metrics);
    }

    private void Train(RunSpec spec, int round, string[] sites, RoundSum sum, ConcurrentDictionary<string, string> failed, Dictionary<string, double> losses, CancellationToken cancellationToken) => _workers.Each(
        sites.Length,
        (worker, index) =>
        {
            var task = new LearningTask(RunId, sites[index], spec, null);
            try
            {
                TrainingResult update = worker.Update(task, round, _model, _clients.ExamplesOf(task.Site), sum.Shape, cancellationToken);
                sum.Add(task, update);
                lock (losses) losses[task.Site] = update.Loss;
            }
            catch (Exception error) when (error is LearningException or NonFiniteValueException or UpdateRoundingException)
            {
                failed[task.Site] = $"{task.Site}: {error.Message}";
            }
        },
        cancellationToken);

    private static double? Mean(Aggregate? closed, Dictionary<string, double> losses)
    {
        if (closed is null) return null;
        double sum = 0, weight = 0;
        foreach ((string site, Contribution contribution) in closed.Contributions)
        {
            sum += losses[site] * contribution.Weight;
            weight += contribution.Weight;
        }

        return double.IsFinite(sum / weight) ? sum / weight : null;
    }

    /// <summary>On the public test set, which costs no client anything; then the spec's <c>stop</c> is asked.</summary>
    private Metrics? EvaluateIfDue(CancellationToken cancellationToken)
    {
        int every = _input.Simulation.EvaluateEvery ?? _input.Spec.Evaluate?.Every ?? int.MaxValue;
        if (_input.Test is not { } test || (!_state.IsOver && _state.CompletedRounds % every != 0)) return null;
        var sums = new EvaluationSums[(test.Count + RowsAtOnce - 1) / RowsAtOnce];
        _workers.Each(sums.Length, (worker, piece) => sums[piece] = worker.Evaluate(_model, test, piece * RowsAtOnce, Math.Min(RowsAtOnce, test.Count - (piece * RowsAtOnce))), cancellationToken);
        Metrics metrics = sums.Aggregate((a, b) => a.Add(b)).ToMetrics();
        (StopProgress? progress, string? enough) = StopRules.After(_state.Plan, _state.Progress, metrics);
        _state = _state with { Progress = progress };
        if (enough is not null && !_state.IsOver) _state = RunMachine.End(_state, RunEnd.Completed, $"Stopped after {_state.CompletedRounds} of {_state.Plan.Rounds} rounds: {enough}").State;
        return metrics;
    }

    private Roster Sites() => new(_clients.All, _clients.Live(_now));
}
