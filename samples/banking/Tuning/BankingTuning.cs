using System.Globalization;
using System.Text;
using Federation.Learning;
using Federation.Samples.Banking.Data;
using Federation.Samples.Data;
using Federation.Samples.Tuning;

namespace Federation.Samples.Banking.Tuning;

/// <summary>The verb <c>tune</c>: both runs' hyper-parameters, on made-up customers. The rule: the least log-loss over the made-up test rows, mean of all repetitions; of equals the first in the grid.</summary>
internal static class BankingTuning
{
    // Noise makes one training unlike the next.
    private const int PrivateRepetitions = 4, OpenRepetitions = 2;

    // 50 rounds are what a newcomer's patience allows.
    private static readonly IReadOnlyList<Candidate>
        s_private = [.. from rounds in new[] { 15, 30, 50 } from clip in new[] { 1, 2, 4, 8 } from rate in new[] { 0.5, 1, 2 } select new Candidate(rate, 0, rounds, Clip: clip)],
        s_open = [.. from rounds in new[] { 10, 20 } from rate in new[] { 0.03, 0.1, 0.3 } from decay in new[] { 0, 1e-3 } select new Candidate(rate, decay, rounds)];

    public static async Task RunAsync(SampleOptions options, CancellationToken cancellationToken)
    {
        var screen = new Screen(json: false);
        TorchDevice.SetThreads(1);
        Experiment experiment = BankingSample.ExperimentOf(options);
        IReadOnlyList<Candidate> grid = options.Privacy.NoPrivacy ? s_open : s_private;
        int repetitions = options.Privacy.NoPrivacy ? OpenRepetitions : PrivateRepetitions;
        using var root = new PrivateRoot(BankingSample.Name);
        screen.Say($"{grid.Count} candidates for {experiment.Spec.Name}, each on made-up customers {repetitions} times, so that the choice says nothing of real ones:");
        IReadOnlyList<MadeUpScore> scores = MadeUpTuner.Run(experiment, Bank.Deal(SyntheticCustomers.Create()), root.Path, grid, repetitions, score => screen.Say($"  {Line(score)}"), cancellationToken);
        var csv = new StringBuilder("rounds,clip,learning_rate,weight_decay,made_up_log_loss,made_up_auc,made_up_accuracy\n");
        foreach (MadeUpScore score in scores) csv.Append(Line(score)).Append('\n');
        string path = Path.Combine(OutputFolder.Create(options.Out), $"tuning-{experiment.Spec.Name}.csv");
        await File.WriteAllTextAsync(path, csv.ToString(), cancellationToken);
        screen.Say($"Chosen: {Line(scores.MinBy(score => score.LogLoss)!)}. The table is in {path}.");
    }

    private static string Line(MadeUpScore score)
    {
        Candidate one = score.Candidate;
        return string.Create(CultureInfo.InvariantCulture, $"{one.Rounds},{one.Clip},{one.LearningRate},{one.WeightDecay},{score.LogLoss:0.0000},{score.Auc:0.0000},{score.Accuracy:0.0000}");
    }
}
