namespace Federation.Privacy.Accounting;

/// <summary>Bounds what a sequence of events gives away. Every figure is an upper bound.</summary>
public interface IPrivacyAccountant
{
    /// <summary>"rdp" or "pld".</summary>
    string Name { get; }

    /// <summary>The least ε that this accountant can show at δ.</summary>
    /// <param name="delta">In (0, 1).</param>
    /// <exception cref="ArgumentOutOfRangeException">δ is out of range or NaN.</exception>
    /// <exception cref="UnsupportedEventException">An event cannot be bounded under this relation.</exception>
    /// <exception cref="OverflowException">More repetitions than a 64-bit count holds.</exception>
    PrivacyLoss AtDelta(IEnumerable<PrivacyEvent> events, double delta, NeighboringRelation relation);

    /// <summary>The least δ that this accountant can show at ε.</summary>
    /// <param name="epsilon">In [0, ∞).</param>
    /// <exception cref="ArgumentOutOfRangeException">ε is out of range or NaN.</exception>
    /// <exception cref="UnsupportedEventException">An event cannot be bounded under this relation.</exception>
    /// <exception cref="OverflowException">More repetitions than a 64-bit count holds.</exception>
    PrivacyLoss AtEpsilon(IEnumerable<PrivacyEvent> events, double epsilon, NeighboringRelation relation);
}

internal static class Checked
{
    public static void Delta(double delta)
    {
        if (delta is not (> 0 and < 1)) throw new ArgumentOutOfRangeException(nameof(delta), delta, "δ must be in (0, 1).");
    }

    public static void Epsilon(double epsilon)
    {
        if (epsilon is not (>= 0 and < double.PositiveInfinity)) throw new ArgumentOutOfRangeException(nameof(epsilon), epsilon, "ε must be in [0, ∞).");
    }
}
