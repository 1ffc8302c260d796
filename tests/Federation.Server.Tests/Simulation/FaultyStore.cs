using System.Reflection;
using Federation.Server.Storage;

namespace Federation.Server.Tests.Simulation;

/// <summary>What goes wrong at a commit.</summary>
internal enum CommitFault
{
    /// <summary>The answer is lost, and the change with it.</summary>
    LostBefore,

    /// <summary>The answer is lost; the change is stored.</summary>
    LostAfter,
    KilledBefore,
    KilledAfter,
}

/// <summary>The process is dead: nothing that its code does reaches the disk any more.</summary>
internal sealed class KilledException() : Exception("The coordinator was killed.");

/// <summary>What is wrong with one process's store.</summary>
internal sealed class StoreFaults
{
    private (CommitFault Fault, int Writes)? _planned;

    public bool IsAway { get; set; }

    public bool IsKilled { get; set; }

    /// <summary>How often each has happened.</summary>
    public required Action<string> Count { get; init; }

    public required Action<RunChange> Saved { get; init; }

    public required Action<RunRecord> Added { get; init; }

    /// <param name="writes">That go well before.</param>
    public void Plan(CommitFault fault, int writes) => _planned = (fault, writes);

    public object? Call(string method, object?[] arguments, Func<object?> call)
    {
        if (IsKilled) throw new KilledException();
        if (IsAway)
        {
            Count("calls while the store is away");
            throw new StoreUnavailableException("it is away", false, null);
        }

        if (!IsWrite(method) || _planned is not var (fault, writes)) return Do(method, arguments, call);
        if (writes > 0)
        {
            _planned = (fault, writes - 1);
            return Do(method, arguments, call);
        }

        _planned = null;
        Count($"commits {fault}");
        if (fault is CommitFault.LostAfter or CommitFault.KilledAfter) Do(method, arguments, call);
        if (fault is CommitFault.LostBefore or CommitFault.LostAfter) throw new StoreUnavailableException("the connection was lost", true, null);
        IsKilled = true;
        throw new KilledException();
    }

    private object? Do(string method, object?[] arguments, Func<object?> call)
    {
        object? result = call();
        if (method == nameof(ICoordinatorStore.Save)) Saved((RunChange)arguments[0]!);
        if (method == nameof(ICoordinatorStore.AddRun)) Added((RunRecord)arguments[0]!);
        return result;
    }

    private static bool IsWrite(string method) => method is "Enroll" or "Revoke" || method.StartsWith("Add", StringComparison.Ordinal) || method.StartsWith("Save", StringComparison.Ordinal) || method.StartsWith("Drop", StringComparison.Ordinal);
}

/// <summary>A real store whose calls can go wrong.</summary>
#pragma warning disable CA1852 // what derives from it is made at run time
internal class FaultyStore : DispatchProxy
#pragma warning restore CA1852
{
    private ICoordinatorStore _store = null!;
    private StoreFaults _faults = null!;

    public static ICoordinatorStore Of(ICoordinatorStore store, StoreFaults faults)
    {
        ICoordinatorStore proxy = Create<ICoordinatorStore, FaultyStore>();
        ((FaultyStore)(object)proxy)._store = store;
        ((FaultyStore)(object)proxy)._faults = faults;
        return proxy;
    }

    protected override object? Invoke(MethodInfo? targetMethod, object?[]? args) => _faults.Call(targetMethod!.Name, args!, () => targetMethod.Invoke(_store, BindingFlags.DoNotWrapExceptions, null, args, null));
}
