using Microsoft.Extensions.Time.Testing;

namespace Federation.Server.Tests;

/// <summary>A clock that can be set wrong: timers and timestamps go on as before, as those of a machine whose date is changed.</summary>
internal sealed class JumpingTime(DateTimeOffset start) : FakeTimeProvider(start)
{
    /// <summary>By how much the clock is wrong.</summary>
    public TimeSpan Offset { get; set; }

    /// <summary>What a right clock shows.</summary>
    public DateTimeOffset Right => base.GetUtcNow();

    public override DateTimeOffset GetUtcNow() => base.GetUtcNow() + Offset;

    public override long GetTimestamp() => Right.Ticks;
}
