using Federation.Privacy.Ledger;
using Federation.Privacy.SecureAggregation;
using Microsoft.Extensions.Logging;

namespace Federation.Client;

/// <summary>Keeps what this node refused in its audit log. Where that cannot be written the node says so and refuses all the same.</summary>
internal sealed class NodeAudit(string path, TimeProvider time, ILogger logger) : IDisposable
{
    public const string Run = "run-refused", Training = "training-refused", Evaluation = "evaluation-refused", KeyEpoch = "key-epoch-refused", Opening = "opening-refused", Restored = "restored-record";

    private AuditLog? _log;

    /// <param name="kind">One of this type's constants.</param>
    /// <param name="what">What was tried.</param>
    /// <param name="error">What it was refused with: its sort; null: none.</param>
    public void Refused(string kind, string run, int round, string what, Exception? error = null)
    {
        try
        {
            _log ??= AuditLog.Open(path, time);
            if (_log.Write(kind, what, run, round, error is ProtocolException refusal ? refusal.Reason.ToString() : error?.GetType().Name ?? "") is { Number: 1 }) logger.LogInformation("What this node refuses is kept in {Path}; `fed audit show` shows it", path);
        }
        catch (Exception full) when (full is IOException or UnauthorizedAccessException)
        {
            logger.LogError("A refusal ({Kind}, run {Run}, round {Round}) could not be written into the audit log {Path}: {Message}", kind, run, round, path, full.Message);
        }
    }

    /// <summary>What ended a task, if it was a refusal and not a mishap of this site's.</summary>
    public void Note(string kind, string run, int round, Exception error)
    {
        if (error is ProtocolException or FormatException or BudgetExceededException) Refused(kind, run, round, error.Message, error);
    }

    public void Dispose() => _log?.Dispose();
}
