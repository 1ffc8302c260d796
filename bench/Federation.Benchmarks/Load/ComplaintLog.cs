using Microsoft.Extensions.Logging;

namespace Federation.Benchmarks.Load;

/// <summary>Counts what a program complains of, and writes each complaint as a line.</summary>
internal sealed class ComplaintLog(TextWriter writer) : ILoggerFactory, ILogger
{
    private readonly TextWriter _writer = TextWriter.Synchronized(writer);
    private int _count;

    /// <summary>Warnings and errors so far.</summary>
    public int Count => Volatile.Read(ref _count);

    public ILogger CreateLogger(string categoryName) => this;

    public IDisposable? BeginScope<TState>(TState state)
        where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Warning;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (!IsEnabled(logLevel)) return;
        string line = $"{formatter(state, exception)} {exception?.Message}".ReplaceLineEndings(" ");
        if (line.Contains("adds no noise", StringComparison.Ordinal)) return; // so it should
        Interlocked.Increment(ref _count);
        _writer.WriteLine($"{DateTime.UtcNow:HH:mm:ss.fff} {line}");
    }

    public void AddProvider(ILoggerProvider provider)
    {
    }

    public void Dispose()
    {
    }
}
