using Federation.Privacy.Accounting;
using Federation.Privacy.Mechanisms;

namespace Federation.Formats.Runs;

/// <summary>
/// Site-level differential privacy where the coordinator is trusted with each site's update: it clips them, rounds each to a grid, sums whole steps of it, and adds Gaussian noise to the sum. Coordinator and sites compute mechanism and cost from the same spec.
/// </summary>
/// <remarks>
/// McMahan, Ramage, Talwar, Zhang 2018, Algorithm 1, every site with the weight 1 and the divisor public: the number of contributors, which the run's record tells anyway.
/// Values count in units of the whole vector's norm W (update and vote, <see cref="SiteClip"/>), so that Δ = 1, and grid and cost are the same whatever C has come to. A site's vector x, ‖x‖ ≤ W, is rounded to y = round(x/(Wg)), g the grid's step, so ‖g·y‖ ≤ 1 + g√d/2;
/// integers are summed exactly and in any order, so a site in the sum or not moves g·Σy by less than 1 + g√d, and one whose vector becomes another by less than twice that. This is what <see cref="GridGaussian.Event"/> charges.
/// </remarks>
public static class CentralNoise
{
    /// <param name="values">Of the model.</param>
    /// <param name="random">For the noise.</param>
    /// <exception cref="UnreachableTargetException">No noise keeps the spec's ε.</exception>
    public static GridGaussian Of(RunSpec run, int values, SecureRandom random) => new(run.Sigma, sensitivity: 1, values + SiteClip.Votes(run.Privacy), random);

    internal static PrivacyEvent Event(RunSpec run, int values, int moves)
    {
        using SecureRandom random = new();
        return Of(run, values, random).Moved(moves);
    }
}
