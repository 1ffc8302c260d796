using System.Runtime.ExceptionServices;

namespace Federation.Privacy.SecureAggregation;

/// <summary>
/// Values block by block, worked out on several threads and handed on in order: while one window of blocks is written, the next one is worked out. Returns when all is written.
/// Memory is bounded whatever the number of blocks: two windows of 8 MB at most.
/// </summary>
internal static class BlockWindows
{
    /// <summary>More threads than this are not used: what each needs would go beyond what a sum may take.</summary>
    public const int MostThreads = 64;

    /// <summary>Blocks that one thread works out at a time.</summary>
    public const int MostBlocks = 16;

    private const int MostWindowBytes = 8 << 20;

    /// <summary>Works out the values of blocks [first, first + count).</summary>
    public delegate void Work<in TWorker>(TWorker worker, int first, int count, Span<float> values);

    /// <param name="values">Of all blocks; each block has <paramref name="valuesPerBlock"/> of them, the last ones fewer or none.</param>
    /// <param name="createWorker">One for each thread at most; disposed at the end.</param>
    /// <param name="write">Gets the values in order, from one thread at a time, though not always the same.</param>
    public static void Run<TWorker>(long values, int valuesPerBlock, int threads, Func<TWorker> createWorker, Work<TWorker> work, Action<ReadOnlySpan<float>> write)
        where TWorker : IDisposable
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(threads);
        threads = Math.Min(threads, MostThreads);
        int blocks = (int)((values + valuesPerBlock - 1) / valuesPerBlock);
        int most = Math.Max(1, MostWindowBytes / sizeof(float) / valuesPerBlock);
        int piece = Math.Clamp(most / (2 * threads), 1, MostBlocks), window = Math.Min(2 * threads * piece, most);
        float[] next = new float[Math.Min(values, (long)window * valuesPerBlock)], done = blocks > window ? new float[next.Length] : [];
        int ready = 0; // values in done
        Stack<TWorker> free = [];
        try
        {
            for (int start = 0; start < blocks; start += window)
            {
                int count = Math.Min(window, blocks - start), pieces = (count + piece - 1) / piece;
                float[] into = next, full = done;
                int length = ready;
                // Piece −1 hands the window before on. Each keeps its own error, so that the one of the lowest block comes out, as with one thread.
                ExceptionDispatchInfo?[] errors = new ExceptionDispatchInfo?[pieces + 1];
                Parallel.For(-1, pieces, new ParallelOptions { MaxDegreeOfParallelism = threads }, i =>
                {
                    try
                    {
                        if (i >= 0) Piece(start + (i * piece), Math.Min(piece, count - (i * piece)), into, start);
                        else if (length > 0) write(full.AsSpan(0, length));
                    }
#pragma warning disable CA1031 // thrown again below
                    catch (Exception error)
#pragma warning restore CA1031
                    {
                        errors[i + 1] = ExceptionDispatchInfo.Capture(error);
                    }
                });
                foreach (ExceptionDispatchInfo? error in errors) error?.Throw();
                (next, done, ready) = (full, into, ValuesOf(start, count));
            }

            if (ready > 0) write(done.AsSpan(0, ready));
        }
        finally
        {
            foreach (TWorker worker in free) worker.Dispose();
        }

        int ValuesOf(int first, int count) => (int)Math.Clamp(values - ((long)first * valuesPerBlock), 0, (long)count * valuesPerBlock);

        void Piece(int first, int count, float[] into, int start)
        {
            TWorker? worker;
            lock (free) free.TryPop(out worker);
            worker ??= createWorker();
            try
            {
                work(worker, first, count, into.AsSpan((first - start) * valuesPerBlock, ValuesOf(first, count)));
            }
            finally
            {
                lock (free) free.Push(worker);
            }
        }
    }
}
