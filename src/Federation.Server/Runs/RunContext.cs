using Federation.Server.Identity;
using Federation.Server.Storage;
using Federation.Server.Strategies;
using Microsoft.Extensions.Logging;

namespace Federation.Server.Runs;

/// <summary>What every run shares.</summary>
/// <param name="Acts">Null: nobody administers here.</param>
/// <param name="Scheduler">Of the work on closed rounds; null: the thread pool's.</param>
public sealed record RunContext(ICoordinatorStore Store, BlobStore Blobs, Spool Spool, Sessions Sessions, Traffic Traffic, Signal Signal, TimeProvider Time, ILogger Logger, StrategyBook Strategies, StrategyFiles StrategyFiles, AdministrativeLog? Acts = null, TaskScheduler? Scheduler = null)
{
    /// <summary>For what is waited for.</summary>
    internal SteadyTime Steady { get; } = new(Time);

    /// <summary>Work off the caller's thread.</summary>
    internal Task Start(Action work) => Task.Factory.StartNew(work, CancellationToken.None, TaskCreationOptions.DenyChildAttach, Scheduler ?? TaskScheduler.Default);
}
