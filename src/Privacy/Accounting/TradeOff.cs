namespace Federation.Privacy.Accounting;

/// <summary>What an attacker who must tell two neighbouring data sets apart can reach at best, by the δ(ε) that an accountant shows.</summary>
/// <remarks>
/// Dong, Roth, Su 2022: f(α), the least false-negative rate at false-positive rate α, is at least max(0, 1 − δ − e^ε·α, e^(−ε)(1 − δ − α)) for each (ε, δ(ε)) (Wasserman and Zhou 2010).
/// With finitely many points f is a lower bound: the attacker is never made to look weaker than he is.
/// </remarks>
public sealed class TradeOff
{
    private readonly (double Epsilon, double Delta)[] _curve;

    /// <param name="curve">Points (ε, δ(ε)) of one mechanism, at least ε = 0; more make the bounds tighter.</param>
    public TradeOff(IEnumerable<PrivacyLoss> curve)
    {
        _curve = [.. curve.Select(point => (point.Epsilon, point.Delta))];
        if (!_curve.Any(point => point.Epsilon == 0)) throw new ArgumentException("The curve must hold ε = 0.", nameof(curve));
    }

    /// <summary>The curve of some events, at these ε and at 0.</summary>
    public static TradeOff Of(IPrivacyAccountant accountant, IReadOnlyCollection<PrivacyEvent> events, NeighboringRelation relation, IEnumerable<double> epsilons) =>
        new(epsilons.Append(0).Distinct().Select(epsilon => accountant.AtEpsilon(events, epsilon, relation)));

    /// <summary>δ(0): how much more often than a false alarm an attacker can be right, true-positive rate minus false-positive rate; also the total variation distance.</summary>
    public double Advantage => _curve.Where(point => point.Epsilon == 0).Min(point => point.Delta);

    /// <summary>How often an attacker is right at best, who thinks both data sets equally likely beforehand: (1 + δ(0))/2.</summary>
    public double AttackSuccess => (1 + Advantage) / 2;

    /// <summary>f: no attacker with this false-positive rate misses less often.</summary>
    /// <param name="falsePositiveRate">In [0, 1].</param>
    public double FalseNegativeRate(double falsePositiveRate)
    {
        if (falsePositiveRate is not (>= 0 and <= 1)) throw new ArgumentOutOfRangeException(nameof(falsePositiveRate), falsePositiveRate, "A rate must be in [0, 1].");
        double most = 0;
        foreach ((double epsilon, double delta) in _curve)
        {
            if (double.IsPositiveInfinity(epsilon)) continue;
            double missed = falsePositiveRate == 0 ? 1 - delta : 1 - delta - (Math.Exp(epsilon) * falsePositiveRate); // e^ε may be ∞
            most = Math.Max(most, Math.Max(missed, Math.Exp(-epsilon) * (1 - delta - falsePositiveRate)));
        }

        return most;
    }

    /// <summary>The most that an attacker can believe at best, who thought it this likely beforehand, on one of the outputs that favour him most: those that occur with the given false-positive rate.</summary>
    public double Posterior(double prior, double falsePositiveRate)
    {
        if (prior is not (>= 0 and <= 1)) throw new ArgumentOutOfRangeException(nameof(prior), prior, "A prior must be in [0, 1].");
        double power = 1 - FalseNegativeRate(falsePositiveRate);
        double right = prior * power;
        return right == 0 ? 0 : right / (right + ((1 - prior) * falsePositiveRate));
    }
}
