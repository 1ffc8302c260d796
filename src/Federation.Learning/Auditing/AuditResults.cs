using Federation.Privacy.Auditing;

namespace Federation.Learning.Auditing;

/// <summary>What a run with canaries showed.</summary>
/// <param name="Bound">A lower bound on ε at the claim's δ, whatever the mechanism is.</param>
/// <param name="Guesses">About all canaries: the half for whom what was seen is likelier is in.</param>
/// <param name="PValue">How likely so many right ones or more are, at most, under the documented mechanism, which treats canaries independently.</param>
/// <param name="IsAsDocumented">Whether that is no surprise.</param>
/// <param name="GaussianEpsilon">A lower bound on ε if the trade-off curve is that of Gaussian noise, which that of many DP-SGD steps nearly is; closer than <paramref name="Bound"/>.</param>
public sealed record CanaryAudit(PrivacyClaim Claim, OneRunBound Bound, CanaryGuesses Guesses, double PValue, bool IsAsDocumented, double GaussianEpsilon)
{
    /// <summary>False: the claim is refuted, at the confidence that was asked for.</summary>
    public bool Holds => IsAsDocumented && Bound.Epsilon <= Claim.Epsilon;

    internal static CanaryAudit Of(PrivacyClaim claim, ReadOnlySpan<double> scores, ReadOnlySpan<bool> coins, double confidence)
    {
        // Fixed beforehand: all canaries, which a mechanism without privacy gives away, and the eighth about which most is known. Two tests by (ε, δ) and the one of independent canaries share the error.
        double error = (1 - confidence) / 3;
        OneRunBound bound = OneRunAudit.Best(scores, coins, [scores.Length, scores.Length / 8], claim.Delta, 1 - (2 * error));
        CanaryGuesses all = CanaryGuesses.Of(scores, coins, scores.Length);
        double pValue = IndependentCanaries.PValue(all, claim.AttackSuccess);
        return new(claim, bound, all, pValue, pValue >= error, IndependentCanaries.GaussianEpsilon(all, claim.Delta, 1 - error));
    }
}

/// <summary>What attacks on the membership of one record showed, over many runs.</summary>
/// <param name="Bound">A lower bound on ε at the claim's δ, and the attacker's rates.</param>
/// <param name="Runs">All, the shadow models among them.</param>
public sealed record MembershipAudit(PrivacyClaim Claim, ThresholdBound Bound, int Runs)
{
    public const int LeastRuns = 30;

    /// <summary>False: the claim is refuted, at the confidence that was asked for.</summary>
    public bool Holds => Bound.Epsilon <= Claim.Epsilon;

    internal static MembershipAudit Of(PrivacyClaim claim, (double Logit, bool Included)[] attacked, double confidence)
    {
        int third = attacked.Length / 3;
        double[] with = [.. attacked.Take(third).Where(run => run.Included).Select(run => run.Logit)], without = [.. attacked.Take(third).Where(run => !run.Included).Select(run => run.Logit)];
        if (with.Length < 2 || without.Length < 2) return new(claim, new(0, 0, true, 0, 0, 0), attacked.Length); // coins that all fell alike
        var attack = new MembershipAttack(with, without);
        (double, bool)[] scored = [.. attacked.Skip(third).Select(run => (attack.Score(run.Logit), run.Included))];
        return new(claim, ThresholdAudit.Bound(scored[..third], scored[third..], claim.Delta, confidence), attacked.Length);
    }
}
