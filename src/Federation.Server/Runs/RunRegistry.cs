using System.Collections.Immutable;
using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;
using Federation.Formats;
using Federation.Formats.Runs;
using Federation.Server.Storage;
using Microsoft.Extensions.Logging;

namespace Federation.Server.Runs;

/// <summary>All runs of this coordinator.</summary>
public sealed class RunRegistry
{
    private readonly RunContext _context;
    private readonly Lock _lock = new();
    private ImmutableArray<RunHost> _runs;
    private TimeSpan _moved;
    private ImmutableArray<(RunHost Run, Action<RunHost, bool?>? Told)> _unsettled = []; // submitted when the store did not answer: it may hold them or not

    /// <summary>Restores every run from the store and goes on with those that are not over.</summary>
    public RunRegistry(RunContext context)
    {
        _context = context;
        _runs = [.. context.Store.Runs().Select(Restore).OfType<RunHost>()];
        foreach (RunHost run in _runs) run.Resume();
    }

    /// <summary>Oldest first.</summary>
    public IReadOnlyList<RunHost> All => _runs;

    public IEnumerable<RunHost> Active => _runs.Where(run => !run.State.IsOver);

    public RunHost? Find(string id) => _runs.FirstOrDefault(run => run.Id == id);

    /// <param name="initialModel">The blob's hash; of a run for statistics, the hash of query and data version.</param>
    /// <param name="submission">Null: without a nonce, so that nobody can sign it.</param>
    /// <param name="told">Hears of a run whose commit the store did not answer: null at once, then whether the store holds it.</param>
    public RunHost Add(RunSpec spec, string specYaml, string schemaYaml, string initialModel, SignedSubmission? submission = null, Action<RunHost, bool?>? told = null)
    {
        DateTimeOffset now = _context.Time.GetUtcNow();
        string id = Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(8));
        RunState state = RunState.Submitted(RunPlan.Of(spec), initialModel, now, submission);
        var record = new RunRecord(id, spec.Name, specYaml, schemaYaml, now, JsonSerializer.Serialize(state), false);
        string message = spec.Statistics is not null
            ? string.Create(CultureInfo.InvariantCulture, $"Submitted: statistics of at least {spec.Cohort.MinContributors} sites.")
            : string.Create(CultureInfo.InvariantCulture, $"Submitted: {spec.Rounds} rounds, at least {spec.Cohort.MinContributors} sites each.");
        var submitted = new EventRecord(1, now, RunLog.Submitted, 0, "", message, spec.Statistics is not null ? "" : initialModel, null);
        var run = new RunHost(_context, record, state, 1); // before it is stored: what cannot be run is not kept
        if (spec.Statistics is null) _ = run.UpdateShape;
        try
        {
            _context.Store.AddRun(record, submitted, spec.Statistics is not null ? null : new ModelRecord(id, 0, initialModel, _context.Blobs.SizeOf(initialModel), now));
        }
        catch (StoreUnavailableException away) when (away.IsUncertain)
        {
            told?.Invoke(run, null);
            lock (_lock) _unsettled = _unsettled.Add((run, told));
            throw;
        }

        lock (_lock) _runs = _runs.Add(run);
        Guarded(run, () => run.Apply(new Tick())); // it is stored: what fails now the next tick does
        _context.Signal.Raise();
        return run;
    }

    /// <summary>Deadlines and sites that came or went. One run's trouble is not another's.</summary>
    public void Tick()
    {
        _context.Acts?.Settle();
        if (_context.Steady.Moved is var moved && (moved - _moved).Duration() >= ClockRules.Least)
        {
            _context.Logger.LogWarning("This machine's clock {Set}: the deadlines of runs go with it; certificates, invitations and whatever else names a date are judged by what it shows now", ClockRules.Describe(moved - _moved));
            _moved = moved;
        }

        foreach ((RunHost run, Action<RunHost, bool?>? told) in _unsettled) Guarded(run, () => Settle(run, told));
        foreach (RunHost run in Active)
        {
            Guarded(run, () =>
            {
                run.Apply(new Tick());
                run.Retry();
                run.Secure?.Advance();
            });
        }
    }

    private void Guarded(RunHost run, Action work)
    {
        try
        {
            work();
        }
        catch (StoreUnavailableException)
        {
            // said once by the store itself; the next tick tries again
        }
#pragma warning disable CA1031 // the timer's callback: what fails now, a full disk say, may work at the next tick
        catch (Exception error)
#pragma warning restore CA1031
        {
            _context.Logger.LogError(error, "{Run}: its deadlines could not be looked at", run.Record.Name);
        }
    }

    /// <summary>Who submitted the run was told that it may have been taken: where it was, it begins.</summary>
    private void Settle(RunHost run, Action<RunHost, bool?>? told)
    {
        bool held = _context.Store.FindRun(run.Id) is not null;
        lock (_lock)
        {
            if (!_unsettled.Contains((run, told))) return;
            _unsettled = _unsettled.Remove((run, told));
            if (held) _runs = _runs.Add(run);
        }

        told?.Invoke(run, held);
    }

    /// <returns>Null where this program cannot read the run; it stays in the store, and the others go on.</returns>
    private RunHost? Restore(RunRecord record)
    {
        try
        {
            RunState state = JsonSerializer.Deserialize<RunState>(record.StateJson)!;
            long sequence = 0;
            while (_context.Store.Events(record.Id, sequence) is { Count: > 0 } events) sequence = events[^1].Sequence;
            return new RunHost(_context, record, state, sequence);
        }
        catch (Exception error) when (error is InvalidInputException or JsonException)
        {
            _context.Logger.LogError("The run {Run} ({Name}) cannot be read and is left out: {Message}", record.Id, record.Name, error.Message);
            return null;
        }
    }
}
