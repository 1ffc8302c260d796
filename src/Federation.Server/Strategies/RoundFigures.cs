using Federation.Formats.Runs;
using Federation.Server.Runs;

namespace Federation.Server.Strategies;

/// <summary>What is known of a round before its coordinates.</summary>
/// <param name="Scalar">The mean of the strategy's number, where it has one; else 1.</param>
/// <param name="Share">Contributors over the sites of the run.</param>
/// <param name="Weights">So many of the coordinates are the model's; those after them are what the strategy sends along.</param>
internal readonly record struct RoundFigures(double Scalar, double Share, long Weights)
{
    /// <summary>All but the strategy's number.</summary>
    public static RoundFigures Of(RunHost run, int contributors)
    {
        int sites = run.State.Sites.Values.Count(site => site.Standing == SiteStanding.Ready);
        return new(1, (double)contributors / Math.Max(contributors, sites), run.Spec.Strategy.Kind == StrategyKind.Scaffold ? run.ModelHeader.ValueCount / 2 : run.ModelHeader.ValueCount);
    }
}
