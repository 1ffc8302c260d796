using Federation.Privacy.Accounting;

namespace Federation.Privacy.Ledger;

/// <summary>
/// Whether more events still fit a budget. By Rényi divergences first, which takes microseconds; only where they say no, by privacy loss distributions, which are tighter and take longer.
/// What the latter once found is remembered: fewer of the same events never cost more, more never less. The first time it looks how many of the same fit altogether; later answers need no composition.
/// </summary>
internal sealed class BudgetCheck(NeighboringRelation relation)
{
    // Beyond so many different events a composition would take seconds; the divergences alone decide then.
    private const int MostDifferent = 64;
    private static readonly PldAccountant s_pld = new();
    private readonly EventTally _tally = new();
    private Dictionary<PrivacyEvent, long> _within = [], _beyond = [];
    private PrivacyBudget? _knownFor;
    private double _withinDistance;

    /// <summary>These have been reserved.</summary>
    public void Add(IEnumerable<PrivacyEvent> events) => _tally.Add(events, relation);

    /// <param name="after">What is spent with the new events.</param>
    public bool Fits(IReadOnlyList<PrivacyEvent> events, Spending after, PrivacyBudget budget)
    {
        if (after.EpsilonByRdp(budget.Delta) <= budget.Epsilon) return true;
        EventTally added = EventTally.Of(events, relation);
        if (added.HasNoiseless || _tally.HasNoiseless || _tally.Counts.Keys.Union(added.Counts.Keys).Count() > MostDifferent) return false;
        if (budget != _knownFor) (_within, _beyond, _knownFor) = ([], [], budget);
        Dictionary<PrivacyEvent, long> whole = Sum(added, 1);
        if (after.StatisticalDistance <= _withinDistance && whole.All(entry => entry.Value <= _within.GetValueOrDefault(entry.Key))) return true;
        if (_beyond.Count > 0 && _beyond.All(entry => entry.Value <= whole.GetValueOrDefault(entry.Key))) return false;
        bool fits = Epsilon(whole, after.StatisticalDistance, budget.Delta) <= budget.Epsilon;
        if (fits) LookAhead(added, after, budget);
        else _beyond = whole;
        return fits;
    }

    /// <summary>What has been reserved here.</summary>
    /// <param name="known">Of the same ledger.</param>
    public Spending Spent(Spending known) => known.OnlyOf(_tally, relation);

    /// <param name="what">Is bounded, for the message.</param>
    /// <param name="before">What is spent without the new events.</param>
    /// <exception cref="BudgetExceededException">They do not fit.</exception>
    public void Require(string what, PrivacyBudget budget, IReadOnlyList<PrivacyEvent> events, Spending before, Spending after)
    {
        if (Fits(events, after, budget)) return;
        PrivacyLoss At(double epsilon) => new(epsilon, budget.Delta, relation);
        throw new BudgetExceededException(what, budget, At(Epsilon(before, budget.Delta).Epsilon), At(Epsilon(after, budget.Delta, events).Epsilon));
    }

    /// <summary>The least ε at δ that either accountant shows, and which one.</summary>
    /// <param name="more">Events that are in <paramref name="spent"/> and were not added here.</param>
    public (double Epsilon, string Accountant) Epsilon(Spending spent, double delta, params IReadOnlyList<PrivacyEvent> more)
    {
        double rdp = spent.EpsilonByRdp(delta);
        EventTally added = EventTally.Of(more, relation);
        Dictionary<PrivacyEvent, long> whole = Sum(added, 1);
        if (_tally.HasNoiseless || added.HasNoiseless || whole.Count > MostDifferent) return (rdp, "rdp");
        double pld = Epsilon(whole, spent.StatisticalDistance, delta);
        return pld <= rdp ? (pld, "pld") : (rdp, "rdp");
    }

    /// <summary>How often the new events may come altogether, up to a sixteenth more than there are.</summary>
    private void LookAhead(EventTally added, Spending after, PrivacyBudget budget)
    {
        (_within, _withinDistance) = (Sum(added, 1), after.StatisticalDistance);
        if (added.Counts.Count == 0) return;
        long low = 1, high = 1 + Math.Max(1, added.Counts.Min(entry => (_tally.Counts.GetValueOrDefault(entry.Key) / entry.Value / 16) + 1));
        if (added.Counts.Any(entry => entry.Value > (long.MaxValue / 4 / high) || _tally.Counts.GetValueOrDefault(entry.Key) > long.MaxValue / 4)) return;
        if (FitsTimes(high)) low = high;
        while (high - low > 1)
        {
            long middle = low + ((high - low) / 2);
            if (FitsTimes(middle)) low = middle;
            else high = middle;
        }

        (_within, _withinDistance) = (Sum(added, low), DistanceAfter(low));
        if (high > low) _beyond = Sum(added, high);

        double DistanceAfter(long times) => Math.Min(1, after.StatisticalDistance + ((times - 1) * added.StatisticalDistance));
        bool FitsTimes(long times) => Epsilon(Sum(added, times), DistanceAfter(times), budget.Delta) <= budget.Epsilon;
    }

    private Dictionary<PrivacyEvent, long> Sum(EventTally added, long times)
    {
        Dictionary<PrivacyEvent, long> sum = new(_tally.Counts);
        foreach ((PrivacyEvent one, long count) in added.Counts) sum[one] = checked(sum.GetValueOrDefault(one) + (times * count));
        return sum;
    }

    private double Epsilon(Dictionary<PrivacyEvent, long> counts, double distance, double delta)
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
