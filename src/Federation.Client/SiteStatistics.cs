using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Formats.Data;
using Federation.Formats.Statistics;
using Federation.Learning;
using Federation.Learning.Data;
using Federation.Privacy.Mechanisms;

namespace Federation.Client;

/// <summary>This site's part in federated statistics, from the tables of <c>node.yaml</c>.</summary>
internal sealed class SiteStatistics(IReadOnlyList<DataSource> sources)
{
    /// <summary>Everything that keeps this site from taking part; empty: ready.</summary>
    /// <exception cref="InvalidInputException">Its table does not fit the schema.</exception>
    public IReadOnlyList<string> Check(LearningTask task)
    {
        DataSource source = SourceOf(task);
        List<string> mismatches = source.Schema is { } own ? [.. SchemaComparison.Mismatches(DataSchema.Load(own), task.Schema!)] : [];
        if (mismatches.Count == 0) TableStatistics.Of(source, task.Schema!, QueryOf(task), unfitIsMissing: task.Spec.Privacy is not null);
        return mismatches;
    }

    public static StatisticsQuery QueryOf(LearningTask task) => StatisticsQuery.Of(task.Spec, task.Schema!);

    /// <exception cref="InvalidInputException">The table has changed since it was checked.</exception>
    public ulong[] Sums(LearningTask task)
    {
        StatisticsQuery query = QueryOf(task);
        TableSums sums = TableStatistics.Of(SourceOf(task), task.Schema!, query, unfitIsMissing: task.Spec.Privacy is not null);
        if (task.Spec.Privacy is null) return sums.ToNumbers();
        using SecureRandom random = new();
        return sums.ToNumbers(query.NoiseOf(task.Spec), random);
    }

    private DataSource SourceOf(LearningTask task) => sources.FirstOrDefault(source => source.Id == task.Schema!.Name)
        ?? throw new InvalidInputException(new Problem($"This node has no data set '{task.Schema!.Name}'.", Repair: sources.Count == 0 ? "Its node.yaml names none." : $"Its node.yaml names {string.Join(", ", sources.Select(source => $"'{source.Id}'"))}."));
}
