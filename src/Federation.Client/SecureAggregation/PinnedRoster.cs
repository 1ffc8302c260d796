using Federation.Formats.Configuration;
using Federation.Privacy.SecureAggregation;

namespace Federation.Client.SecureAggregation;

/// <summary>A pinned roster beside keys that were made earlier: when the sites accept a new roster one after the other, the run's keys are of the old one until all have.</summary>
internal static class PinnedRoster
{
    /// <exception cref="ProtocolException">The keys were made for another roster than the pinned one.</exception>
    public static void RequireOfKeys(NodePolicy policy, Roster roster)
    {
        if (!policy.Accepts(roster))
        {
            throw new ProtocolException(Refusal.WrongRoster, $"The run's keys were made for roster version {roster.Version} ({roster.Sites.Count} sites, {roster.Hash}); this site's policy pins {policy.RosterSha256}. It takes part again with keys of that roster, which are made when the other sites have accepted it, too.");
        }
    }
}
