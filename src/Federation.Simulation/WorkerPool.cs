using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;
using TorchSharp;

namespace Federation.Simulation;

/// <summary>So many workers, each with a thread and a model of its own. What is done does not depend on how many there are, nor on which of them does it.</summary>
internal sealed class WorkerPool : IDisposable
{
    private readonly ClientWorker[] _workers;
    private readonly Thread[] _threads;
    private readonly BlockingCollection<Job>[] _jobs;

    public WorkerPool(SimulationInput input, int workers)
    {
        _workers = [.. Enumerable.Range(0, workers).Select(_ => new ClientWorker(input))];
        _jobs = [.. _workers.Select(_ => new BlockingCollection<Job>())];
        _threads = [.. _workers.Select((worker, index) => new Thread(() => Work(worker, _jobs[index])) { IsBackground = true, Name = $"simulation worker {index}" })];
        foreach (Thread thread in _threads) thread.Start();
    }

    public int Count => _workers.Length;

    /// <summary>Does each piece of work once, and comes back when all are done.</summary>
    /// <exception cref="OperationCanceledException">Cancelled; pieces may be left.</exception>
    public void Each(int pieces, Action<ClientWorker, int> work, CancellationToken cancellationToken)
    {
        using var job = new Job(pieces, work, _jobs.Length, cancellationToken);
        foreach (BlockingCollection<Job> jobs in _jobs) jobs.Add(job, CancellationToken.None);
        job.Done.Wait(CancellationToken.None); // also of a cancelled one: its pieces use what the caller disposes
        job.Failure?.Throw();
        cancellationToken.ThrowIfCancellationRequested();
    }

    public void Dispose()
    {
        foreach (BlockingCollection<Job> jobs in _jobs) jobs.CompleteAdding();
        foreach (Thread thread in _threads) thread.Join();
        foreach (BlockingCollection<Job> jobs in _jobs) jobs.Dispose();
        foreach (ClientWorker worker in _workers) worker.Dispose();
    }

    private static void Work(ClientWorker worker, BlockingCollection<Job> jobs)
    {
        // Sums inside one operation depend on its threads; clients side by side need no more than one each.
        torch.set_num_threads(1);
        foreach (Job job in jobs.GetConsumingEnumerable()) job.Do(worker);
    }

    private sealed class Job(int pieces, Action<ClientWorker, int> work, int workers, CancellationToken cancellationToken) : IDisposable
    {
        private int _next;

        public CountdownEvent Done { get; } = new(workers);

        public ExceptionDispatchInfo? Failure { get; private set; }

        public void Do(ClientWorker worker)
        {
            try
            {
                for (int piece; Failure is null && !cancellationToken.IsCancellationRequested && (piece = Interlocked.Increment(ref _next) - 1) < pieces;) work(worker, piece);
            }
#pragma warning disable CA1031 // thrown again on the caller's thread
            catch (Exception error)
#pragma warning restore CA1031
            {
                Failure ??= ExceptionDispatchInfo.Capture(error);
            }
            finally
            {
                Done.Signal();
            }
        }

        public void Dispose() => Done.Dispose();
    }
}
