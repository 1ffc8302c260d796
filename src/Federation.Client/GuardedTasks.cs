using Federation.V1;
using Microsoft.Extensions.Logging;

namespace Federation.Client;

/// <summary>One task costs one task: its form is checked before it is done, and what it stumbles over ends neither the node nor its other runs. Whatever is refused here is kept in the audit log.</summary>
internal sealed class GuardedTasks(TaskWorker worker, NodeAudit audit, ILogger logger)
{
    /// <exception cref="InvalidDataException">A task or content that no honest coordinator sends; the node pauses before it asks again.</exception>
    public async Task DoAsync(NodeTask task, CancellationToken cancellationToken)
    {
        (string kind, string? run, int round) = SubjectOf(task);
        try
        {
            NodeFolder.RequireRun(run ?? throw new InvalidDataException($"The coordinator sent the task {task.TaskCase} without a run."));
            await worker.DoAsync(task, cancellationToken);
        }
        catch (InvalidDataException refused)
        {
            audit.Refused(kind, run ?? "", round, refused.Message);
            throw;
        }
        catch (Exception error) when (OwnSlip.Is(error))
        {
            logger.LogError(error, "Run {Run}: the task {Task} could not be done: {Message}", run, task.TaskCase, error.Message);
            string sentence = $"The task {task.TaskCase} could not be done; this site's log says why.";
            audit.Refused(kind, run!, round, sentence);
            await worker.GiveUpAsync(task, run!, round, sentence, cancellationToken);
        }
    }

    private static (string Kind, string? Run, int Round) SubjectOf(NodeTask task) => task.TaskCase switch
    {
        NodeTask.TaskOneofCase.CheckData => (NodeAudit.Run, task.CheckData.Run?.RunId, 0),
        NodeTask.TaskOneofCase.Train => (NodeAudit.Training, task.Train.RunId, Round(task.Train.Round)),
        NodeTask.TaskOneofCase.Evaluate => (NodeAudit.Evaluation, task.Evaluate.Run?.RunId, Round(task.Evaluate.Round)),
        NodeTask.TaskOneofCase.Epoch => (NodeAudit.KeyEpoch, task.Epoch.RunId, 0),
        NodeTask.TaskOneofCase.Open => (NodeAudit.Opening, task.Open.RunId, 0),
        _ => (NodeAudit.Run, task.RunEnded?.RunId, 0),
    };

    private static int Round(uint round) => (int)Math.Min(round, int.MaxValue);
}
