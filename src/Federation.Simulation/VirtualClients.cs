using System.Globalization;
using Federation.Formats.Runs;
using Federation.Learning.DataSets;
using Federation.Privacy.Canonical;

namespace Federation.Simulation;

/// <summary>How the clients behave in virtual time: all of it follows from the run's seed, the round and the client's name.</summary>
internal sealed class VirtualClients
{
    /// <summary>When every simulation begins.</summary>
    public static readonly DateTimeOffset Begin = new(2000, 1, 1, 0, 0, 0, TimeSpan.Zero);

    private readonly RunSpec _spec;
    private readonly SimulationSpec _simulation;
    private readonly Partition _partition;
    private readonly Dictionary<string, int> _indices;
    private (long Period, IReadOnlySet<string> Live)? _live;

    public VirtualClients(RunSpec spec, SimulationSpec simulation, Partition partition)
    {
        (_spec, _simulation, _partition) = (spec, simulation, partition);
        int digits = (simulation.Clients - 1).ToString(CultureInfo.InvariantCulture).Length;
        Names = spec.Cohort.Sites ?? [.. Enumerable.Range(0, simulation.Clients).Select(client => "client-" + client.ToString("D" + digits, CultureInfo.InvariantCulture))];
        _indices = Names.Select((name, index) => KeyValuePair.Create(name, index)).ToDictionary();
        All = Names.ToHashSet(StringComparer.Ordinal);
    }

    /// <summary>By index: those that the spec lists, else client-000 and so on.</summary>
    public IReadOnlyList<string> Names { get; }

    public IReadOnlySet<string> All { get; }

    public IReadOnlyList<int> ExamplesOf(string client) => _partition.Clients[_indices[client]];

    /// <summary>Falls silent after it was asked.</summary>
    public bool DropsOut(string client, int round) => Uniform("simulated-dropout", (ulong)round, client) < _simulation.Dropout;

    /// <summary>From being asked to its update having come.</summary>
    public TimeSpan TimeFor(string client, RunSpec round)
    {
        double examples = round.Privacy is { Unit: not DpUnit.Site } privacy
            ? (double)privacy.Steps * round.Local.BatchSize
            : (double)round.Local.Epochs * ExamplesOf(client).Count;
        double rate = _simulation.Speed.ExamplesPerSecond * Math.Exp(_simulation.Speed.Spread * Normal("simulated-speed", client));
        return _simulation.Speed.Delay + TimeSpan.FromSeconds(Math.Min(examples / rate, TimeSpan.FromDays(365).TotalSeconds));
    }

    /// <summary>Those that are connected.</summary>
    public IReadOnlySet<string> Live(DateTimeOffset now)
    {
        if (_simulation.Availability is not { Share: < 1 } availability) return All;
        long period = (now - Begin).Ticks / availability.Period.Ticks;
        if (_live is { } known && known.Period == period) return known.Live;
        HashSet<string> live = Names.Where(name => Uniform("simulated-availability", (ulong)period, name) < availability.Share).ToHashSet(StringComparer.Ordinal);
        _live = (period, live);
        return live;
    }

    /// <summary>When other clients may be connected; null: they never change.</summary>
    public DateTimeOffset? NextChange(DateTimeOffset now) => _simulation.Availability is not { Share: < 1 } availability
        ? null
        : Begin + (((now - Begin).Ticks / availability.Period.Ticks) + 1) * availability.Period;

    /// <summary>In (0, 1).</summary>
    private double Uniform(string purpose, ulong round, string client) => ((DerivedSeed.For(_spec.Seed, purpose, round, client) >> 11) + 0.5) / (1UL << 53);

    /// <remarks>Box and Muller 1958.</remarks>
    private double Normal(string purpose, string client) => Math.Sqrt(-2 * Math.Log(Uniform(purpose, 0, client))) * Math.Cos(2 * Math.PI * Uniform(purpose, 1, client));
}
