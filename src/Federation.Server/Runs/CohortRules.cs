using System.Collections.Immutable;
using System.Globalization;
using Federation.Formats.Runs;
using Federation.Privacy.Canonical;

namespace Federation.Server.Runs;

/// <summary>Which sites a run asks, and which of them in a round. Pure: the draw follows from the run's seed, the round and the sites that are there.</summary>
internal static class CohortRules
{
    /// <summary>The sites as this run sees them: those with its labels.</summary>
    public static Roster Among(RunPlan plan, Roster roster)
    {
        if (plan.Labels is not { } labels) return roster;
        return roster with { Trainers = roster.Trainers.Where(Fits).ToHashSet(StringComparer.Ordinal), Live = roster.Live.Where(Fits).ToHashSet(StringComparer.Ordinal) };

        bool Fits(string site) => roster.Labels?.GetValueOrDefault(site) is { } own && labels.All(label => own.TryGetValue(label.Key, out string? value) && value == label.Value);
    }

    /// <param name="available">Ready and connected, and able to take part in the round.</param>
    /// <param name="ready">Sites that said yes, connected or not.</param>
    /// <returns>The round's cohort, and with how many updates it closes; null: with all of them.</returns>
    public static (ImmutableSortedSet<string> Cohort, int? Wanted) Draw(RunPlan plan, int round, ImmutableSortedSet<string> available, int ready)
    {
        if (plan.Draw is not { } draw) return (available, null);
        (int wanted, int asked) = draw.Of(ready, plan.MinContributors);
        ImmutableSortedSet<string> drawn = asked >= available.Count ? available : available
            .OrderBy(site => DerivedSeed.For(plan.Seed, "cohort", (ulong)round, site)).ThenBy(site => site, StringComparer.Ordinal)
            .Take(asked).ToImmutableSortedSet(StringComparer.Ordinal);
        return (drawn, drawn.Count > wanted ? wanted : null);
    }

    /// <summary>For the run's log.</summary>
    public static string Opened(RunPlan plan, int round, int available, RoundOpen open) => plan.Draw is null
        ? string.Create(CultureInfo.InvariantCulture, $"Round {round} opened with {open.Cohort.Count} sites.")
        : string.Create(CultureInfo.InvariantCulture, $"Round {round} opened with {open.Cohort.Count} of {available} sites{(open.Wanted is { } wanted ? $"; it closes with {wanted} updates" : "")}.");

    /// <summary>Which sites, for a sentence about those that are missing; empty: any.</summary>
    public static string Kind(RunPlan plan) => plan.Labels is not { } labels ? "" : $" with {string.Join(", ", labels.OrderBy(label => label.Key, StringComparer.Ordinal).Select(label => $"{label.Key}: {label.Value}"))}";
}
