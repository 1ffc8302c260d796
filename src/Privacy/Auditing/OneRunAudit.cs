namespace Federation.Privacy.Auditing;

/// <summary>
/// A lower bound on ε from a single training run: m canaries are put into the data or left out by m fair coins, the auditor guesses r of the coins. Whoever guesses more than (ε, δ)-differential privacy allows has shown that it does not hold.
/// Nothing is assumed of the mechanism; neighbours differ by one canary more or less (AddOrRemoveOne).
/// </summary>
/// <remarks>
/// Steinke, Nasr, Jagielski 2023, Theorem 5.2; the formula is that of their Appendix D. Why it holds for δ = 0: given the guesses T = t and the coins before it, a coin is ±1 with odds between e^(−ε) and e^ε, by Bayes and because the coins are fair;
/// so each guess is right with probability at most q = e^ε/(e^ε + 1) whatever came before, and the number of right ones is at most Binomial(r, q) in the stochastic order. For δ &gt; 0 each of the m coins may be given away altogether:
/// by at most 2mδ coins in expectation, and i of them lift the tail from Pr[X ≥ v] to at most Pr[X ≥ v − i]. So Pr[V ≥ v] ≤ Pr[X ≥ v] + 2mδ·max_i (Pr[X ≥ v − i] − Pr[X ≥ v])/i.
/// </remarks>
public static class OneRunAudit
{
    /// <summary>Beyond it e^ε is no longer of use to anybody, and q is 1 in double precision.</summary>
    private const double LargestEpsilon = 30;

    /// <summary>How likely so many right guesses or more are, at most, if the mechanism is (ε, δ)-differentially private.</summary>
    /// <param name="epsilon">In [0, 30].</param>
    /// <param name="delta">In [0, 1].</param>
    public static double PValue(CanaryGuesses guesses, double epsilon, double delta)
    {
        guesses.Check();
        if (epsilon is not (>= 0 and <= LargestEpsilon)) throw new ArgumentOutOfRangeException(nameof(epsilon), epsilon, $"Must be in [0, {LargestEpsilon}].");
        if (delta is not (>= 0 and <= 1)) throw new ArgumentOutOfRangeException(nameof(delta), delta, "Must be in [0, 1].");
        var right = new Binomial(guesses.Guesses, 1 / (1 + Math.Exp(-epsilon)));
        double steepest = 0, gained = 0;
        for (int i = 1; i <= guesses.Correct; i++)
        {
            gained += right.Mass(guesses.Correct - i);
            steepest = Math.Max(steepest, gained / i);
        }

        return Math.Min(1, right.AtLeast(guesses.Correct) + (2.0 * guesses.Canaries * delta * steepest));
    }

    /// <summary>The largest ε that the guesses refute.</summary>
    /// <param name="confidence">1 − β, in (0, 1): at most so often as β is the bound above the true ε at δ.</param>
    public static double LowerBound(CanaryGuesses guesses, double delta, double confidence)
    {
        if (confidence is not (> 0 and < 1)) throw new ArgumentOutOfRangeException(nameof(confidence), confidence, "Must be in (0, 1).");
        return PValue(guesses, 0, delta) >= 1 - confidence ? 0 : Bisection.Highest(0, LargestEpsilon, epsilon => PValue(guesses, epsilon, delta) < 1 - confidence);
    }

    /// <summary>The best bound over several numbers of guesses. Each gets an equal share of β, so that choosing among them afterwards is paid for; the list itself must be fixed beforehand.</summary>
    public static OneRunBound Best(ReadOnlySpan<double> scores, ReadOnlySpan<bool> included, IReadOnlyList<int> numbersOfGuesses, double delta, double confidence)
    {
        if (numbersOfGuesses.Count == 0) throw new ArgumentException("There is no number of guesses.", nameof(numbersOfGuesses));
        OneRunBound? best = null;
        foreach (int count in numbersOfGuesses)
        {
            CanaryGuesses guesses = CanaryGuesses.Of(scores, included, count);
            double bound = LowerBound(guesses, delta, 1 - ((1 - confidence) / numbersOfGuesses.Count));
            if (best is null || bound > best.Epsilon) best = new(bound, guesses);
        }

        return best!;
    }
}

/// <param name="Epsilon">The mechanism's ε is not below it, at the δ and the confidence that were asked for.</param>
/// <param name="Guesses">That showed it.</param>
public sealed record OneRunBound(double Epsilon, CanaryGuesses Guesses);
