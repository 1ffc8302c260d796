using Federation.Privacy.Accounting;
using MathNet.Numerics;

namespace Federation.Privacy.Auditing;

/// <summary>
/// Guesses about canaries that the mechanism, as it is documented, treats independently of each other: each moves a coordinate of its own, whose noise and whose sampling have nothing to do with the others'. Then each is a trial of its own, and a single run with some hundred canaries shows half the noise,
/// where <see cref="OneRunAudit"/>, which allows for mechanisms that give all canaries away together now and then, would need tens of thousands.
/// </summary>
/// <remarks>
/// Whoever believes each coin fair beforehand guesses it with probability at most (1 + δ(0))/2, δ(0) the total variation distance of neighbours (<see cref="TradeOff.AttackSuccess"/>): the best guess is what the canary's own observations make more likely.
/// Given all observations the coins are still independent, so a guess made by any rule that has not seen the coins, a common threshold among them, is right no more often than that best one; and under the documented mechanism the number of right guesses is at most Binomial(m, (1 + δ(0))/2) in the stochastic order.
/// Too many right ones refute that the mechanism is the documented one. Where the canaries depend on each other, that too is refuted.
/// </remarks>
public static class IndependentCanaries
{
    /// <summary>How likely so many right guesses or more are, at most, under the documented mechanism.</summary>
    /// <param name="guesses">About all canaries, by a rule that has not seen the coins, such as <see cref="CanaryGuesses.Of"/>.</param>
    /// <param name="attackSuccess">(1 + δ(0))/2, in [1/2, 1].</param>
    public static double PValue(CanaryGuesses guesses, double attackSuccess)
    {
        guesses.Check();
        if (attackSuccess is not (>= 0.5 and <= 1)) throw new ArgumentOutOfRangeException(nameof(attackSuccess), attackSuccess, "Must be in [1/2, 1].");
        return attackSuccess == 1 ? 1 : new Binomial(guesses.Guesses, attackSuccess).AtLeast(guesses.Correct);
    }

    /// <summary>ε at δ of the Gaussian mechanism that is guessed no better than this, at the confidence given. A lower bound on ε where the trade-off curve is that of Gaussian noise, as it is with q = 1 and nearly is for many steps; elsewhere an estimate.</summary>
    /// <remarks>Nasr et al. 2023 (tight auditing), section 4.2; with a shift of μ deviations the best guess is right with probability Φ(μ/2) (Dong, Roth, Su 2022).</remarks>
    public static double GaussianEpsilon(CanaryGuesses guesses, double delta, double confidence)
    {
        guesses.Check();
        if (confidence is not (> 0 and < 1)) throw new ArgumentOutOfRangeException(nameof(confidence), confidence, "Must be in (0, 1).");
        double right = Binomial.LowerLimit(guesses.Correct, guesses.Guesses, 1 - confidence);
        if (right <= 0.5) return 0;
        double mu = 2 * Math.Sqrt(2) * SpecialFunctions.ErfInv((2 * right) - 1); // 2·Φ⁻¹(right)
        return AnalyticGaussian.Epsilon(1 / mu, delta);
    }
}
