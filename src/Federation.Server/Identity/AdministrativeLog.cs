using Federation.Formats;
using Federation.Privacy.Ledger;
using Federation.Server.Storage;
using Microsoft.Extensions.Logging;

namespace Federation.Server.Identity;

/// <summary>
/// What administrators did at this coordinator: who, when, what; never a token. A hash-chained log that only grows. A line is on disk before the caller hears that the act is done;
/// where there is no room for it, the act stands, the caller is told, the coordinator's log has it, and the line follows, marked as late, when there is room again. An act whose commit the database did not answer has a line that says so, and a second one when its outcome is known.
/// </summary>
public sealed class AdministrativeLog : IDisposable
{
    public const string Made = "federation-made", Invited = "site-invited", Enrolled = "site-enrolled", SiteRevoked = "site-revoked", Issued = "operator-issued", OperatorRevoked = "operator-revoked",
        Submitted = "run-submitted", Approved = "run-approved", Cancelled = "run-cancelled", Rotated = "keys-rotated", Paused = "run-paused", Resumed = "run-resumed", Roster = "roster-changed", Restored = "restored",
        Uncertain = "act-uncertain", NotDone = "act-not-done", BackedUp = "backup-made", Cut = "log-cut", Missing = "acts-without-lines";

    /// <summary>Lines that are kept until there is room for them.</summary>
    private const int MostLate = 1000;

    private readonly AuditLog _log;
    private readonly List<(string Kind, string Who, string What, Func<bool> IsDone, Action? WhenDone)> _uncertain = [];
    private readonly Queue<(string Kind, string What, string Run)> _late = [];
    private readonly string _path;
    private readonly TimeProvider _time;
    private long _unwritten;
    private readonly ILogger _logger;
    private ICoordinatorStore? _heads;
    private string? _said;

    private AdministrativeLog(AuditLog log, string path, TimeProvider time, ILogger logger) => (_log, _path, _time, _logger) = (log, path, time, logger);

    /// <exception cref="InvalidInputException">The file cannot be used.</exception>
    public static AdministrativeLog Open(string path, TimeProvider time, ILogger logger)
    {
        try
        {
            AuditLog log = AuditLog.Open(path, time);
            var acts = new AdministrativeLog(log, path, time, logger);
            acts.SayProblem();
            return acts;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new InvalidInputException(new Problem($"The audit log cannot be written: {error.Message}", path, Repair: "Nothing is administered without it; make room, or give this user the right to write it."));
        }
    }

    /// <summary>From here on the database has the newest head, so that an end that is cut off shows. One that is known there and not in the log is said, here and in the log.</summary>
    public void KeepHead(ICoordinatorStore store)
    {
        _heads = store;
        try
        {
            if (store.AuditHead() is var (count, hash) && AuditVerification.Of(_path).DifferenceFrom(count, hash) is { } difference)
            {
                _logger.LogError("{Path}: {Difference} The database knows the head {Count}:{Hash}", _path, difference, count, hash);
                Record(Cut, "The coordinator", FormattableString.Invariant($"found the log without the head {count}:{hash}, which its database knows. {difference}"));
            }
            else
            {
                SaveHead();
            }
        }
        catch (StoreUnavailableException)
        {
            // with the next line
        }
        catch (ActNotRecordedException)
        {
            // said there
        }
    }

    /// <param name="kind">One of this type's constants.</param>
    /// <param name="who">Name and role, or what did it by itself.</param>
    /// <param name="what">A sentence that goes on after the name.</param>
    /// <exception cref="ActNotRecordedException">It could not be written; the act stands.</exception>
    public void Record(string kind, string who, string what, string run = "")
    {
        lock (_late)
        {
            try
            {
                WriteLate();
                _log.Record(kind, $"{who} {what}", run);
                SayProblem();
                SaveHead();
            }
            catch (IOException error)
            {
                _logger.LogError("Not in the audit log, which cannot be written ({Message}): {Kind}: {Who} {What} {Run}", error.Message, kind, who, what, run);
                if (_late.Count < MostLate) _late.Enqueue((kind, $"{who} (at {_time.GetUtcNow():u}; written late) {what}", run));
                else _unwritten++;
                throw new ActNotRecordedException(error);
            }
        }
    }

