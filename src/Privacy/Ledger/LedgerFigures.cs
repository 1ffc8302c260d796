using Federation.Privacy.Accounting;

namespace Federation.Privacy.Ledger;

/// <summary>What a ledger's records add up to, for whoever reads it.</summary>
public static class LedgerFigures
{
    /// <summary>The least ε at δ that an accountant here can show for these records, and the accountant's name.</summary>
    /// <param name="delta">In (0, 1).</param>
    public static (PrivacyLoss Loss, string Accountant) Spent(IEnumerable<LedgerRecord> records, double delta, NeighboringRelation relation)
    {
        BudgetCheck check = new(relation);
        Spending spending = new();
        foreach (LedgerRecord record in records) spending = Add(check, spending, record, relation);
        (double epsilon, string accountant) = check.Epsilon(spending, delta);
        return (new(epsilon, delta, relation), accountant);
    }

    /// <summary>ε after each of at most so many records, evenly spread over those that reserve something, the last always among them.</summary>
    /// <param name="delta">In (0, 1).</param>
    /// <param name="most">At least 1.</param>
    public static IReadOnlyList<(DateTimeOffset Time, double Epsilon)> OverTime(IEnumerable<LedgerRecord> records, double delta, NeighboringRelation relation, int most)
    {
        LedgerRecord[] reserving = [.. records.Where(record => record.Charge.Count > 0)];
        BudgetCheck check = new(relation);
        Spending spending = new();
        List<(DateTimeOffset, double)> points = [];
        for (int i = 0; i < reserving.Length; i++)
        {
            spending = Add(check, spending, reserving[i], relation);
            // Point p of `most` stands at record ⌈(p + 1)·n/most⌉ − 1.
            if ((long)(i + 1) * most / reserving.Length > (long)i * most / reserving.Length) points.Add((reserving[i].Time, check.Epsilon(spending, delta).Epsilon));
        }

        return points;
    }

    /// <summary>The events of these records, equal ones counted together; for accountants.</summary>
    public static IReadOnlyList<PrivacyEvent> Events(IEnumerable<LedgerRecord> records, NeighboringRelation relation)
    {
        EventTally tally = EventTally.Of(records.SelectMany(record => record.Charge), relation);
        List<PrivacyEvent> events = [.. tally.Counts.Select(entry => entry.Value == 1 ? entry.Key : new RepeatedEvent(entry.Key, entry.Value))];
        if (tally.HasNoiseless) events.Add(new NonPrivateEvent());
        return events;
    }

    /// <summary>As <see cref="Spent"/>, against those who know no part of a noise that sites share: never more.</summary>
    /// <param name="spent">What <see cref="Spent"/> gave for these records.</param>
    public static PrivacyLoss SpentOutside(IReadOnlyList<LedgerRecord> records, PrivacyLoss spent)
    {
        if (records.All(record => ReferenceEquals(record.Outside, record.Charge))) return spent;
        PrivacyLoss outside = Spent(records.Select(record => record is ReservedRecord reserved ? reserved with { Release = reserved.Release with { Events = reserved.Outside } } : record), spent.Delta, spent.Relation).Loss;
        return outside.Epsilon <= spent.Epsilon ? outside : spent;
    }

    private static Spending Add(BudgetCheck check, Spending spending, LedgerRecord record, NeighboringRelation relation)
    {
        if (record.Charge.Count == 0) return spending;
        check.Add(record.Charge);
        return spending.With(record.Charge, relation);
    }
}
