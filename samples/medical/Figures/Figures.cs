using Federation.Formats.Configuration;
using Federation.Formats.Data;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Learning.Data;
using Federation.Learning.Evaluation;
using Federation.Learning.Models;
using Federation.Samples.Medical.Data;
using Federation.Samples.Medical.Processes;
using Federation.Samples.Medical.Training;
using TorchSharp;

namespace Federation.Samples.Medical.Figures;

/// <param name="Auc">Null where a class is missing.</param>
internal sealed record Figure(double Accuracy, double? Auc)
{
    /// <summary>Accuracy at 0.5, and the exact AUC.</summary>
    public static Figure Of(IEnumerable<(double Score, int Label)> rows)
    {
        (double Score, int Label)[] all = [.. rows];
        double[] scores = [.. all.Select(row => row.Score)];
        int[] labels = [.. all.Select(row => row.Label)];
        return new Figure(all.Count(row => (row.Score >= 0.5) == (row.Label == 1)) / (double)all.Length, RankAuc.Of(scores, labels));
    }
}

/// <param name="Federated">By hospital.</param>
/// <param name="Local">Each hospital's own model on its own test rows.</param>
/// <param name="Pooled">One model of everybody's training rows in one place, by hospital.</param>
/// <param name="Accuracy">By round, over all test rows; round 0 is the initial model.</param>
internal sealed record Comparison(
    IReadOnlyList<Figure> Federated, IReadOnlyList<Figure> Local, IReadOnlyList<Figure> Pooled, Figure FederatedAll, Figure LocalAll, Figure PooledAll, IReadOnlyList<int> TestRows, IReadOnlyList<(int Round, double Accuracy)> Accuracy)
{
    public static Comparison Of(IReadOnlyList<HospitalResult> results, IReadOnlyList<IReadOnlyList<(double Score, int Label)>> pooled)
    {
        TestRow[] all = [.. results.SelectMany(result => result.Rows)];
        var byRound = results.SelectMany(result => result.History).GroupBy(line => line.Round).OrderBy(group => group.Key)
            .Select(group => (group.Key, group.Sum(line => line.Accuracy * line.Examples) / group.Sum(line => (double)line.Examples)));
        return new Comparison(
            [.. results.Select(result => Figure.Of(result.Rows.Select(row => (row.Federated, row.Label))))],
            [.. results.Select(result => Figure.Of(result.Rows.Select(row => (row.Local, row.Label))))],
            [.. pooled.Select(Figure.Of)],
            Figure.Of(all.Select(row => (row.Federated, row.Label))),
            Figure.Of(all.Select(row => (row.Local, row.Label))) with { Auc = null }, // scores of four different models have no common order
            Figure.Of(pooled.SelectMany(rows => rows)),
            [.. results.Select(result => result.Rows.Count)],
            [.. byRound]);
    }
}

/// <summary>The model that could be had if all records lay in one place: the spec without differential privacy, all training rows as one site.</summary>
internal static class PooledModel
{
    public static IReadOnlyList<IReadOnlyList<(double Score, int Label)>> Scores(Experiment experiment, ulong seed, string root, CancellationToken cancellationToken)
    {
        RunSpec spec = experiment.WithoutPrivacy.Spec(seed);
        DataSchema schema = experiment.Schema;
        TabularDataSet[] sets = [.. Hospital.All.Select(hospital => TabularDataSet.Load(SourceOf(root, hospital), schema, spec.Data!, spec.Task!))];
        using var learner = new TabularLearner(TabularDataSet.Concat(sets), torch.CPU);
        ModelState model = InProcessFederation.Train(new LearningTask("pooled", "pooled", spec, schema), [("pooled", learner)], TabularModel.Initial(spec, schema), cancellationToken);
        return [.. sets.Select(set => (IReadOnlyList<(double, int)>)[.. Prediction.Probabilities(model, spec, schema, set.Test).Select((row, i) => (row[1], set.Test.Labels[i]))])];
    }

    private static DataSource SourceOf(string root, Hospital hospital) =>
        new("heart-disease", Path.Combine(root, hospital.Name, "data.csv"), Split: Path.Combine(root, hospital.Name, "split.csv"));
}
