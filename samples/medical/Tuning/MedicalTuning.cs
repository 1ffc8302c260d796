using System.Globalization;
using System.Text;
using Federation.Formats;
using Federation.Learning;
using Federation.Samples.Data;
using Federation.Samples.Medical.Data;
using Federation.Samples.Tuning;

namespace Federation.Samples.Medical.Tuning;

/// <summary>The verb <c>tune</c>: by cross-validation over training rows, or for private runs on made-up patients.</summary>
internal static class MedicalTuning
{
    // The rule for private runs: the highest accuracy over the made-up test rows; of equals the first in the grid.
    private static readonly IReadOnlyList<Candidate> s_privateGrid =
        [.. from rounds in new[] { 10, 20, 50 } from clip in new[] { 0.5, 1, 2 } from rate in new[] { 0.3, 1, 3 } from decay in new[] { 0.01, 0.1 } select new Candidate(rate, decay, rounds, Clip: clip)];

    public static async Task RunAsync(Arguments arguments, CancellationToken cancellationToken)
    {
        var screen = new Screen(json: false);
        TorchDevice.SetThreads(1);
        Experiment experiment = arguments.Experiment.With(arguments.Options.Privacy, arguments.Options.Seed);
        using var root = new PrivateRoot(MedicalSample.Name);
        (string csv, string chosen) = experiment.Spec.Privacy is null
            ? await CrossValidateAsync(arguments, experiment, screen, root.Path, cancellationToken)
            : OnMadeUpPatients(arguments, experiment, screen, root.Path, cancellationToken);
        string path = Path.Combine(OutputFolder.Create(arguments.Options.Out), $"tuning-{experiment.Spec.Name}.csv");
        await File.WriteAllTextAsync(path, csv, cancellationToken);
        screen.Say($"Chosen: {chosen}. The table is in {path}.");
    }

    private static async Task<(string Csv, string Chosen)> CrossValidateAsync(Arguments arguments, Experiment experiment, Screen screen, string root, CancellationToken cancellationToken)
    {
        HeartData data = await HeartData.ObtainAsync(screen.Say, cancellationToken);
        if (data.IsSynthetic) throw new InvalidInputException(new Problem("Hyper-parameters are not chosen on made-up patients.", Repair: "Set FED_DATA, or connect to download the UCI files."));
        screen.Say($"{CrossValidation.Grid.Count} candidates for {experiment.Spec.Name}, each by 5-fold cross-validation over training rows, five times:");
        IReadOnlyList<Score> scores = CrossValidation.Run(
            experiment, arguments.Experiment.Tables(data), root, score => screen.Say(string.Create(CultureInfo.InvariantCulture, $"  {CrossValidation.ModelOf(score.Candidate),-8}  rate {score.Candidate.LearningRate,-5}  decay {score.Candidate.WeightDecay,-6}  accuracy {score.Accuracy:0.0000}  log-loss {score.LogLoss:0.0000}")), cancellationToken);
        Candidate best = CrossValidation.Choose(scores).Candidate;
        return (CrossValidation.ToCsv(scores), string.Create(CultureInfo.InvariantCulture, $"{CrossValidation.ModelOf(best)}, learning rate {best.LearningRate}, weight decay {best.WeightDecay}"));
    }

    private static (string Csv, string Chosen) OnMadeUpPatients(Arguments arguments, Experiment experiment, Screen screen, string root, CancellationToken cancellationToken)
    {
        screen.Say($"{s_privateGrid.Count} candidates for {experiment.Spec.Name}, each on made-up patients ten times, so that the choice says nothing of real ones:");
        IReadOnlyList<MadeUpScore> scores = MadeUpTuner.Run(
            experiment, arguments.Experiment.Tables(HeartData.MadeUp), root, s_privateGrid, 10, one => screen.Say(string.Create(CultureInfo.InvariantCulture, $"  rounds {one.Candidate.Rounds,-3}  clip {one.Candidate.Clip,-4}  rate {one.Candidate.LearningRate,-4}  decay {one.Candidate.WeightDecay,-5}  accuracy {one.Accuracy:0.0000}")), cancellationToken);
        var csv = new StringBuilder("rounds,clip,learning_rate,weight_decay,made_up_accuracy\n");
        foreach (MadeUpScore one in scores) csv.Append(CultureInfo.InvariantCulture, $"{one.Candidate.Rounds},{one.Candidate.Clip},{one.Candidate.LearningRate},{one.Candidate.WeightDecay},{one.Accuracy:0.0000}\n");
        Candidate best = scores.MaxBy(score => score.Accuracy)!.Candidate;
        return (csv.ToString(), string.Create(CultureInfo.InvariantCulture, $"{best.Rounds} rounds, clip {best.Clip}, learning rate {best.LearningRate}, weight decay {best.WeightDecay}"));
    }
}
