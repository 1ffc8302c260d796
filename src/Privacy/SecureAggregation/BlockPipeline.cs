namespace Federation.Privacy.SecureAggregation;

/// <summary>
/// Long vectors block by block: chunks of blocks are worked out on several threads and handed on in order, the next ones while one is being written or sent.
/// Memory is bounded whatever the number of blocks: at most 32 MB of buffers.
/// </summary>
public static class BlockPipeline
{
    private const int MostBufferBytes = 32 << 20, MostBlocks = 64, MostThreads = 1024;

    /// <summary>Works out blocks [first, first + count) into the buffer.</summary>
    public delegate void Produce<in TWorker>(TWorker worker, int first, int count, Span<byte> buffer);

    /// <param name="blocks">Their number.</param>
    /// <param name="blockBytes">Of one block's result.</param>
    /// <param name="threads">How many work at once; not counted: waiting for <paramref name="consume"/>.</param>
    /// <param name="createWorker">One for each thread; disposed at the end.</param>
    /// <exception cref="ArgumentOutOfRangeException">Threads, or the bytes of a block, are out of range.</exception>
    /// <param name="consume">Gets the results in order, one chunk at a time; the memory is its own until it returns.</param>
    public static async Task RunAsync<TWorker>(
        int blocks, int blockBytes, int threads, Func<TWorker> createWorker, Produce<TWorker> produce, Func<int, ReadOnlyMemory<byte>, CancellationToken, ValueTask> consume, CancellationToken cancellationToken = default)
        where TWorker : IDisposable
    {
        ArgumentOutOfRangeException.ThrowIfNegative(blocks);
        if (threads is < 1 or > MostThreads) throw new ArgumentOutOfRangeException(nameof(threads), threads, $"1 to {MostThreads} threads can work at once.");
        if (blockBytes < 1 || blockBytes > MostBufferBytes / (threads + 1)) throw new ArgumentOutOfRangeException(nameof(blockBytes), blockBytes, $"With {threads} threads a block has 1 to {MostBufferBytes / (threads + 1)} bytes.");
        int chunk = Math.Min(MostBufferBytes / (threads + 1) / blockBytes, MostBlocks);
        Stack<TWorker> workers = [];
        using SemaphoreSlim free = new(threads);
        using CancellationTokenSource failed = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken);
        Queue<(int First, byte[] Buffer, Task<int> Length)> running = [];
        Stack<byte[]> buffers = [];
        int next = 0;
        try
        {
            for (int i = 0; i < threads; i++) workers.Push(createWorker());
            while (next < blocks || running.Count > 0)
            {
                while (next < blocks && running.Count <= threads)
                {
                    int first = next, count = Math.Min(chunk, blocks - next);
                    byte[] buffer = buffers.TryPop(out byte[]? used) ? used : GC.AllocateUninitializedArray<byte>(chunk * blockBytes);
                    running.Enqueue((first, buffer, Task.Run(() => Work(first, count, buffer), CancellationToken.None)));
                    next += count;
                }

                (int at, byte[] done, Task<int> length) = running.Peek();
                int bytes = await length.ConfigureAwait(false);
                running.Dequeue();
                await consume(at, done.AsMemory(0, bytes), cancellationToken).ConfigureAwait(false);
                buffers.Push(done);
            }
        }
        finally
        {
            await failed.CancelAsync().ConfigureAwait(false);
            foreach ((_, _, Task<int> task) in running) await ((Task)task).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            foreach (TWorker worker in workers) worker.Dispose();
        }

        async Task<int> Work(int first, int count, byte[] buffer)
        {
            await free.WaitAsync(failed.Token).ConfigureAwait(false);
            TWorker worker;
            lock (workers) worker = workers.Pop();
            try
            {
                produce(worker, first, count, buffer.AsSpan(0, count * blockBytes));
            }
            finally
            {
                lock (workers) workers.Push(worker);
                free.Release();
            }

            return count * blockBytes;
        }
    }
}
