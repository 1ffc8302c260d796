namespace Federation.Privacy.Accounting;

/// <summary>Accounts by Rényi differential privacy at a fixed list of orders: fast, additive, somewhat loose.</summary>
/// <remarks>Mironov 2017; conversion to (ε, δ): Canonne, Kamath, Steinke 2020, Proposition 12, and δ² ≤ 1 − e^(−r) (Bretagnolle and Huber) where that gives ε = 0.</remarks>
public sealed class RdpAccountant : IPrivacyAccountant
{
    /// <summary>1.1, 1.2, …, 10.9, 11, 12, …, 63, 128, 256, 512, 1024: the orders that dp_accounting takes by default.</summary>
    public static IReadOnlyList<double> DefaultOrders { get; } =
        [.. Enumerable.Range(11, 99).Select(tenths => tenths / 10.0), .. Enumerable.Range(11, 53).Select(order => (double)order), 128, 256, 512, 1024];

    private readonly double[] _orders;

    public RdpAccountant()
        : this(DefaultOrders)
    {
    }

    /// <param name="orders">Each above 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">No orders, or one that is not above 1, or infinite.</exception>
    public RdpAccountant(IEnumerable<double> orders)
    {
        _orders = [.. orders];
        if (_orders.Length == 0) throw new ArgumentOutOfRangeException(nameof(orders), "At least one order is needed.");
        foreach (double order in _orders)
        {
            if (order is not (> 1 and < double.PositiveInfinity)) throw new ArgumentOutOfRangeException(nameof(orders), order, "An order must be in (1, ∞).");
        }
    }

    public string Name => "rdp";

    public IReadOnlyList<double> Orders => _orders;

    public PrivacyLoss AtDelta(IEnumerable<PrivacyEvent> events, double delta, NeighboringRelation relation)
    {
        Checked.Delta(delta);
        EventTally tally = EventTally.Of(events, relation);
        if (tally.HasNoiseless) return new(double.PositiveInfinity, delta, relation);
        double[] divergences = Divergences(tally, relation);
        return new(PldAccountant.WithDistance(left => Epsilon(divergences, left), delta, tally.StatisticalDistance), delta, relation);
    }

    public PrivacyLoss AtEpsilon(IEnumerable<PrivacyEvent> events, double epsilon, NeighboringRelation relation)
    {
        Checked.Epsilon(epsilon);
        EventTally tally = EventTally.Of(events, relation);
        if (tally.HasNoiseless) return new(epsilon, 1, relation);
        double delta = Delta(Divergences(tally, relation), epsilon);
        return new(epsilon, PldAccountant.PlusDistance(delta, epsilon, tally.StatisticalDistance), relation);
    }

    /// <summary>Rényi divergence of one event at each order, its statistical distance left out.</summary>
    public double[] Divergences(PrivacyEvent one, NeighboringRelation relation) => Divergences(EventTally.Of([one], relation), relation);

    internal double Epsilon(double[] divergences, double delta)
    {
        double least = double.PositiveInfinity;
        for (int i = 0; i < _orders.Length; i++) least = Math.Min(least, EpsilonAt(_orders[i], divergences[i], delta));
        return least;
    }

    internal double Delta(double[] divergences, double epsilon)
    {
        double least = 0;
        for (int i = 0; i < _orders.Length; i++) least = Math.Min(least, LogDeltaAt(_orders[i], divergences[i], epsilon));
        return Math.Exp(least);
    }

    /// <summary>ε at δ from a divergence r of this order.</summary>
    internal static double EpsilonAt(double order, double r, double delta) =>
        (delta * delta) + Precise.Expm1(-r) > 0 ? 0 : Math.Max(0, r + Precise.Log1P(-1 / order) - (Math.Log(delta * order) / (order - 1)));

    /// <summary>ln δ at ε from a divergence r of this order.</summary>
    internal static double LogDeltaAt(double order, double r, double epsilon) =>
        Math.Min(0.5 * Math.Log(-Precise.Expm1(-r)), ((order - 1) * (r - epsilon + Precise.Log1P(-1 / order))) - Math.Log(order));

    internal double[] Divergences(EventTally tally, NeighboringRelation relation)
    {
        double[] sums = new double[_orders.Length];
        foreach ((PrivacyEvent one, long count) in tally.Counts)
        {
            Func<double, double> divergence = RenyiDivergence.Of(one, relation);
            for (int i = 0; i < sums.Length; i++) sums[i] += count * divergence(_orders[i]);
        }

        return sums;
    }
}
