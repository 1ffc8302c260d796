using Federation.Formats.Configuration;
using Federation.Formats.Yaml;

namespace Federation.Formats.Runs;

/// <summary>Reads <c>cohort</c>: which sites a run asks, how many of them in a round, and how long it waits.</summary>
internal static class CohortReader
{
    public static CohortSpec Read(FieldReader fields)
    {
        if (fields.Map("cohort", required: true) is not { } cohort) return new CohortSpec(null, 1, TimeSpan.FromMinutes(1));
        IReadOnlyList<string>? sites = cohort.Value("sites") switch
        {
            null or YamlScalar { Text: "all" } => null,
            YamlList => cohort.Texts("sites"),
            _ => [""],
        };
        if (sites is not null && (sites.Count == 0 || !sites.All(Names.IsSiteName))) cohort.Add("sites", "must be 'all' or a list of site names, each of " + Names.Rule + ".");
        if (sites is not null && sites.Distinct().Count() != sites.Count) cohort.Add("sites", "names a site twice.");
        int least = (int)cohort.Integer("minContributors", 1, 100_000);
        if (sites is not null && least > sites.Count) cohort.Add("minContributors", $"{least} contributors cannot come from {sites.Count} sites.", "Lower it, or list more sites.");
        IReadOnlyDictionary<string, string> labels = SiteLabels.Read(cohort, "labels");
        if (sites is not null && cohort.Has("labels")) cohort.Add("labels", "choose among all sites; the sites of this run are named.", "Remove it, or write sites: all.");
        DrawSpec? draw = ReadDraw(cohort, least, sites?.Count);
        if (draw is not null && fields.Has("statistics")) cohort.Add(draw.Count is null ? "fraction" : "count", "has no meaning: statistics are asked of all sites at once.", "Remove it.");
        var spec = new CohortSpec(sites, least, cohort.Duration("deadline", TimeSpan.FromSeconds(1), TimeSpan.FromDays(7))) { Labels = labels.Count == 0 ? null : labels, Draw = draw };
        cohort.Close();
        return spec;
    }

    private static DrawSpec? ReadDraw(FieldReader cohort, int least, int? sites)
    {
        int? count = cohort.Has("count") ? (int)cohort.Integer("count", 1, 100_000) : null;
        double? fraction = cohort.Has("fraction") ? cohort.Number("fraction", value => value is >= 1e-6 and <= 1, "in [0.000001, 1]") : null;
        double more = cohort.Number("overSelect", value => value is >= 1 and <= 10, "in [1, 10]", 1);
        if (count is not null && fraction is not null) cohort.Add("fraction", "and count both say how many sites a round asks.", "Remove one.");
        if (count < least) cohort.Add("count", $"{count} sites cannot give the {least} updates that a round needs.", "Raise it, or lower minContributors.");
        if (count > sites) cohort.Add("count", $"{count} sites cannot be drawn from {sites}.", "Lower it, or list more sites.");
        if (count is null && fraction is null)
        {
            if (cohort.Has("overSelect")) cohort.Add("overSelect", "asks more sites than are wanted; all are asked.", "Write count or fraction, or remove it.");
            return null;
        }

        return new DrawSpec(count, count is null ? fraction : null, more);
    }
}
