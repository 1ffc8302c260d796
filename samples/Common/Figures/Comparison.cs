using Federation.Samples.Processes;

namespace Federation.Samples.Figures;

/// <param name="Federated">By site.</param>
/// <param name="Local">Each site's own model on its own test rows.</param>
/// <param name="Pooled">One model of everybody's training rows in one place, by site.</param>
/// <param name="Majority">Share of the commoner class in all test rows: what always naming it gives.</param>
/// <param name="Accuracy">By round, over all test rows; round 0 is the initial model.</param>
public sealed record Comparison(
    IReadOnlyList<Figure> Federated, IReadOnlyList<Figure> Local, IReadOnlyList<Figure> Pooled, Figure FederatedAll, Figure LocalAll, Figure PooledAll, IReadOnlyList<int> TestRows, double Majority, IReadOnlyList<(int Round, double Accuracy)> Accuracy)
{
    /// <param name="isUnbalanced">With balanced accuracy.</param>
    public static Comparison Of(IReadOnlyList<SiteResult> results, IReadOnlyList<IReadOnlyList<(double Score, int Label)>> pooled, bool isUnbalanced)
    {
        TestRow[] all = [.. results.SelectMany(result => result.Rows)];
        var byRound = results.SelectMany(result => result.History).GroupBy(line => line.Round).OrderBy(group => group.Key)
            .Select(group => (group.Key, group.Sum(line => line.Accuracy * line.Examples) / group.Sum(line => (double)line.Examples)));
        return new Comparison(
            [.. results.Select(result => FigureOf(result.Rows.Select(row => (row.Federated, row.Label))))],
            [.. results.Select(result => FigureOf(result.Rows.Select(row => (row.Local, row.Label))))],
            [.. pooled.Select(FigureOf)],
            FigureOf(all.Select(row => (row.Federated, row.Label))),
            FigureOf(all.Select(row => (row.Local, row.Label))) with { Auc = null }, // scores of different models have no common order
            FigureOf(pooled.SelectMany(rows => rows)),
            [.. results.Select(result => result.Rows.Count)],
            all.GroupBy(row => row.Label).Max(group => group.Count()) / (double)all.Length,
            [.. byRound]);

        Figure FigureOf(IEnumerable<(double Score, int Label)> rows) => Figure.Of(rows, isUnbalanced);
    }
}
