using System.Text.Json;
using Federation.Privacy.SecureAggregation;
using Federation.Server.Runs;
using Federation.Server.Storage;

namespace Federation.Server.SecureAggregation;

/// <summary>The members' rule against statistics by difference, held by the coordinator first: a question that members refuse is not asked, because one that has no record yet would note an answer for it, and refuse the others' sets from then on.</summary>
internal static class OpenedSets
{
    /// <param name="sites">Whose sum would be asked for.</param>
    /// <param name="least">So many sites must be in one of two sets alone.</param>
    /// <exception cref="ProtocolException">It is too near one that was opened; says which, and what may be asked.</exception>
    public static void Require(ICoordinatorStore store, IReadOnlyCollection<string> sites, int least) => StatisticsRule.Check(sites, Of(store), Math.Max(least, CommitteePolicy.FewestContributors));

    private static IEnumerable<IReadOnlyCollection<string>> Of(ICoordinatorStore store)
    {
        foreach (RunRecord run in store.Runs().Where(run => run.Over))
        {
            if (JsonSerializer.Deserialize<RunState>(run.StateJson) is { StatisticsSha256.Length: > 0 }) yield return store.Rounds(run.Id).Single(round => round.State == "completed").Contributors;
        }
    }
}
