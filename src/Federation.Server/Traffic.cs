using System.Collections.Concurrent;

namespace Federation.Server;

/// <summary>Message bytes (before TLS) to and from all nodes, by run and round: models down, updates up, everything else.</summary>
public sealed class Traffic
{
    private readonly ConcurrentDictionary<(string Run, int Round), Counter> _counters = new();

    private sealed class Counter
    {
        public long Down, Up, Control;
    }

    public void AddDown(string run, int round, long bytes) => Interlocked.Add(ref Of(run, round).Down, bytes);

    public void AddUp(string run, int round, long bytes) => Interlocked.Add(ref Of(run, round).Up, bytes);

    public void AddControl(string run, int round, long bytes) => Interlocked.Add(ref Of(run, round).Control, bytes);

    /// <summary>Since this process started.</summary>
    public (ulong Down, ulong Up, ulong Control) Read(string run, int round)
    {
        Counter counter = Of(run, round);
        return ((ulong)Volatile.Read(ref counter.Down), (ulong)Volatile.Read(ref counter.Up), (ulong)Volatile.Read(ref counter.Control));
    }

    public void Forget(string run, int before)
    {
        foreach ((string Run, int Round) key in _counters.Keys.Where(key => key.Run == run && key.Round < before)) _counters.TryRemove(key, out _);
    }

    private Counter Of(string run, int round) => _counters.GetOrAdd((run, round), _ => new Counter());
}
