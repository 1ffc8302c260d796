using System.Globalization;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning;
using Microsoft.Extensions.Logging;

namespace Federation.Client;

/// <summary>What of a run's model is this site's own (<see cref="PersonalSpec"/>), kept in the run's folder round by round and sent nowhere.</summary>
internal sealed class PersonalPart(NodeFolder folder, ILocalLearner learner, ILogger logger)
{
    private const string Extension = ".personal.safetensors";

    /// <summary>The model of a run that is over, with what is this site's own in it.</summary>
    public const string FinalFile = "personal.safetensors";

    /// <summary>A global model with this site's own tensors in place of the global ones.</summary>
    /// <param name="round">As this site had them after training in this round, or the last one before; none yet: as the model has them.</param>
    /// <exception cref="Formats.InvalidInputException">What was kept cannot be read.</exception>
    public ModelState In(LearningTask task, ModelState model, int round)
    {
        if (task.Spec.Personal is not { Tensors.Count: > 0 } || Rounds(task.RunId).Where(kept => kept <= round).DefaultIfEmpty(0).Max() is not (> 0 and var last)) return model;
        Dictionary<string, NamedTensor> own = ModelState.Read(PathOf(task.RunId, last)).Tensors.ToDictionary(tensor => tensor.Name);
        return new ModelState(model.Tensors.Select(tensor => own.GetValueOrDefault(tensor.Name) is { } kept && kept.Values.Length == tensor.Values.Length ? tensor with { Values = kept.Values } : tensor));
    }

    /// <summary>Keeps what training made of this site's own tensors, durably.</summary>
    /// <param name="start">That it began with, this site's own tensors included.</param>
    public void Keep(LearningTask task, int round, ModelState start, TrainingResult trained)
    {
        if (task.Spec.Personal is not { Tensors.Count: > 0 } personal) return;
        new ModelState(Trained(start, trained).Tensors.Where(tensor => personal.Keeps(tensor.Name))).Save(PathOf(task.RunId, round));
        // This round may be trained again, from what was kept before it. Later ones are of a coordinator that was put back since.
        int before = Rounds(task.RunId).Where(kept => kept < round).DefaultIfEmpty(0).Max();
        Drop(task.RunId, kept => kept < before || kept > round);
    }

    /// <summary>A run is over: nothing goes on from what was kept round by round.</summary>
    public void Forget(string runId) => Drop(runId, _ => true);

    /// <summary>Of a run that is completed, with the settings of its last round: the model with this site's own tensors, trained on for as many epochs as the spec says, is kept in the run's folder.</summary>
    /// <param name="measure">Told each model under its name: personal, fine-tuned.</param>
    public void Finish(LearningTask task, int rounds, ModelState model, Action<string, ModelState> measure, CancellationToken cancellationToken)
    {
        if (task.Spec.Personal is not { } personal) return;
        string path = Path.Combine(folder.Run(task.RunId), FinalFile);
        if (!File.Exists(path)) Make(task, personal, rounds, model, path, measure, cancellationToken);
        Forget(task.RunId);
    }

    /// <summary>Of a run that was given up: the last model with this site's own tensors as they are is kept in the run's folder.</summary>
    public void Save(LearningTask task, ModelState model)
    {
        string path = Path.Combine(folder.Run(task.RunId), FinalFile);
        if (Rounds(task.RunId).Any() && !File.Exists(path)) In(task, model, int.MaxValue).Save(path);
        Forget(task.RunId);
    }

    private void Make(LearningTask task, PersonalSpec personal, int rounds, ModelState model, string path, Action<string, ModelState> measure, CancellationToken cancellationToken)
    {
        ModelState own = In(task, model, int.MaxValue);
        if (personal.Tensors.Count > 0) measure(LocalMetrics.Personal, own);
        if (personal.FineTuneEpochs > 0)
        {
            // Without differential privacy: nothing that depends on the outcome leaves this site.
            LearningTask tuning = task with { StaysHere = true, Spec = task.Spec with { Local = task.Spec.Local with { Epochs = personal.FineTuneEpochs, Proximal = 0 }, Strategy = StrategySpec.FedAvg, Personal = null } };
            try
            {
                TrainingResult tuned = learner.Train(tuning, rounds + 1, own, cancellationToken);
                if (tuned.Weight > 0) own = Trained(own, tuned); // else this site has no rows to train on
                measure(LocalMetrics.FineTuned, own);
            }
            catch (LearningException error)
            {
                logger.LogWarning("Run {Run}: fine-tuning failed, and the model is kept without it: {Message}", task.RunId, error.Message);
            }
        }

        own.Save(path);
        logger.LogInformation("{Message}", string.Create(CultureInfo.InvariantCulture, $"Run {task.RunId}: this site's own model is in {path}, and is sent nowhere"));
    }

    private static ModelState Trained(ModelState start, TrainingResult trained) => start.Combine(trained.WeightedDelta, (before, moved) => before + (moved / trained.Weight));

    private void Drop(string runId, Func<int, bool> which)
    {
        foreach (int kept in Rounds(runId).Where(which).ToArray()) File.Delete(PathOf(runId, kept));
    }

    private string PathOf(string runId, int round) => Path.Combine(folder.Run(runId), round.ToString(CultureInfo.InvariantCulture) + Extension);

    private IEnumerable<int> Rounds(string runId) => Directory.EnumerateFiles(folder.Run(runId), "*" + Extension)
        .Select(path => int.TryParse(Path.GetFileName(path)[..^Extension.Length], NumberStyles.None, CultureInfo.InvariantCulture, out int round) ? round : 0).Where(round => round > 0);
}
