using Federation.Privacy.Accounting;

namespace Federation.Privacy.Ledger;

/// <summary>
/// Whether more events still fit a budget. By Rényi divergences first, which takes microseconds; only where they say no, by privacy loss distributions, which are tighter and take longer.
/// What the latter once found within the budget is remembered with room to grow: fewer of the same events never cost more, so most later answers need no composition at all.
/// </summary>
internal sealed class BudgetCheck(NeighboringRelation relation)
{
    // Beyond so many different events a composition would take seconds; the divergences alone decide then.
    private const int MostDifferent = 64;
    private static readonly PldAccountant s_pld = new();
    private readonly EventTally _tally = new();
    private Dictionary<PrivacyEvent, long> _certified = [];
    private PrivacyBudget? _certifiedFor;
    private double _certifiedDistance;

    /// <summary>Everything reserved so far.</summary>
    public EventTally Tally => _tally;

    /// <summary>These have been reserved.</summary>
    public void Add(IEnumerable<PrivacyEvent> events) => _tally.Add(events, relation);

    /// <param name="after">What is spent with the new events.</param>
    public bool Fits(IReadOnlyList<PrivacyEvent> events, Spending after, PrivacyBudget budget)
    {
        if (after.EpsilonByRdp(budget.Delta) <= budget.Epsilon) return true;
        EventTally added = EventTally.Of(events, relation);
        if (added.HasNoiseless || _tally.HasNoiseless || _tally.Counts.Keys.Union(added.Counts.Keys).Count() > MostDifferent) return false;
        if (IsCertified(added, after, budget)) return true;
        Dictionary<PrivacyEvent, long> whole = Sum(added, 1);
        if (!(Epsilon(whole, after.StatisticalDistance, budget.Delta) <= budget.Epsilon)) return false;
        Certify(added, whole, after, budget);
        return true;
    }

    /// <summary>The least ε at δ that either accountant shows, and which one.</summary>
    public (double Epsilon, string Accountant) Epsilon(Spending spent, double delta)
    {
        double rdp = spent.EpsilonByRdp(delta);
        if (_tally.HasNoiseless || _tally.Counts.Count > MostDifferent) return (rdp, "rdp");
        double pld = Epsilon(_tally.Counts, spent.StatisticalDistance, delta);
        return pld <= rdp ? (pld, "pld") : (rdp, "rdp");
    }

    private bool IsCertified(EventTally added, Spending after, PrivacyBudget budget) =>
        budget == _certifiedFor && after.StatisticalDistance <= _certifiedDistance && Sum(added, 1).All(entry => entry.Value <= _certified.GetValueOrDefault(entry.Key));

    /// <summary>Remembers what fits, and tries a sixteenth more of the new events.</summary>
    private void Certify(EventTally added, Dictionary<PrivacyEvent, long> whole, Spending after, PrivacyBudget budget)
    {
        (_certified, _certifiedFor, _certifiedDistance) = (whole, budget, after.StatisticalDistance);
        if (added.Counts.Count == 0) return;
        long more = Math.Max(1, added.Counts.Min(entry => whole[entry.Key] / entry.Value) / 16);
        if (added.Counts.Any(entry => entry.Value > (long.MaxValue / 2 / (more + 1)) - _tally.Counts.GetValueOrDefault(entry.Key))) return;
        Dictionary<PrivacyEvent, long> larger = Sum(added, more + 1);
        double distance = Math.Min(1, after.StatisticalDistance + (more * added.StatisticalDistance));
        if (Epsilon(larger, distance, budget.Delta) <= budget.Epsilon) (_certified, _certifiedDistance) = (larger, distance);
    }

    private Dictionary<PrivacyEvent, long> Sum(EventTally added, long times)
    {
        Dictionary<PrivacyEvent, long> sum = new(_tally.Counts);
        foreach ((PrivacyEvent one, long count) in added.Counts) sum[one] = checked(sum.GetValueOrDefault(one) + (times * count));
        return sum;
    }

    private double Epsilon(IReadOnlyDictionary<PrivacyEvent, long> counts, double distance, double delta)
    {
        if (counts.Count == 0) return PldAccountant.WithDistance(_ => 0, delta, distance);
        // The distance belongs to no event in particular.
        RepeatedEvent[] events = [.. counts.Select(entry => new RepeatedEvent(entry.Key, entry.Value))];
        try
        {
            return PldAccountant.WithDistance(left => s_pld.AtDelta(events, left, relation).Epsilon, delta, distance);
        }
        catch (UnsupportedEventException)
        {
            return double.PositiveInfinity;
        }
    }
}
