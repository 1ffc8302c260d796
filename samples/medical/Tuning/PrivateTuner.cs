using System.Globalization;
using System.Text;
using Federation.Formats.Configuration;
using Federation.Formats.Data;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Learning.Models;
using Federation.Samples.Medical.Data;
using Federation.Samples.Medical.Training;
using TorchSharp;

namespace Federation.Samples.Medical.Tuning;

internal sealed record PrivateCandidate(int Rounds, double Clip, double LearningRate, double WeightDecay)
{
    public RunSpec Apply(RunSpec spec) => spec with
    {
        Rounds = Rounds,
        Local = spec.Local with { Optimizer = new OptimizerSpec(OptimizerKind.Sgd, LearningRate, 0, WeightDecay) },
        Privacy = spec.Privacy! with { Clip = Clip },
    };
}

/// <summary>
/// Chooses the hyper-parameters of differentially private runs on made-up patients: a choice made on real ones would be one more release of them. So it costs no privacy; what it may cost is accuracy, if real patients are unlike.
/// The rule: the highest accuracy over the made-up test rows, mean of all repetitions; of equals the first in the grid. The noise is simulated and repeatable, and protects nobody.
/// </summary>
internal static class PrivateTuner
{
    private const int Repetitions = 10;

    public static IReadOnlyList<PrivateCandidate> Grid { get; } =
        [.. from rounds in new[] { 10, 20, 50 } from clip in new[] { 0.5, 1, 2 } from rate in new[] { 0.3, 1, 3 } from decay in new[] { 0.01, 0.1 } select new PrivateCandidate(rounds, clip, rate, decay)];

    public static IReadOnlyList<(PrivateCandidate Candidate, double Accuracy)> Run(Experiment experiment, string root, Action<PrivateCandidate, double> report, CancellationToken cancellationToken)
    {
        DataSchema schema = experiment.Schema;
        var madeUp = new HeartData(SyntheticPatients.Create(), IsSynthetic: true);
        (string Site, TabularLearner Learner)[] sites = [.. Hospital.All.Select(hospital => (hospital.Name, new TabularLearner([experiment.Prepare(madeUp, hospital, Directory.CreateDirectory(Path.Combine(root, hospital.Name)).FullName)], torch.CPU)))];
        List<(PrivateCandidate, double)> scores = [];
        foreach (PrivateCandidate candidate in Grid)
        {
            double accuracy = Enumerable.Range(0, Repetitions).Average(repetition =>
            {
                RunSpec spec = candidate.Apply(experiment.Spec((ulong)(1000 + repetition)));
                var task = new LearningTask($"{candidate} {repetition}", "", spec, schema);
                ModelState model = Train(task, sites, TabularModel.Initial(spec, schema), new Random(repetition), cancellationToken);
                return sites.Select(site => site.Learner.Evaluate(task, model, cancellationToken)).Aggregate((one, other) => one.Add(other)).ToMetrics().Accuracy;
            });
            scores.Add((candidate, accuracy));
            report(candidate, accuracy);
        }

        foreach ((string _, TabularLearner learner) in sites) learner.Dispose();
        return scores;
    }

    public static string ToCsv(IReadOnlyList<(PrivateCandidate Candidate, double Accuracy)> scores)
    {
        var text = new StringBuilder("rounds,clip,learning_rate,weight_decay,made_up_accuracy\n");
        foreach ((PrivateCandidate candidate, double accuracy) in scores) text.Append(CultureInfo.InvariantCulture, $"{candidate.Rounds},{candidate.Clip},{candidate.LearningRate},{candidate.WeightDecay},{accuracy:0.0000}\n");
        return text.ToString();
    }

    private static ModelState Train(LearningTask task, (string Site, TabularLearner Learner)[] sites, ModelState model, Random random, CancellationToken cancellationToken)
    {
        RunSpec spec = task.Spec;
        PrivacySpec privacy = spec.Privacy!;
        // Of the mean over the sites, in the model's own unit; noise of a site's own is added by its learner.
        double unit = spec.Local.Optimizer.LearningRate * privacy.Clip / spec.Local.BatchSize;
        double deviation = privacy.Noise == NoiseSource.Shared ? spec.Sigma * unit * Math.Sqrt(sites.Length / (double)(spec.Cohort.MinContributors - privacy.MaxColluding)) / sites.Length : 0;
        for (int round = 1; round <= spec.Rounds; round++)
        {
            TrainingResult[] results = [.. sites.Select(site => site.Learner.Train(task with { Site = site.Site }, round, model, cancellationToken))];
            ModelState next = InProcessFederation.Next(model, results, cancellationToken);
            model = new ModelState(next.Tensors.Select(tensor => tensor with { Values = [.. tensor.Values.Select(value => (float)(value + (deviation * Normal(random))))] }));
        }

        return model;
    }

    private static double Normal(Random random) => Math.Sqrt(-2 * Math.Log(1 - random.NextDouble())) * Math.Cos(2 * Math.PI * random.NextDouble());
}
