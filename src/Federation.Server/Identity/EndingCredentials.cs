using Federation.Protocol.Identity;
using Federation.Server.Storage;
using Microsoft.Extensions.Logging;

namespace Federation.Server.Identity;

/// <summary>Says in the coordinator's log, at its start and once a day, which operators' credentials end within 30 days, and when no admin is left.</summary>
internal sealed class EndingCredentials(ICoordinatorStore store, TimeProvider time, ILogger logger)
{
    private static readonly TimeSpan Notice = TimeSpan.FromDays(30), Interval = TimeSpan.FromDays(1);
    private long? _said;

    public void Tick()
    {
        if (_said is { } said && time.GetElapsedTime(said) < Interval) return;
        try
        {
            DateTimeOffset now = time.GetUtcNow();
            IReadOnlyList<OperatorRecord> all = store.Operators();
            OperatorRecord[] valid = [.. all.Where(one => one.Revoked is null && one.Expires > now)];
            foreach (OperatorRecord one in valid.Where(one => one.Expires - now <= Notice))
            {
                logger.LogWarning("The {Kind} of operator '{Name}' ({Role}) ends at {Ends:u}: an admin issues another with `fed operator issue`", one.IsToken ? "token" : "certificate", one.Name, one.Role.ToText(), one.Expires);
            }

            if (all.Any(one => one.Role == OperatorRole.Admin) && !valid.Any(one => one.Role == OperatorRole.Admin)) logger.LogWarning("No admin's credential is valid any more: stop the coordinator, and make one with `fed server admin`");
            _said = time.GetTimestamp();
        }
        catch (StoreUnavailableException)
        {
            // at the next tick
        }
    }
}
