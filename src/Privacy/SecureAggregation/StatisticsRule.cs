namespace Federation.Privacy.SecureAggregation;

/// <summary>
/// A member's rule against statistics by difference: of two sums over almost the same sites the difference is the figures of the few that are in one alone, whatever the question, and whatever the version of the data if little has changed in between.
/// Pairs are all that it holds apart; what several sums say together is bounded by differential privacy alone. Pure.
/// </summary>
public static class StatisticsRule
{
    /// <param name="sites">Whose sum is asked for.</param>
    /// <param name="answered">Every set that this member has answered for, in whatever run.</param>
    /// <param name="least">So many sites must be in one of two sets and not in the other.</param>
    /// <exception cref="ProtocolException">The set is neither one answered before nor far enough from each.</exception>
    public static void Check(IReadOnlyCollection<string> sites, IEnumerable<IReadOnlyCollection<string>> answered, int least)
    {
        if (NearbySets.Find(sites, answered, least) is not var (earlier, apart)) return;
        throw new ProtocolException(
            Refusal.NearbySet, $"Statistics of {sites.Count} sites are asked for after those of {earlier.Count} sites were opened, and {NearbySets.Only(apart)}: their difference would show figures of fewer than {least} sites. Ask the same sites as before ({string.Join(", ", earlier.Order(StringComparer.Ordinal))}), or at least {least} more or fewer.");
    }
}
