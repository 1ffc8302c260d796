namespace Federation.Privacy.SecureAggregation;

/// <summary>
/// A member's rule for the sums of one run and purpose, where its policy asks for it: a site that is in one of two sums alone shows its number of examples by subtraction, and between models that differ little its update.
/// Pairs are all that it holds apart; what several sums say together is bounded by differential privacy alone. Pure.
/// </summary>
public static class ContributorSetsRule
{
    /// <param name="sites">Whose sum is asked for.</param>
    /// <param name="answered">Every set that this member has answered for, of this run and purpose.</param>
    /// <param name="least">So many sites must be in one of two sets and not in the other.</param>
    /// <exception cref="ProtocolException">The set is neither one answered before nor far enough from each.</exception>
    public static void Check(Opening opening, IReadOnlyCollection<string> sites, IEnumerable<IReadOnlyCollection<string>> answered, int least)
    {
        if (NearbySets.Find(sites, answered, least) is not var (earlier, apart)) return;
        throw new ProtocolException(
            Refusal.NearbySet, $"The {opening} is asked for with {sites.Count} sites after a sum of {earlier.Count} sites was opened in this run, and {NearbySets.Only(apart)}: their difference would show figures of fewer than {least} sites. This site's policy keeps sets of contributors apart: the same as before ({string.Join(", ", earlier.Order(StringComparer.Ordinal))}), or at least {least} more or fewer.");
    }
}
