using System.Globalization;
using Federation.Server.Runs;
using Federation.Server.Storage;
using Grpc.Core;
using Microsoft.Extensions.Logging;

namespace Federation.Server.Tests.Simulation;

/// <summary>
/// A day of a federation whose every decision follows from one seed: when processes die and come back, which messages are lost, doubled or late, when the database is away or does not answer for a commit, what operators do, when the clock jumps.
/// After it the faults end, and every run has to come to its end. <see cref="Witness"/> says what must hold.
/// </summary>
internal sealed class SimulatedDay : IDisposable
{
    public const int Sites = 5, Values = Sites + 2;

    private static readonly TimeSpan Afterwards = TimeSpan.FromHours(12);

    private readonly DirectoryInfo _folder = Directory.Exists("/dev/shm") ? Directory.CreateDirectory(Path.Combine("/dev/shm", $"fed-day-{Guid.NewGuid():n}")) : Directory.CreateTempSubdirectory("fed-day");
    private readonly DateTimeOffset _start = new(2030, 1, 1, 0, 0, 0, TimeSpan.Zero);
    private readonly Dictionary<string, MadeUpdate> _updates = [];
    private readonly Dictionary<string, (string Phase, TimeSpan Age)> _phases = [];
    private readonly List<(DateTimeOffset Due, string What, Func<Task> Send)> _late = [];
    private readonly SimulatedOperator _operator;
    private readonly List<string> _trace = [];
    private readonly DateTimeOffset _end;
    private DateTimeOffset _startsAt, _storeIsBackAt;
    private TimeSpan _step;
    private int _commitFaults;

    /// <param name="length">With faults; null: 24 hours.</param>
    public SimulatedDay(int seed, TimeSpan? length = null)
    {
        _end = _start + (length ?? TimeSpan.FromHours(24));
        Random = new Random(seed);
        Time = new JumpingTime(_start);
        Witness = new Witness(() => Coordinator!.Blobs);
        Coordinator = new SimulatedCoordinator(Path.Combine(_folder.FullName, "state"), Time, new DayLog(this));
        AllSites = [.. Enumerable.Range(0, Sites).Select(number => new SimulatedSite(number, this))];
        _operator = new SimulatedOperator(this);
    }

    public Random Random { get; }

    public JumpingTime Time { get; }

    public SimulatedCoordinator Coordinator { get; }

    public Witness Witness { get; }

    public IReadOnlyList<SimulatedSite> AllSites { get; }

    /// <summary>Nothing goes wrong any more.</summary>
    public bool IsCalm { get; private set; }

    public int Steps { get; private set; }

    public SortedDictionary<string, int> Counts { get; } = new(StringComparer.Ordinal);

    public IReadOnlyList<string> Trace => _trace;

    /// <returns>What broke; null: nothing.</returns>
    public async Task<string?> RunAsync()
    {
        while (Time.Right < _end && Witness.Broken is null) await StepAsync();
        Calm();
        while (Time.Right < _end + Afterwards && Witness.Broken is null && (!Coordinator.IsUp || Coordinator.Runs.Active.Any())) await StepAsync();
        if (Witness.Broken is null) Witness.Finish(Coordinator.Store);
        if (Witness.Broken is null && Directory.Exists(Coordinator.Folder.Spool) && Directory.EnumerateFiles(Coordinator.Folder.Spool, "*", SearchOption.AllDirectories).FirstOrDefault() is { } left) Witness.Breaks($"{Path.GetRelativePath(Coordinator.Folder.Spool, left)} is left of an upload.");
        return Witness.Broken;
    }

    public void Count(string what) => Counts[what] = Counts.GetValueOrDefault(what) + 1;

    public bool Happens(double probability) => !IsCalm && Random.NextDouble() < probability;

    public void Say(string what) => _trace.Add($"{Time.Right:d.HH:mm:ss} {what}");

    public MadeUpdate Update(string sha256, MadeUpdate update) => _updates[sha256] = update;

    public MadeUpdate UpdateOf(string sha256) => _updates[sha256];

    public string NameOf(string? run) => Coordinator.IsUp && Coordinator.Runs.Find(run ?? "") is { } known ? known.Record.Name : "";

    /// <summary>A message and its answer over a network that loses, doubles and delays.</summary>
    /// <param name="copy">Names it for the trace; null: nothing comes twice.</param>
    public async Task<T> TransmitAsync<T>(Func<Task<T>> send, string? copy = null, bool mayBeLate = true)
    {
        if (copy is not null) Say(copy);
        if (Happens(0.01)) throw Lose("requests lost");
        if (copy is not null && mayBeLate && Happens(0.05)) _late.Add((Time.Right + TimeSpan.FromSeconds(Random.Next(2) == 0 ? Random.Next(60) : Random.Next(7200)), copy, send));
        if (copy is not null && Happens(0.03)) await TryAsync("messages doubled", copy, send);
        T reply = await send();
        if (Happens(0.03)) throw Lose("answers lost");
        return reply;
    }

    public void Dispose()
    {
        Coordinator.Dispose();
        _folder.Delete(recursive: true);
    }

    private async Task StepAsync()
    {
        Steps++;
        _step = TimeSpan.FromMilliseconds(Random.Next(2000, 28_000));
        Time.Advance(_step);
        if (!Coordinator.IsUp && Time.Right >= _startsAt) Start();
        Strike();
        for (int i = _late.Count - 1; i >= 0; i--)
        {
            if (_late[i] is var (due, what, send) && due > Time.Right) continue;
            _late.RemoveAt(i);
            await TryAsync("messages late", what, send);
        }

        await _operator.StepAsync();
        SimulatedSite[] turns = [.. AllSites];
        Random.Shuffle(turns);
        foreach (SimulatedSite site in turns) await site.StepAsync();
        while (Coordinator.IsUp && Coordinator.Work.Count > 0 && (IsCalm || Happens(0.7))) Coordinator.Work.Do(Random.Next(Coordinator.Work.Count));
        if (Coordinator.IsUp) Tick();
        if (!Coordinator.IsUp) Die();
    }

