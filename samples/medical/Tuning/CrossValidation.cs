using System.Globalization;
using System.Text;
using Federation.Formats.Configuration;
using Federation.Formats.Data;
using Federation.Formats.Evaluation;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Learning.Models;
using Federation.Privacy.Canonical;
using Federation.Samples.Data;
using Federation.Samples.Training;
using Federation.Samples.Tuning;
using TorchSharp;

namespace Federation.Samples.Medical.Tuning;

/// <param name="Accuracy">Mean over folds and repetitions, of all held-out training rows of the four hospitals.</param>
internal sealed record Score(Candidate Candidate, double Accuracy, double LogLoss);

/// <summary>
/// Chooses hyper-parameters by cross-validation over training rows: the test rows' lines are marked unused, so they are not even parsed.
/// Each fold runs the whole federation. The rule, fixed before any test row was read: the highest accuracy over all held-out training rows of all repetitions, the benchmark's own metric; of equals the first in the grid.
/// </summary>
internal static class CrossValidation
{
    private const int Folds = 5, Repetitions = 5;

    public static IReadOnlyList<Candidate> Grid { get; } =
    [
        .. from decay in new[] { 0.1, 0.03, 0.01, 0.003, 0.001, 0 } from rate in new[] { 0.03, 0.1, 0.3 } select new Candidate(rate, decay, Hidden: []),
        .. from decay in new[] { 0.03, 0.01, 0.003, 0.001 } select new Candidate(0.1, decay, Hidden: [16]),
    ];

    public static IReadOnlyList<Score> Run(Experiment experiment, IReadOnlyList<SiteTable> tables, string folder, Action<Score> report, CancellationToken cancellationToken)
    {
        DataSchema schema = experiment.Schema;
        List<Score> scores = [];
        foreach (Candidate candidate in Grid)
        {
            EvaluationSums total = new() { Examples = 0, Correct = 0, LogLossSum = 0, BrierSum = 0 };
            for (int repetition = 0; repetition < Repetitions; repetition++)
            {
                RunSpec spec = candidate.Apply(experiment.WithoutPrivacy with { Seed = (ulong)(1000 + repetition) }); // not one of the seeds that are reported
                for (int fold = 0; fold < Folds; fold++)
                {
                    total = total.Add(RunFold(spec, schema, [.. tables.Select(table => (table.Site.Name, WriteFold(table, schema, folder, repetition, fold)))], cancellationToken));
                }
            }

            Metrics metrics = total.ToMetrics();
            scores.Add(new Score(candidate, metrics.Accuracy, metrics.LogLoss!.Value));
            report(scores[^1]);
        }

        return scores;
    }

    public static Score Choose(IReadOnlyList<Score> scores) => scores.MaxBy(score => score.Accuracy)!;

    /// <summary>As the table shows it.</summary>
    public static string ModelOf(Candidate candidate) => candidate.Hidden is [] or null ? "logistic" : $"mlp {string.Join(' ', candidate.Hidden)}";

    public static string ToCsv(IReadOnlyList<Score> scores)
    {
        var text = new StringBuilder("model,learning_rate,weight_decay,cv_accuracy,cv_log_loss\n");
        foreach (Score score in scores) text.Append(CultureInfo.InvariantCulture, $"{ModelOf(score.Candidate)},{score.Candidate.LearningRate},{score.Candidate.WeightDecay},{score.Accuracy:0.0000},{score.LogLoss:0.0000}\n");
        return text.ToString();
    }

    private static EvaluationSums RunFold(RunSpec spec, DataSchema schema, (string Site, DataSource Source)[] sites, CancellationToken cancellationToken)
    {
        var task = new LearningTask("tune", "", spec, schema);
        (string, ILocalLearner)[] learners = [.. sites.Select(site => (site.Site, (ILocalLearner)new TabularLearner([site.Source], torch.CPU)))];
        try
        {
            ModelState model = InProcessFederation.Train(task, learners, TabularModel.Initial(spec, schema), cancellationToken);
            return learners.Select(learner => learner.Item2.Evaluate(task, model, cancellationToken)).Aggregate((a, b) => a.Add(b));
        }
        finally
        {
            foreach ((string _, ILocalLearner learner) in learners) learner.Dispose();
        }
    }

    /// <summary>A split file in which this fold's share of the training rows is held out and every test row unused.</summary>
    private static DataSource WriteFold(SiteTable table, DataSchema schema, string folder, int repetition, int fold)
    {
        var lines = new StringBuilder("line,set\n");
        foreach (string row in table.Split!.Split('\n', StringSplitOptions.RemoveEmptyEntries).Skip(1))
        {
            string[] fields = row.Split(',');
            string set = fields[1] != "train" ? "unused" : DerivedSeed.For((ulong)repetition, "fold", ulong.Parse(fields[0], CultureInfo.InvariantCulture), table.Site.Name) % Folds == (ulong)fold ? "test" : "train";
            lines.Append(CultureInfo.InvariantCulture, $"{fields[0]},{set}\n");
        }

        return (table with { Split = lines.ToString() }).WriteTo(Directory.CreateDirectory(Path.Combine(folder, table.Site.Name)).FullName, schema.Name);
    }
}
