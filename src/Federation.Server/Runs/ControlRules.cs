using System.Collections.Immutable;

namespace Federation.Server.Runs;

/// <summary>What a run of SCAFFOLD knows of the sites' control variates, none of which it sees: c is the sum of the cᵢ of so many sites over their number.</summary>
/// <param name="Sites">N of the newest model's c; 0: it has none yet that was made of the sites'.</param>
/// <param name="Counted">All sites that c is, or will next be, the mean of, with the hash of the newest update of each whose Δcᵢ is in it; empty: cᵢ is 0.</param>
public sealed record ControlBook(int Sites, ImmutableSortedDictionary<string, string> Counted)
{
    public static readonly ControlBook Empty = new(0, ImmutableSortedDictionary.Create<string, string>(StringComparer.Ordinal));
}

/// <summary>
/// SCAFFOLD: which of its updates each site has to build on. A site cannot know what became of an update that it sent, and the coordinator does: it is written down together with the model that holds the update, and told with the next task.
/// Who was ready once counts for good: its cᵢ is in c, or 0. Pure.
/// </summary>
/// <remarks>Karimireddy, Kale, Mohri, Reddi, Stich, Suresh 2020, Algorithm 1: c = Σcᵢ/N at every line.</remarks>
internal static class ControlRules
{
    /// <summary>The round is closed: these sites' mean is what its c will be.</summary>
    public static RunState Close(RunState state, RoundOpen open)
    {
        if (!state.Plan.HasControls) return state;
        ControlBook book = state.Controls ?? ControlBook.Empty;
        IEnumerable<string> sites = state.Sites.Where(site => site.Value.Standing == SiteStanding.Ready).Select(site => site.Key).Concat(open.Contributions.Keys).Where(site => !book.Counted.ContainsKey(site)).Distinct();
        return state with { Controls = book with { Counted = book.Counted.AddRange(sites.Select(site => KeyValuePair.Create(site, ""))) } };
    }

    /// <summary>The round's model is there, and its c with it.</summary>
    public static ControlBook? Count(ControlBook? book, Aggregating closed) => book is null ? null : new(
        book.Counted.Count, book.Counted.SetItems(closed.Contributions.Select(part => KeyValuePair.Create(part.Key, part.Value.UpdateSha256))));

    /// <summary>What moves c when so many updates have come: their part of the sites of its mean, and how much of c as it was remains, since sites that are new have 0. Before the first round c is nobody's mean, whatever the initial model holds.</summary>
    public static (double Share, double Kept) SharesOf(ControlBook? book, int contributors)
    {
        double sites = Math.Max(contributors, book?.Counted.Count ?? 0);
        return (contributors / sites, (book?.Sites ?? 0) / sites);
    }

    /// <summary>Hash of the site's newest update that is in c; empty: none is.</summary>
    public static string CountedOf(RunState state, string site) => state.Controls?.Counted.GetValueOrDefault(site) ?? "";
}
