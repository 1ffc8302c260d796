using System.Text;
using Federation.Formats.Runs;
using Federation.Privacy.SecureAggregation;
using Federation.Server.Runs;
using Federation.Server.Storage;
using Federation.Server.Strategies;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.Extensions.Time.Testing;

namespace Federation.Server.Tests.SecureAggregation;

/// <summary>
/// One whole run under a virtual clock: the run's state machine, key epochs, openings and members are the real ones; what goes wrong between and around them is drawn from the seed.
/// Messages are lost, doubled, delayed and overtake each other; processes die at any step; shares and stored uploads are lost, stores put back to an old copy, disks full; a member may lie, sites vanish, and the coordinator itself may lie.
/// After <see cref="FaultsEnd"/> nothing goes wrong any more but what is in the members' nature: then an honest run must come to its end.
/// </summary>
internal sealed class RunSchedule : IDisposable
{
    /// <summary>So long after the last fault a run has to be over.</summary>
    private static readonly TimeSpan s_quiet = TimeSpan.FromHours(3);

    private static readonly TimeSpan s_patience = TimeSpan.FromMinutes(20);

    private readonly PriorityQueue<Action, (long At, long Number)> _queue = new();
    private readonly StringBuilder _trace = new();
    private readonly DateTimeOffset _start;
    private readonly SqliteStore _store = new(":memory:");
    private readonly string _spool;
    private readonly int _lost, _doubled, _slow, _disasters;
    private long _number;
    private int _mayVanish, _mayRestore;

    /// <param name="folder">For files on their way; emptied of this schedule's own when it is disposed.</param>
    public RunSchedule(int seed, ScheduleFederation federation, BlobStore blobs, string folder, bool isReal = false)
    {
        (Seed, Federation, Random, _spool) = (seed, federation, new Random(seed), Path.Combine(folder, $"spool-{seed}"));
        _start = Time.GetUtcNow();
        int sites = federation.Sites.Length;
        FaultsEnd = _start + TimeSpan.FromSeconds(Random.Next(60, 220));
        (_lost, _doubled, _slow, _disasters) = (Random.Next(3) * 8, Random.Next(3) * 10, Random.Next(3) * 10, Random.Next(8, 80));
        IsCoordinatorLying = Random.Next(4) == 0;
        MakesKeys = !isReal && Random.Next(16) == 0;
        int liars = Random.Next(5) < 2 ? 1 : 0;
        _mayVanish = Random.Next(3) == 0 ? Math.Max(0, sites - federation.Threshold - liars) : 0;
        _mayRestore = (2 * federation.Threshold) - sites - 1 - liars; // so many lying or restored members the threshold resists
        Policy = new CommitteePolicy(maxOpenings: Random.Next(3) == 0 ? Random.Next(2, 5) : 100);
        var plan = new RunPlan(isReal ? 1 : Math.Max(1, Random.Next(-2, 4)), CommitteePolicy.FewestContributors, TimeSpan.FromSeconds(60), federation.Sites, Random.Next(3) > 0 ? null : Random.Next(1, 3), Secure: true, MaxOpenings: Policy.MaxOpenings)
        {
            Draw = Random.Next(4) == 0 ? new DrawSpec(Random.Next(CommitteePolicy.FewestContributors, sites + 1), null, Random.Next(2) == 0 ? 1 : 1.3) : null, Seed = (ulong)seed,
        };
        Context = new RunContext(_store, blobs, new Spool(_spool), new Sessions(_store, Time), new Traffic(), new Signal(), Time, NullLogger.Instance, new StrategyBook(), new StrategyFiles(Path.Combine(_spool, "strategies")));
        _store.AddRun(new RunRecord(ScheduledCoordinator.Run, "run", "", "", _start, "{}", false), new EventRecord(1, _start, RunLog.Submitted, 0, "", "", "", null), new ModelRecord(ScheduledCoordinator.Run, 0, new string('0', 64), 0, _start));
        Coordinator = new ScheduledCoordinator(this, plan);
        Rules = new ScheduleRules(this);
        Sites = [.. federation.Sites.Select((_, i) => new ScheduledSite(this, i))];
        if (liars > 0) Sites[Random.Next(sites)].Lie = (Lie)Random.Next(1, Enum.GetValues<Lie>().Length);
        Say($"{sites} sites, {plan.Rounds} rounds, evaluated every {plan.EvaluateEvery}, {plan.MaxOpenings} openings an epoch, lies: {string.Join(" ", Sites.Where(site => site.Lie != Lie.None).Select(site => $"{site.Name} {site.Lie}"))}{(IsCoordinatorLying ? " coordinator" : "")}, faults until {(FaultsEnd - _start).TotalSeconds} s");
    }

    public int Seed { get; }

    public ScheduleFederation Federation { get; }

    public Random Random { get; }

    public FakeTimeProvider Time { get; } = new();

    public RunContext Context { get; }

    public ScheduledCoordinator Coordinator { get; }

    public IReadOnlyList<ScheduledSite> Sites { get; }

    public ScheduleRules Rules { get; }

    public CommitteePolicy Policy { get; }

    public DateTimeOffset FaultsEnd { get; }

    /// <summary>Besides its part in the run it asks members and contributors for whatever could tell it more.</summary>
    public bool IsCoordinatorLying { get; }

