using System.Collections.Concurrent;

namespace Federation.Server;

/// <summary>Keeps each node's transfers, both ways together, to so many bytes a second: whoever sends waits until the pieces before have had their time.</summary>
/// <param name="bytesPerSecond">Null: no limit.</param>
public sealed class NodePace(long? bytesPerSecond, TimeProvider time)
{
    private readonly ConcurrentDictionary<string, Line> _lines = new(StringComparer.Ordinal);

    private sealed class Line
    {
        public DateTimeOffset FreeAt { get; set; }

        public DateTimeOffset LookedAt { get; set; }
    }

    /// <summary>Waits until a piece of this size may follow.</summary>
    public Task WaitAsync(string site, int bytes, CancellationToken cancellationToken)
    {
        if (bytesPerSecond is not { } rate) return Task.CompletedTask;
        TimeSpan wait;
        Line line = _lines.GetOrAdd(site, _ => new Line());
        lock (line)
        {
            DateTimeOffset now = time.GetUtcNow();
            if (now < line.LookedAt) line.FreeAt -= line.LookedAt - now; // the clock was put back: that is no wait
            line.LookedAt = now;
            DateTimeOffset start = line.FreeAt > now ? line.FreeAt : now;
            line.FreeAt = start + TimeSpan.FromSeconds((double)bytes / rate);
            wait = start - now;
        }

        return wait > TimeSpan.Zero ? Task.Delay(wait, time, cancellationToken) : Task.CompletedTask;
    }
}
