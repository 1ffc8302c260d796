namespace Federation.Privacy.SecureAggregation;

/// <summary>Of two sums over almost the same sites the difference is that of the few that are in one alone. Pure.</summary>
internal static class NearbySets
{
    /// <summary>The first of the earlier sets that is neither the same nor differs in so many sites, and the sites that are in one of the two alone; null: there is none.</summary>
    public static (IReadOnlyCollection<string> Earlier, IReadOnlyList<string> Apart)? Find(IReadOnlyCollection<string> sites, IEnumerable<IReadOnlyCollection<string>> answered, int least)
    {
        foreach (IReadOnlyCollection<string> earlier in answered)
        {
            HashSet<string> apart = [.. sites];
            apart.SymmetricExceptWith(earlier);
            if (apart.Count > 0 && apart.Count < least) return (earlier, [.. apart.Order(StringComparer.Ordinal)]);
        }

        return null;
    }

    /// <summary>A sentence's middle: who is in one of the two alone.</summary>
    public static string Only(IReadOnlyList<string> apart) => $"only {string.Join(", ", apart.Select(site => $"'{site}'"))} {(apart.Count == 1 ? "is" : "are")} in one of the two sets alone";
}
