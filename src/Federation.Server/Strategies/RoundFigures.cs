using Federation.Formats.Runs;
using Federation.Server.Runs;

namespace Federation.Server.Strategies;

/// <summary>What is known of a round before its coordinates.</summary>
/// <param name="Scalar">The mean of the strategy's number, where it has one; else 1.</param>
/// <param name="Share">Contributors over the sites that c is the mean of.</param>
/// <param name="Weights">So many of the coordinates are the model's; those after them are what the strategy sends along.</param>
/// <param name="Kept">The sites that c was the mean of over those that it will be: sites that are new have 0.</param>
internal readonly record struct RoundFigures(double Scalar, double Share, long Weights, double Kept = 1)
{
    /// <summary>All but the strategy's number.</summary>
    public static RoundFigures Of(RunHost run, int contributors)
    {
        if (run.Spec.Strategy.Kind != StrategyKind.Scaffold) return new(1, 1, run.ModelHeader.ValueCount);
        (double share, double kept) = ControlRules.SharesOf(run.State.Controls, contributors);
        return new(1, share, run.ModelHeader.ValueCount / 2, kept);
    }
}
