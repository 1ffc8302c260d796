using Federation.Formats.Data;

namespace Federation.Learning.Data;

/// <summary>A site's own description of its file beside a run's: what would silently spoil a model if nobody looked.</summary>
public static class SchemaComparison
{
    /// <summary>One sentence for each mismatch; empty: the site's data means what the run expects.</summary>
    public static IReadOnlyList<string> Mismatches(DataSchema site, DataSchema run)
    {
        List<string> mismatches = [];
        if (!run.Header && (site.Header || site.Columns.Count != run.Columns.Count)) mismatches.Add($"The run expects {run.Columns.Count} columns without a heading line; this site's file is described otherwise.");
        if (run.Header && !site.Header) mismatches.Add("The run expects a heading line; this site's file has none, and its first record is no heading.");
        if (site.Separator != run.Separator) mismatches.Add($"Fields are separated by '{site.Separator}' here; the run expects '{run.Separator}'.");
        if (site.Version != run.Version && site.Version is not null) mismatches.Add($"This site's data has the version '{site.Version}'; the run expects {(run.Version is null ? "none" : $"'{run.Version}'")}.");
        foreach (Column wanted in run.Columns.Where(column => column.Kind != ColumnKind.Ignore))
        {
            if (site.Find(wanted.Name) is not { } own) mismatches.Add($"{wanted.Name}: this site has no such column.");
            else mismatches.AddRange(Compare(own, wanted).Select(sentence => $"{wanted.Name}: {sentence}"));
        }

        return mismatches;
    }

    private static IEnumerable<string> Compare(Column own, Column wanted)
    {
        if (own.Kind != wanted.Kind)
        {
            yield return $"this site holds a {Word(own.Kind)}, the run expects a {Word(wanted.Kind)}.";
            yield break;
        }

        if (own.Unit is not null && wanted.Unit is not null && own.Unit != wanted.Unit) yield return $"this site measures {own.Unit}, the run {wanted.Unit}.";
        if (own.Range is { } mine && wanted.Range is { } theirs && (mine.Low < theirs.Low || mine.High > theirs.High))
        {
            yield return FormattableString.Invariant($"this site's range [{mine.Low}, {mine.High}] goes beyond the run's [{theirs.Low}, {theirs.High}].");
        }

        foreach (string value in own.Categories.SelectMany(values => values).Where(value => wanted.CategoryOf(value) is null && !FeatureEncoder.IsMissing(wanted, value)))
        {
            yield return $"this site's category '{value}' is unknown to the run.";
        }

        foreach (string marker in own.Missing.Where(marker => !FeatureEncoder.IsMissing(wanted, marker)))
        {
            yield return $"this site marks missing values '{marker}', the run does not.";
        }
    }

    private static string Word(ColumnKind kind) => kind == ColumnKind.Ignore ? "column that is ignored" : kind.ToString().ToLowerInvariant();
}
