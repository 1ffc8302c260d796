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
using Federation.Samples.Medical.Data;
using Federation.Samples.Medical.Training;
using TorchSharp;

namespace Federation.Samples.Medical.Tuning;

/// <param name="Model">As the table shows it.</param>
internal sealed record Candidate(string Model, IReadOnlyList<int> Hidden, double LearningRate, double WeightDecay)
{
    public RunSpec Apply(RunSpec spec) => spec with
    {
        Model = Hidden.Count == 0 ? new ModelSpec(ModelKind.Logistic, []) : new ModelSpec(ModelKind.Mlp, Hidden),
        Local = spec.Local with { Optimizer = new OptimizerSpec(OptimizerKind.Sgd, LearningRate, 0, WeightDecay) },
    };
}

/// <param name="Accuracy">Mean over folds and repetitions, of all held-out training rows of the four hospitals.</param>
internal sealed record Score(Candidate Candidate, double Accuracy, double LogLoss);

/// <summary>
/// Chooses hyper-parameters by cross-validation over training rows: the test rows' lines are marked unused, so they are not even parsed.
/// Each fold runs the whole federation. The rule, fixed before any test row was read: the highest accuracy over all held-out training rows of all repetitions, the benchmark's own metric; of equals the first in the grid.
/// </summary>
internal static class Tuner
{
    private const int Folds = 5, Repetitions = 5;

    public static IReadOnlyList<Candidate> Grid { get; } =
    [
        .. from decay in new[] { 0.1, 0.03, 0.01, 0.003, 0.001, 0 } from rate in new[] { 0.03, 0.1, 0.3 } select new Candidate("logistic", [], rate, decay),
        .. from decay in new[] { 0.03, 0.01, 0.003, 0.001 } select new Candidate("mlp 16", [16], 0.1, decay),
    ];

    public static IReadOnlyList<Score> Run(Experiment experiment, HeartData data, string folder, Action<Score> report, CancellationToken cancellationToken)
    {
        DataSchema schema = experiment.Schema;
        List<Score> scores = [];
        foreach (Candidate candidate in Grid)
        {
            EvaluationSums total = new() { Examples = 0, Correct = 0, LogLossSum = 0, BrierSum = 0 };
            for (int repetition = 0; repetition < Repetitions; repetition++)
            {
                RunSpec spec = candidate.Apply(experiment.Spec((ulong)(1000 + repetition))); // not one of the seeds that are reported
                for (int fold = 0; fold < Folds; fold++)
                {
                    total = total.Add(RunFold(spec, schema, [.. Hospital.All.Select(hospital => (hospital.Name, WriteFold(experiment, data, hospital, folder, repetition, fold)))], cancellationToken));
                }
            }

            Metrics metrics = total.ToMetrics();
            scores.Add(new Score(candidate, metrics.Accuracy, metrics.LogLoss!.Value));
            report(scores[^1]);
        }

        return scores;
    }

    public static Score Choose(IReadOnlyList<Score> scores) => scores.MaxBy(score => score.Accuracy)!;

    public static string ToCsv(IReadOnlyList<Score> scores)
    {
        var text = new StringBuilder("model,learning_rate,weight_decay,cv_accuracy,cv_log_loss\n");
        foreach (Score score in scores) text.Append(CultureInfo.InvariantCulture, $"{score.Candidate.Model},{score.Candidate.LearningRate},{score.Candidate.WeightDecay},{score.Accuracy:0.0000},{score.LogLoss:0.0000}\n");
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
    private static DataSource WriteFold(Experiment experiment, HeartData data, Hospital hospital, string folder, int repetition, int fold)
    {
        DataSource source = experiment.Prepare(data, hospital, folder);
        var lines = new StringBuilder("line,set\n");
        foreach (string row in File.ReadAllLines(source.Split!).Skip(1))
        {
            string[] fields = row.Split(',');
            string set = fields[1] != "train" ? "unused" : DerivedSeed.For((ulong)repetition, "fold", ulong.Parse(fields[0], CultureInfo.InvariantCulture), hospital.Name) % Folds == (ulong)fold ? "test" : "train";
            lines.Append(CultureInfo.InvariantCulture, $"{fields[0]},{set}\n");
        }

        string path = Path.Combine(folder, $"{hospital.Name}.csv"), split = Path.Combine(folder, $"{hospital.Name}.split.csv");
        File.Copy(source.Path, path, overwrite: true);
        File.WriteAllText(split, lines.ToString());
        return new DataSource("heart-disease", path, Split: split);
    }
}
