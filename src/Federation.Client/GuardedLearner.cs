using Federation.Formats.Evaluation;
using Federation.Formats.Models;
using Federation.Learning;
using Microsoft.Extensions.Logging;

namespace Federation.Client;

/// <summary>A learner whose slips stay at this site: an exception of a program that reads records often quotes one. The log gets it whole, the task fails with its kind alone.</summary>
internal sealed class GuardedLearner(ILocalLearner inner, ILogger logger) : ILocalLearner
{
    public IReadOnlyList<string> Check(LearningTask task, ModelState initial) => Guarded(() => inner.Check(task, initial));

    public IReadOnlyList<string> NotesOn(LearningTask task) => inner.NotesOn(task);

    public TrainingResult Train(LearningTask task, int round, ModelState start, CancellationToken cancellationToken) => Guarded(() => inner.Train(task, round, start, cancellationToken));

    public EvaluationSums Evaluate(LearningTask task, ModelState model, CancellationToken cancellationToken) => Guarded(() => inner.Evaluate(task, model, cancellationToken));

    /// <summary>The inner one is its owner's to dispose.</summary>
    public void Dispose()
    {
    }

    private T Guarded<T>(Func<T> work)
    {
        try
        {
            return work();
        }
        catch (Exception error) when (OwnSlip.Is(error))
        {
            logger.LogError(error, "The learner failed: {Message}", error.Message);
            throw new LearningException($"This site's learner failed ({error.GetType().Name}); its log says more.");
        }
    }
}
