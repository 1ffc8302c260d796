namespace Federation.Server.Identity;

/// <summary>Counts what was tried in vain within a minute, for each key apart. Memory is bounded: of more keys than there is room for, those that have not tried for longest are forgotten.</summary>
/// <remarks>Not for several threads at once.</remarks>
internal sealed class TryLimit(TimeProvider time, int capacity = TryLimit.DefaultCapacity)
{
    public const int Most = 5, DefaultCapacity = 10_000;

    public static readonly TimeSpan Window = TimeSpan.FromMinutes(1);

    // Longest ago first.
    private readonly LinkedList<(string Key, Queue<DateTimeOffset> Tries)> _order = new();
    private readonly Dictionary<string, LinkedListNode<(string Key, Queue<DateTimeOffset> Tries)>> _keys = new(StringComparer.Ordinal);

    /// <summary>Keys that are remembered.</summary>
    public int Count => _keys.Count;

    /// <summary>How long this key has to wait before it may try; zero: not at all.</summary>
    public TimeSpan Wait(string key)
    {
        DateTimeOffset now = time.GetUtcNow();
        if (!_keys.TryGetValue(key, out var known)) return TimeSpan.Zero;
        Queue<DateTimeOffset> tries = known.Value.Tries;
        while (tries.Count > 0 && IsOver(tries.Peek(), now)) tries.Dequeue();
        return tries.Count < Most ? TimeSpan.Zero : tries.Peek() + Window - now;
    }

    /// <summary>The key tried in vain.</summary>
    public void Failed(string key)
    {
        DateTimeOffset now = time.GetUtcNow();
        if (_keys.TryGetValue(key, out var known)) _order.Remove(known);
        else _keys[key] = known = new((key, new Queue<DateTimeOffset>(Most)));
        _order.AddLast(known);
        known.Value.Tries.Enqueue(now);
        while (known.Value.Tries.Count > Most) known.Value.Tries.Dequeue();
        while (_keys.Count > capacity || !_order.First!.Value.Tries.Any(tried => !IsOver(tried, now)))
        {
            _keys.Remove(_order.First!.Value.Key);
            _order.RemoveFirst();
        }
    }

    // A clock that was put back does not lock anybody out.
    private static bool IsOver(DateTimeOffset tried, DateTimeOffset now) => now - tried >= Window || tried > now + Window;
}
