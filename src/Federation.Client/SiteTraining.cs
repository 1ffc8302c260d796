using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Learning.Strategies;
using Federation.V1;
using Microsoft.Extensions.Logging;

namespace Federation.Client;

/// <summary>Trains as a run's spec says and makes of it what is sent; what stays at this site, a personal part of the model or a control variate, is kept before that.</summary>
internal sealed class SiteTraining(NodeFolder folder, ILocalLearner learner, OwnMeasurement measurement, ILogger logger)
{
    private readonly PersonalPart _personal = new(folder, learner, logger);
    private readonly OwnControls _controls = new(folder);

    /// <summary>The model with which this site would predict after a round.</summary>
    public ModelState Own(LearningTask task, ModelState model, int round) => _personal.In(task, ModelControls.Weights(task.Spec, model), round);

    /// <summary>The models that a round starts from, on this site's own test rows.</summary>
    public void Measure(LearningTask task, int round, string modelSha256, ModelState model, CancellationToken cancellationToken)
    {
        measurement.Of(task, round, modelSha256, ModelControls.Weights(task.Spec, model), cancellationToken);
        if (task.Spec.Personal is { Tensors.Count: > 0 } && Own(task, model, round) is var own && !ReferenceEquals(own, model)) measurement.Of(task, round, own.Sha256, own, cancellationToken, LocalMetrics.Personal);
    }

    /// <summary>One round of training, as it is to be sent.</summary>
    /// <param name="model">As the coordinator sends it.</param>
    /// <param name="counted">Hash of this site's newest update that is in the model; empty: none is. Read where the strategy needs it.</param>
    /// <exception cref="LearningException">Training failed, or the learner does not say what the strategy needs.</exception>
    public TrainingResult UpdateOf(LearningTask task, int round, ModelState model, string counted, CancellationToken cancellationToken)
    {
        task = task with { Spec = task.Spec.At(round) };
        if (IsScaffold(task)) return Corrected(task, round, model, counted, cancellationToken);
        ModelState start = _personal.In(task, model, round - 1);
        TrainingResult trained = TrainOrNothing(task, round, start, cancellationToken);
        TrainingResult update = SiteUpdate.Of(task, trained, UpdateShape.Of(task.Spec, model.Header));
        _personal.Keep(task, round, start, trained);
        return update;
    }

    /// <summary>Keeps what an update will make of this site's control variate if it counts; before the update is stored.</summary>
    /// <param name="update">Its hash.</param>
    /// <param name="content">As the coordinator's sum will hold it.</param>
    public void Keep(LearningTask task, int round, string counted, string update, ModelState content)
    {
        if (IsScaffold(task)) _controls.Keep(task.RunId, round, counted, update, Scaffold.Moved(_controls.At(task.RunId, counted, ModelControls.Controls(content)), content));
    }

    /// <summary>A run that ended without being completed: what was kept from round to round goes, the personal part where there is no model to keep it in.</summary>
    public void Forget(RunEnded ended)
    {
        if (ended.State == "completed") return; // made and forgotten at its end
        if (ended.ModelSha256.Length == 0) _personal.Forget(ended.RunId);
        _controls.Forget(ended.RunId);
    }

    /// <summary>A run is over: its last global model is measured, and what is this site's own of it is made and kept.</summary>
    /// <param name="path">Of the last global model; afterwards it is the model alone.</param>
    /// <param name="trains">An evaluator has no model of its own.</param>
    public void End(LearningTask task, RunEnded ended, string path, bool trains, CancellationToken cancellationToken)
    {
        try
        {
            int last = (int)Math.Min(Math.Max(ended.Rounds, ended.LastRound), int.MaxValue); // those given up are counted, too
            ModelState model = ModelControls.Weights(task.Spec, ModelState.Read(path));
            if (IsScaffold(task)) model.Save(path);
            measurement.Of(task, last, ended.ModelSha256, model, cancellationToken);
            if (trains && ended.State == "completed") _personal.Finish(task with { Spec = task.Spec.At(last) }, last, model, (kind, own) => measurement.Of(task, last, own.Sha256, own, cancellationToken, kind), cancellationToken);
            else if (trains) _personal.Save(task, model);
            _controls.Forget(task.RunId);
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            logger.LogWarning("Run {Run}: this site's part of its end failed: {Message}", task.RunId, error.Message);
        }
    }

    public static bool IsScaffold(LearningTask task) => task.Spec.Strategy.Kind == StrategyKind.Scaffold;

    private TrainingResult Corrected(LearningTask task, int round, ModelState model, string counted, CancellationToken cancellationToken)
    {
        ModelState global = ModelControls.Controls(model), own = _controls.At(task.RunId, counted, global);
        return Scaffold.After(task.Spec, learner.Train(task with { Drift = Scaffold.Drift(global, own) }, round, ModelControls.Weights(model), cancellationToken), global);
    }

    /// <summary>Where the noise does not come from the training itself, what goes wrong with this site's records shows in no message: an update of zeros takes its place.</summary>
    private TrainingResult TrainOrNothing(LearningTask task, int round, ModelState start, CancellationToken cancellationToken)
    {
        try
        {
            TrainingResult result = learner.Train(task, round, start, cancellationToken);
            if (result.NonFinite > 0) logger.LogWarning("Round {Round}: {Count} times a record or person was left out, because its loss or gradient was not finite", round, result.NonFinite);
            return result;
        }
        catch (LearningException error) when (task.Spec.Privacy is { Noise: not NoiseSource.Own })
        {
            logger.LogError("Round {Round}: {Message} An update of zeros is sent, because a failure would say something of this site's records", round, error.Message);
            return TrainingResult.Nothing(start);
        }
    }
}