    /// <summary>Epochs are made by the members; else they were made beforehand.</summary>
    public bool MakesKeys { get; }

    public DateTimeOffset Now => Time.GetUtcNow();

    /// <summary>All that happened, in the order in which it happened; the same for the same seed.</summary>
    public string Trace => _trace.ToString();

    private bool IsFaulty => Now < FaultsEnd;

    /// <summary>The run is over, or waits for a site that never comes back.</summary>
    private bool IsSettled => Coordinator.IsOver ? !IsCoordinatorLying || !IsFaulty : !IsFaulty && Coordinator.Waits is { } waits && Now - waits.Since > s_patience && Now - FaultsEnd > s_patience;

    /// <returns>What went wrong; null: nothing.</returns>
    public string? Run()
    {
        foreach (ScheduledSite site in Sites) In(Random.Next(0, 5), site.Start);
        In(1, Beat);
        In(Random.Next(5, _disasters), Strike);
        if (IsCoordinatorLying) In(Random.Next(30, 60), new ScheduledLies(this).Lie);
        DateTimeOffset end = FaultsEnd + s_quiet;
        while (Rules.Broken is null && _queue.TryDequeue(out Action? next, out (long At, long Number) due) && due.At < end.Ticks && !IsSettled)
        {
            if (due.At > Now.Ticks) Time.SetUtcNow(new DateTimeOffset(due.At, TimeSpan.Zero));
            Do(next);
        }

        Rules.CheckEnd();
        return Rules.Broken;
    }

    public void In(double seconds, Action action) => _queue.Enqueue(action, (Now.Ticks + TimeSpan.FromSeconds(seconds).Ticks, _number++));

    /// <summary>On a network that loses, doubles and delays while there are faults.</summary>
    /// <returns>After how many seconds the sender knows that it arrived, or gives up.</returns>
    public double Send(string what, Action arrive)
    {
        double delay = Delay();
        if (IsFaulty && Random.Next(100) < _lost)
        {
            Say($"{what}: lost");
            return 5;
        }

        In(delay, arrive);
        if (!IsFaulty || Random.Next(100) >= _doubled) return delay;
        Say($"{what}: doubled");
        In(Delay(), arrive);
        return delay;
    }

    /// <summary>Once in so many times, as long as there are faults.</summary>
    public bool Strikes(int once) => IsFaulty && Random.Next(once) == 0;

    public void Say(string what) => _trace.Append(((Now - _start).TotalSeconds).ToString("0.00")).Append(' ').Append(what).Append('\n');

    public void Dispose()
    {
        foreach (ScheduledSite site in Sites) site.Dispose();
        Coordinator.Dispose();
        _store.Dispose();
        if (Directory.Exists(_spool)) Directory.Delete(_spool, recursive: true);
    }

    private double Delay() => (Random.Next(100) / 1000.0) + (IsFaulty && Random.Next(100) < _slow ? Random.Next(40) : 0);

    private void Do(Action action)
    {
        try
        {
            action();
        }
        catch (SiteKilledException killed)
        {
            killed.Site.Kill();
        }
        catch (CoordinatorKilledException)
        {
            Coordinator.Kill();
        }
    }

    private void Beat()
    {
        In(5, Beat);
        Coordinator.Beat();
    }

    private void Strike()
    {
        if (!IsFaulty) return;
        In(Random.Next(1, _disasters), Strike);
        ScheduledSite site = Sites[Random.Next(Sites.Count)];
        switch (Random.Next(13))
        {
            case 0 or 1 or 2:
                site.Kill();
                break;
            case 3:
                site.LoseShare();
                break;
            case 4:
                site.LoseUploads();
                break;
            case 5 or 6:
                site.BackUp();
                break;
            case 7 or 8 when site.Lie == Lie.None && (site.IsRestored || _mayRestore > 0):
                if (site.Restore()) _mayRestore--;
                break;
            case 9 when _mayVanish > 0 && site is { Lie: Lie.None, IsGone: false }:
                _mayVanish--;
                site.Vanish();
                break;
            case 10:
                Coordinator.KillNext = true; // once the next change is stored, before anything of it is done
                break;
            case 11:
                Coordinator.Kill();
                break;
            case 12:
                Coordinator.PauseFor(Random.Next(1, 90));
                break;
        }
    }
}

/// <summary>How a member lies.</summary>
internal enum Lie
{
    None,

    /// <summary>Never opens anything.</summary>
    Refuses,

    /// <summary>Parts that open nothing, well signed.</summary>
    Garbage,

    /// <summary>The same, in the self-test of keys too.</summary>
    GarbageInTests,

    /// <summary>Is there, and never answers for an opening.</summary>
    Silent,

    /// <summary>Says that its share is gone.</summary>
    SaysLost,

    /// <summary>Goes along in the making of keys, and says at the reveal that it does not accept the roster.</summary>
    RefusesTheRosterLate,

    /// <summary>Shares of a megabyte and more, as it has committed to them.</summary>
    SendsLongShares,

    /// <summary>Contributions that are no encryption, well signed.</summary>
    MalformedContributions,
}

internal sealed class SiteKilledException(ScheduledSite site) : Exception
{
    public ScheduledSite Site => site;
}

internal sealed class CoordinatorKilledException : Exception;
