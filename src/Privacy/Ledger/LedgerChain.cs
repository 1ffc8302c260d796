using Federation.Privacy.Accounting;

namespace Federation.Privacy.Ledger;

/// <summary>A ledger's records, checked one after another and added up. Pure: reads no file, knows no clock.</summary>
internal sealed class LedgerChain
{
    /// <summary>No record has a number from here on: far more than can be, and far from overflow.</summary>
    public const long MostRecords = 1L << 53;

    private readonly HashSet<long> _reservations = [];
    private readonly Dictionary<string, long> _acknowledged = [];
    private readonly HashSet<string> _lost = [];
    private readonly Dictionary<string, BudgetCheck> _runs = new(StringComparer.Ordinal);

    public OpenedRecord? Opened { get; private set; }

    /// <summary>Hash of record 0; empty before it.</summary>
    public string LedgerId { get; private set; } = "";

    public PrivacyBudget? Budget { get; private set; }

    /// <summary>One more than the last number.</summary>
    public long Count { get; private set; }

    /// <summary>Of the last record; empty before the first.</summary>
    public string Hash { get; private set; } = "";

    public BudgetCheck? Check { get; private set; }

    /// <summary>Reservations that were never committed; they count like the others.</summary>
    public IReadOnlyCollection<long> Uncommitted => _reservations;

    /// <summary>Of every run.</summary>
    public RunRounds Rounds { get; } = new();

    /// <summary>How far a recipient has seen this chain, as far as the chain itself tells.</summary>
    public long AcknowledgedBy(string recipient) => _acknowledged.GetValueOrDefault(recipient);

    /// <param name="what">Is bounded, for the message.</param>
    /// <param name="most">For all releases of the run together, this one included.</param>
    /// <param name="known">What the ledger has spent.</param>
    /// <exception cref="BudgetExceededException">They would cost more.</exception>
    public void RequireWithin(string what, PrivacyLoss most, Release release, Spending known)
    {
        BudgetCheck run = OfRun(release.Run);
        Spending spent = run.Spent(known);
        run.Require(what, new(most.Epsilon, most.Delta), release.Events, spent, spent.With(release.Events, Opened!.Terms.Relation));
    }

    /// <summary>Whether the chain that ended in this record was lost, and paid for here.</summary>
    public bool HasPaidFor(string lostHash) => _lost.Contains(lostHash);

    /// <summary>Takes the next record. Its signature is not checked: the head's covers all records.</summary>
    /// <returns>What is wrong with it, one sentence each, and the record if it could be read. The chain goes on behind it either way.</returns>
    public (IReadOnlyList<string> Problems, LedgerRecord? Record) Add(StoredRecord stored)
    {
        if (stored.Place is < 0 or >= MostRecords) return ([$"A record has the impossible number {stored.Place}: it was inserted."], null);
        List<string> problems = [];
        long place = stored.Place, expected = Count;
        byte[] digest = StoredRecord.Digest(stored.Content);
        if (Convert.ToHexStringLower(digest) != stored.Hash) problems.Add($"Record {place} was edited: its content does not give its hash.");
        LedgerRecord? record = null;
        string previous = "";
        try
        {
            (record, previous) = RecordJson.Read(stored.Content);
        }
        catch (FormatException error)
        {
            problems.Add($"Record {place} cannot be read: {error.Message}.");
        }

        if (record is not null) problems.AddRange(Place(record, previous, place, expected));
        (Count, Hash) = (place + 1, stored.Hash);
        if (place == 0) LedgerId = stored.Hash;
        if (record is null) return (problems, null);
        if (Apply(record) is { } refused) problems.Add($"Record {place}: {refused}");
        return (problems, record);
    }

    private IEnumerable<string> Place(LedgerRecord record, string previous, long place, long expected)
    {
        if (record.Number != place)
        {
            yield return $"Record {record.Number} stands in the place of record {place}: they were re-ordered.";
            yield break;
        }

        // A loss takes the number with which the lost chain would have gone on.
        bool jumps = record is LostRecord lost && place == Math.Max(expected, lost.LostCount);
        if (place > expected && !jumps)
        {
            yield return place - expected == 1 ? $"Record {expected} is missing: it was deleted." : $"Records {expected} to {place - 1} are missing: they were deleted.";
            yield break;
        }

        if (previous != Hash) yield return $"Record {place} does not follow the record before it: one of the two was exchanged.";
    }

    /// <returns>What makes no sense about it, or null.</returns>
    private string? Apply(LedgerRecord record)
    {
        if ((record is OpenedRecord) != (record.Number == 0)) return record is OpenedRecord ? "a ledger is opened once only." : "a ledger begins with its opening.";
        if (Check is null && record is not OpenedRecord) return "it stands before the opening.";
        switch (record)
        {
            case OpenedRecord opened:
                (Opened, Check) = (opened, new BudgetCheck(opened.Terms.Relation));
                return null;
            case BudgetRecord budget:
                Budget = budget.Budget;
                return null;
            case ReservedRecord reserved:
                _reservations.Add(reserved.Number);
                Rounds.Add(reserved.Release);
                return Reserve(record.Charge, reserved.Release.Run);
            case LostRecord lost:
                // What others have seen of the lost chain is not this one.
                _acknowledged.Clear();
                _lost.Add(lost.LostHash);
                return Reserve(record.Charge);
            case CommittedRecord committed:
                if (!_reservations.Remove(committed.Reservation)) return $"it commits reservation {committed.Reservation}, which is not open.";
                _acknowledged[committed.Recipient] = Math.Max(AcknowledgedBy(committed.Recipient), Math.Min(committed.Acknowledged, committed.Number));
                return null;
            default:
                return null;
        }
    }

    private BudgetCheck OfRun(string run) => _runs.TryGetValue(run, out BudgetCheck? known) ? known : new(Opened!.Terms.Relation);

    /// <param name="run">Whose reservation it is; null: no run's.</param>
    private string? Reserve(IReadOnlyList<PrivacyEvent> events, string? run = null)
    {
        try
        {
            Check!.Add(events);
            if (run is not null) (_runs[run] = OfRun(run)).Add(events);
            return null;
        }
        catch (Exception error) when (error is OverflowException or UnsupportedEventException)
        {
            return error.Message;
        }
    }
}
