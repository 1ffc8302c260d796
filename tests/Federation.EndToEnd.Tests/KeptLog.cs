using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace Federation.EndToEnd.Tests;

/// <summary>A node's log, kept in memory.</summary>
internal sealed class KeptLog : ILoggerFactory, ILogger
{
    private TaskCompletionSource _more = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public ConcurrentQueue<string> Lines { get; } = new();

    /// <summary>Waits until a line holds this text.</summary>
    public async Task SaysAsync(string text)
    {
        while (true)
        {
            Task more = Volatile.Read(ref _more).Task; // taken before the look, so that no line is missed
            if (Lines.Any(line => line.Contains(text, StringComparison.Ordinal))) return;
            await more.WaitAsync(TestFederation.Stuck, TestContext.Current.CancellationToken);
        }
    }

    public ILogger CreateLogger(string categoryName) => this;

    public void AddProvider(ILoggerProvider provider)
    {
    }

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => true;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) 
    {
        Lines.Enqueue($"{formatter(state, exception)} {exception}");
        Interlocked.Exchange(ref _more, new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously)).SetResult();
    }

    public void Dispose()
    {
    }
}
