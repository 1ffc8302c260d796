using System.Globalization;
using Federation.Formats.Evaluation;
using Federation.Formats.Models;
using Federation.Learning;
using Microsoft.Extensions.Logging;

namespace Federation.Client;

/// <summary>Models on this site's own test rows. The figures stay in this site's folder, and so does whatever goes wrong with them: whether a round's update comes may not depend on these rows.</summary>
internal sealed class OwnMeasurement(NodeFolder folder, ILocalLearner learner, ILogger logger)
{
    /// <param name="round">That made the model; 0: the initial one.</param>
    /// <param name="kind">Of this site's own model; null: the global one.</param>
    public void Of(LearningTask task, int round, string modelSha256, ModelState model, CancellationToken cancellationToken, string? kind = null)
    {
        try
        {
            string runFolder = folder.Run(task.RunId);
            if (LocalMetrics.Has(runFolder, round, kind)) return;
            EvaluationSums sums = learner.Evaluate(task with { Spec = task.Spec.At(round) }, model, cancellationToken);
            if (sums.Examples == 0) return;
            Metrics metrics = sums.ToMetrics();
            LocalMetrics.Append(runFolder, round, modelSha256, metrics, kind);
            if (kind is null) return;
            double? global = LocalMetrics.Read(runFolder).LastOrDefault(line => line.Round == round && line.Kind is null)?.Accuracy;
            logger.LogInformation("{Message}", string.Create(CultureInfo.InvariantCulture, $"Round {round}: on this site's test rows the {kind} model's accuracy is {metrics.Accuracy:0.0000}, the global one's {global:0.0000}"));
        }
        catch (Exception error) when (error is not OperationCanceledException)
        {
            logger.LogWarning("The model of round {Round} was not measured on this site's test rows: {Message}", round, error.Message);
        }
    }
}