    /// <summary>Adds the lines for which there was no room, in their order.</summary>
    /// <exception cref="IOException">There still is none.</exception>
    private void WriteLate()
    {
        if (_late.Count == 0 && _unwritten == 0) return;
        for (; _late.TryPeek(out (string Kind, string What, string Run) late); _late.Dequeue()) _log.Record(late.Kind, late.What, late.Run);
        if (_unwritten > 0) _log.Record(Missing, FormattableString.Invariant($"The coordinator did {_unwritten} more acts while this log could not be written; its own log has them."));
        _unwritten = 0;
        SaveHead();
    }

    /// <summary>Does what one commit of the database does. Where the database does not answer, a line says so, and another one, as soon as it answers again, what became of it.</summary>
    /// <param name="isDone">Asks the database.</param>
    /// <param name="whenDone">What else belongs to the act, where the database says later that it was done.</param>
    /// <exception cref="StoreUnavailableException">The database does not answer.</exception>
    public T Do<T>(string kind, string who, string what, Func<T> act, Func<bool> isDone, Action? whenDone = null)
    {
        try
        {
            return act();
        }
        catch (StoreUnavailableException away) when (away.IsUncertain)
        {
            Tell(kind, who, what, null);
            lock (_uncertain) _uncertain.Add((kind, who, what, isDone, whenDone));
            throw;
        }
    }

    /// <summary>Of an act whose commit the database did not answer. A line that cannot be written is in the coordinator's log: nobody waits for it.</summary>
    /// <param name="isDone">Null: it is not known yet.</param>
    public void Tell(string kind, string who, string what, bool? isDone, string run = "")
    {
        try
        {
            if (isDone is null) Record(Uncertain, who, $"{what} The database did not answer: whether it is done is not known yet.", run);
            else Record(isDone.Value ? kind : NotDone, "The coordinator", $"found in its database that it was {(isDone.Value ? "" : "not ")}done: {who} {what}", run);
        }
        catch (ActNotRecordedException)
        {
            // said there
        }
    }

    /// <summary>Looks what became of acts that are uncertain, and adds lines for which there was no room.</summary>
    public void Settle()
    {
        lock (_late)
        {
            try
            {
                WriteLate();
            }
            catch (IOException)
            {
                // still no room
            }
        }

        lock (_uncertain)
        {
            try
            {
                while (_uncertain is [var (kind, who, what, isDone, whenDone), ..])
                {
                    bool done = isDone();
                    _uncertain.RemoveAt(0);
                    Tell(kind, who, what, done);
                    if (done) whenDone?.Invoke();
                }
            }
            catch (StoreUnavailableException)
            {
                // still away
            }
#pragma warning disable CA1031 // the coordinator goes on, whatever one act meets
            catch (Exception error)
#pragma warning restore CA1031
            {
                _logger.LogError("What became of an act cannot be found out: {Message}", error.Message);
                if (_uncertain.Count > 0) _uncertain.RemoveAt(0);
            }
        }
    }

    public void Dispose() => _log.Dispose();

    private void SayProblem()
    {
        if (_log.Problem is not { } problem || problem == _said) return;
        _logger.LogError("{Path}: {Problem}", _path, problem);
        _said = problem;
    }

    private void SaveHead()
    {
        try
        {
            if (_heads is not null && _log.Head is { Count: > 0 } head) _heads.SaveAuditHead(head.Count, head.Hash);
        }
        catch (StoreUnavailableException)
        {
            // a head that is behind says less, and nothing wrong; the next line takes it along
        }
    }
}

/// <summary>Something was done, and the audit log has no line of it.</summary>
public sealed class ActNotRecordedException(IOException error) : IOException($"It was done, and the coordinator's audit log could not be written: {error.Message}", error);
