using Federation.Formats.Evaluation;
using Federation.Formats.Models;
using Federation.Learning;
using Federation.V1;
using Microsoft.Extensions.Logging;
using EvaluationSums = Federation.Formats.Evaluation.EvaluationSums;

namespace Federation.Client;

/// <summary>Global models on this site's own test rows. The figures stay in this site's folder, and so does whatever goes wrong with them: whether a round's update comes may not depend on these rows.</summary>
internal sealed class OwnMeasurement(NodeFolder folder, ILocalLearner learner, ILogger logger)
{
    /// <param name="round">That made the model; 0: the initial one.</param>
    public void Of(LearningTask task, int round, string modelSha256, ModelState model, CancellationToken cancellationToken) =>
        Measure(task, round, modelSha256, () => model, cancellationToken);

    /// <param name="path">Of the last global model.</param>
    public void OfFinal(LearningTask task, RunEnded ended, string path, CancellationToken cancellationToken) =>
        Measure(task, (int)Math.Min(ended.Rounds, int.MaxValue), ended.ModelSha256, () => ModelState.Read(path), cancellationToken);

    private void Measure(LearningTask task, int round, string modelSha256, Func<ModelState> model, CancellationToken cancellationToken)
    {
        try
        {
            string runFolder = folder.Run(task.RunId);
            if (LocalMetrics.Has(runFolder, round)) return;
            EvaluationSums sums = learner.Evaluate(task, model(), cancellationToken);
            if (sums.Examples > 0) LocalMetrics.Append(runFolder, round, modelSha256, sums.ToMetrics());
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            logger.LogWarning("The model of round {Round} was not measured on this site's test rows: {Message}", round, error.Message);
        }
    }
}
