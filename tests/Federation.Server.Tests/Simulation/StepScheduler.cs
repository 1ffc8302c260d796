namespace Federation.Server.Tests.Simulation;

/// <summary>Keeps work until the simulation lets it go on, so that it alone decides what happens before what. What a killed process had begun is forgotten.</summary>
internal sealed class StepScheduler : TaskScheduler
{
    private readonly List<Task> _waiting = [];

    public int Count => _waiting.Count;

    /// <summary>Does one of the things that wait.</summary>
    public void Do(int index)
    {
        Task task = _waiting[index];
        _waiting.RemoveAt(index);
        TryExecuteTask(task);
    }

    protected override void QueueTask(Task task) => _waiting.Add(task);

    protected override bool TryExecuteTaskInline(Task task, bool taskWasPreviouslyQueued) => false;

    protected override IEnumerable<Task> GetScheduledTasks() => _waiting;
}
