using Federation.Formats;
using Federation.Privacy.Ledger;
using Microsoft.Extensions.Logging;

namespace Federation.Server.Identity;

/// <summary>
/// What administrators did at this coordinator: who, when, what; never a token. A hash-chained log that only grows. A line is on disk before the caller hears that the act is done;
/// where there is no room for it, the act stands, the caller is told, and the coordinator's log has it.
/// </summary>
public sealed class AdministrativeLog : IDisposable
{
    public const string Made = "federation-made", Invited = "site-invited", Enrolled = "site-enrolled", SiteRevoked = "site-revoked", Issued = "operator-issued", OperatorRevoked = "operator-revoked",
        Submitted = "run-submitted", Approved = "run-approved", Cancelled = "run-cancelled", Rotated = "keys-rotated", Paused = "run-paused", Resumed = "run-resumed", Roster = "roster-changed", Restored = "restored";

    private readonly AuditLog _log;
    private readonly ILogger _logger;

    private AdministrativeLog(AuditLog log, ILogger logger) => (_log, _logger) = (log, logger);

    /// <exception cref="InvalidInputException">The file cannot be used.</exception>
    public static AdministrativeLog Open(string path, TimeProvider time, ILogger logger)
    {
        try
        {
            AuditLog log = AuditLog.Open(path, time);
            if (log.Problem is { } problem) logger.LogError("{Path}: {Problem}", path, problem);
            return new AdministrativeLog(log, logger);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new InvalidInputException(new Problem($"The audit log cannot be written: {error.Message}", path, Repair: "Nothing is administered without it; make room, or give this user the right to write it."));
        }
    }

    /// <param name="kind">One of this type's constants.</param>
    /// <param name="who">Name and role, or what did it by itself.</param>
    /// <param name="what">A sentence that goes on after the name.</param>
    /// <exception cref="ActNotRecordedException">It could not be written; the act stands.</exception>
    public void Record(string kind, string who, string what, string run = "")
    {
        try
        {
            _log.Record(kind, $"{who} {what}", run);
        }
        catch (IOException error)
        {
            _logger.LogError("Not in the audit log, which cannot be written ({Message}): {Kind}: {Who} {What} {Run}", error.Message, kind, who, what, run);
            throw new ActNotRecordedException(error);
        }
    }

    public void Dispose() => _log.Dispose();
}

/// <summary>Something was done, and the audit log has no line of it.</summary>
public sealed class ActNotRecordedException(IOException error) : IOException($"It was done, and the coordinator's audit log could not be written: {error.Message}", error);
