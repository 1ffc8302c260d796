namespace Federation.Server;

/// <summary>The time as it goes by: what the clock showed when this was made, and what has passed since. Setting the machine's clock does not move it. For what is waited for within one process, never for what is written down.</summary>
internal sealed class SteadyTime(TimeProvider clock) : TimeProvider
{
    private readonly DateTimeOffset _began = clock.GetUtcNow();
    private readonly long _since = clock.GetTimestamp();

    /// <summary>By how much the clock was set forward since this was made; a machine that slept counts too.</summary>
    public TimeSpan Moved => clock.GetUtcNow() - GetUtcNow();

    public override DateTimeOffset GetUtcNow() => _began + clock.GetElapsedTime(_since);
}
