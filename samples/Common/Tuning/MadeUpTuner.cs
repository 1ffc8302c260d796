using Federation.Formats.Data;
using Federation.Formats.Evaluation;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Learning.Models;
using Federation.Samples.Data;
using Federation.Samples.Training;
using TorchSharp;

namespace Federation.Samples.Tuning;

/// <summary>Over all made-up test rows, mean of all repetitions.</summary>
public sealed record MadeUpScore(Candidate Candidate, double Accuracy, double Auc, double LogLoss);

/// <summary>
/// Chooses hyper-parameters on made-up people: a choice made on real ones would be one more release of them. So it costs no privacy; what it may cost is accuracy, if real people are unlike.
/// The noise is simulated and repeatable, and protects nobody.
/// </summary>
public static class MadeUpTuner
{
    /// <param name="root">A folder for the sites' files.</param>
    /// <param name="repetitions">Each with another seed, none of them below 1000.</param>
    public static IReadOnlyList<MadeUpScore> Run(
        Experiment experiment, IReadOnlyList<SiteTable> madeUp, string root, IReadOnlyList<Candidate> grid, int repetitions, Action<MadeUpScore> report, CancellationToken cancellationToken)
    {
        DataSchema schema = experiment.Schema;
        (string Site, TabularLearner Learner)[] sites = [.. madeUp.Select(table => (table.Site.Name, new TabularLearner([table.WriteTo(Directory.CreateDirectory(Path.Combine(root, table.Site.Name)).FullName, schema.Name)], torch.CPU)))];
        List<MadeUpScore> scores = [];
        foreach (Candidate candidate in grid)
        {
            Metrics[] metrics = [.. Enumerable.Range(0, repetitions).Select(repetition =>
            {
                RunSpec spec = candidate.Apply(experiment.Spec with { Seed = (ulong)(1000 + repetition) });
                var task = new LearningTask($"{candidate} {repetition}", "", spec, schema);
                ModelState model = Train(task, sites, TabularModel.Initial(spec, schema), new Random(repetition), cancellationToken);
                return sites.Select(site => site.Learner.Evaluate(task, model, cancellationToken)).Aggregate((one, other) => one.Add(other)).ToMetrics();
            })];
            scores.Add(new MadeUpScore(candidate, metrics.Average(one => one.Accuracy), metrics.Average(one => one.Auc ?? 0.5), metrics.Average(one => one.LogLoss!.Value)));
            report(scores[^1]);
        }

        foreach ((string _, TabularLearner learner) in sites) learner.Dispose();
        return scores;
    }

    private static ModelState Train(LearningTask task, (string Site, TabularLearner Learner)[] sites, ModelState model, Random random, CancellationToken cancellationToken)
    {
        RunSpec spec = task.Spec;
        double deviation = DeviationOfMean(spec, sites.Length);
        for (int round = 1; round <= spec.Rounds; round++)
        {
            TrainingResult[] results = [.. sites.Select(site => site.Learner.Train(task with { Site = site.Site }, round, model, cancellationToken))];
            ModelState next = InProcessFederation.Next(model, results, cancellationToken);
            model = new ModelState(next.Tensors.Select(tensor => tensor with { Values = [.. tensor.Values.Select(value => (float)(value + (deviation * Normal(random))))] }));
        }

        return model;
    }

    /// <summary>Of shared noise in the mean over the sites, in the model's own unit; noise of a site's own is added by its learner.</summary>
    private static double DeviationOfMean(RunSpec spec, int sites)
    {
        if (spec.Privacy is not { Noise: NoiseSource.Shared } privacy) return 0;
        double unit = spec.Local.Optimizer.LearningRate * privacy.Clip / spec.Local.BatchSize;
        return spec.Sigma * unit * Math.Sqrt(sites / (double)privacy.NoisySites(spec.Cohort.MinContributors)) / sites;
    }

    private static double Normal(Random random) => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}
