using Federation.Privacy.Accounting;

namespace Federation.Privacy.Ledger;

/// <summary>What a ledger's reservations amount to, kept up incrementally: Rényi divergences add up, so a new event costs one addition an order however many there were before.</summary>
internal sealed class Spending
{
    // Divergences of the events seen last; most ledgers hold a handful of different ones.
    private const int MostCached = 256;
    private static readonly RdpAccountant s_rdp = new();
    private readonly Dictionary<PrivacyEvent, double[]> _cache = [];

    public Spending()
        : this(new double[RdpAccountant.DefaultOrders.Count], 0)
    {
    }

    public Spending(double[] divergences, double statisticalDistance) => (Divergences, StatisticalDistance) = (divergences, statisticalDistance);

    /// <summary>At <see cref="RdpAccountant.DefaultOrders"/>; ∞ where no bound is known.</summary>
    public double[] Divergences { get; private set; }

    /// <summary>In [0, 1].</summary>
    public double StatisticalDistance { get; private set; }

    /// <summary>These events on top; this stays as it is.</summary>
    /// <exception cref="OverflowException">More repetitions than a 64-bit count holds.</exception>
    /// <exception cref="UnsupportedEventException">An event means nothing under this relation.</exception>
    public Spending With(IEnumerable<PrivacyEvent> events, NeighboringRelation relation) => With(EventTally.Of(events, relation), relation);

    /// <summary>These events alone, by the divergences that are known already.</summary>
    public Spending OnlyOf(EventTally tally, NeighboringRelation relation) => new Spending(new double[Divergences.Length], 0, _cache).With(tally, relation);

    private Spending With(EventTally tally, NeighboringRelation relation)
    {
        double[] sums = [.. Divergences];
        foreach ((PrivacyEvent one, long count) in tally.Counts)
        {
            double[] divergences = Of(one, relation);
            for (int i = 0; i < sums.Length; i++) sums[i] += count * divergences[i];
        }

        if (tally.HasNoiseless) Array.Fill(sums, double.PositiveInfinity);
        return new Spending(sums, Math.Min(1, StatisticalDistance + tally.StatisticalDistance), _cache);
    }

    private Spending(double[] divergences, double statisticalDistance, Dictionary<PrivacyEvent, double[]> cache)
        : this(divergences, statisticalDistance) => _cache = cache;

    /// <summary>ε at δ by the RDP accountant.</summary>
    public double EpsilonByRdp(double delta) => PldAccountant.WithDistance(left => s_rdp.Epsilon(Divergences, left), delta, StatisticalDistance);

    private double[] Of(PrivacyEvent one, NeighboringRelation relation)
    {
        if (_cache.TryGetValue(one, out double[]? known)) return known;
        double[] divergences;
        try
        {
            divergences = s_rdp.Divergences(one, relation);
        }
        catch (UnsupportedEventException)
        {
            // No bound by divergences (sampled mechanisms under ReplaceOne): others may have one.
            divergences = new double[RdpAccountant.DefaultOrders.Count];
            Array.Fill(divergences, double.PositiveInfinity);
        }

        if (_cache.Count >= MostCached) _cache.Clear();
        return _cache[one] = divergences;
    }
}