    private void Tick()
    {
        int faults = _commitFaults;
        Coordinator.Tick();
        if (!Coordinator.IsUp || Coordinator.Faults.IsAway || faults != _commitFaults) return;
        Witness.Compare(Coordinator.Runs.All); // whatever was not known was looked up in this tick
        foreach (RunHost run in Coordinator.Runs.Active) Hurry(run);
    }

    /// <summary>Whatever has a deadline is over some time after it, whatever the clock does. Only the time counts in which the coordinator could look.</summary>
    private void Hurry(RunHost run)
    {
        RunState state = run.State;
        string phase = state.Phase switch
        {
            RoundOpen when state.Buffer is null => $"round {state.Round}",
            Evaluating => $"evaluation {state.Round}",
            Preparing when state.Paused is null => "preparation",
            _ => "",
        };
        TimeSpan age = _phases.GetValueOrDefault(run.Id) is var seen && seen.Phase == phase ? seen.Age + _step : TimeSpan.Zero;
        _phases[run.Id] = (phase, age);
        if (phase.Length > 0 && age > (2 * state.Plan.Deadline) + TimeSpan.FromMinutes(1)) Witness.Breaks($"{run.Record.Name}: {phase} has a deadline of {state.Plan.Deadline}, and goes on for {age} already.");
    }

    /// <summary>What goes wrong by itself.</summary>
    private void Strike()
    {
        if (Time.Right >= _storeIsBackAt && Coordinator.IsUp) Coordinator.Faults.IsAway = false;
        if (Happens(0.01) && AllSites.Where(site => site.Down is null).ToArray() is { Length: > 0 } up)
        {
            SimulatedSite site = up[Random.Next(up.Length)];
            TimeSpan time = TimeSpan.FromSeconds(Random.Next(4) == 0 ? Random.Next(2400) : Random.Next(90));
            Say($"{site.Name} dies for {time}");
            Count("sites killed");
            site.Crash(time);
        }

        if (Happens(0.0015))
        {
            TimeSpan by = TimeSpan.FromMinutes(Random.Next(-180, 181)), limit = TimeSpan.FromHours(4);
            by = Time.Offset + by > limit || Time.Offset + by < -limit ? -by : by;
            Say($"the clock jumps by {by}");
            Count(by > TimeSpan.Zero ? "clock jumps forward" : "clock jumps back");
            Time.Offset += by;
        }

        if (!Coordinator.IsUp) return;
        if (Happens(0.002))
        {
            Count("coordinator killed between calls");
            Coordinator.Kill();
        }
        else if (Happens(0.008))
        {
            Coordinator.Faults.Plan((CommitFault)Random.Next(4), Random.Next(5));
        }
        else if (Happens(0.001))
        {
            _storeIsBackAt = Time.Right + TimeSpan.FromSeconds(Random.Next(5, 400));
            Say($"the store is away until {_storeIsBackAt:HH:mm:ss}");
            Coordinator.Faults.IsAway = true;
        }
    }

    private void Die()
    {
        if (_startsAt > Time.Right) return;
        Coordinator.Kill();
        _startsAt = Time.Right + TimeSpan.FromSeconds(IsCalm ? 1 : Random.Next(5) == 0 ? Random.Next(1200) : Random.Next(1, 60));
        Say($"the coordinator is dead until {_startsAt:HH:mm:ss}");
    }

    private void Start()
    {
        Say("the coordinator starts");
        Count("coordinator started");
        var faults = new StoreFaults { Count = CountFault, Saved = Witness.Saved, Added = Witness.Added };
        if (Happens(0.1)) faults.Plan((CommitFault)Random.Next(4), Random.Next(3));
        try
        {
            Coordinator.Start(faults);
            Witness.Compare(Coordinator.Runs.All);
        }
        catch (Exception error) when (error is KilledException or StoreUnavailableException)
        {
            Say($"it does not: {error.Message}");
        }
    }

    private void CountFault(string what)
    {
        Count(what);
        if (!what.StartsWith("commits", StringComparison.Ordinal)) return;
        _commitFaults++;
        Say($"fault: {what}");
    }

    private void Calm()
    {
        Say("the faults end");
        IsCalm = true;
        _late.Clear();
        foreach (SimulatedSite site in AllSites) site.Start();
        // A fault that was planned and has not come would still come: the process that it is planned for ends.
        Coordinator.Kill();
        _startsAt = Time.Right;
    }

    private async Task TryAsync<T>(string kind, string what, Func<Task<T>> send)
    {
        Count(kind);
        Say($"{kind}: {what}");
        try
        {
            await send();
        }
        catch (RpcException refused)
        {
            Say($"refused: {refused.Status.Detail}");
        }
    }

    private async Task TryAsync(string kind, string what, Func<Task> send) => await TryAsync(kind, what, async () =>
    {
        await send();
        return true;
    });

    private RpcException Lose(string what)
    {
        Count(what);
        return SimulatedCoordinator.Lost();
    }

    /// <summary>The coordinator's log: part of the trace; an exception that nobody has planned breaks a promise.</summary>
    private sealed class DayLog(SimulatedDay day) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
        {
            if (exception is KilledException) return;
            day.Say($"log: {formatter(state, exception)}");
            if (exception is not null && !(day.Coordinator.IsUp && exception is StoreUnavailableException)) day.Witness.Breaks($"{formatter(state, exception)}: {exception}");
        }
    }
}
