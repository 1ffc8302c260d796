using Microsoft.Extensions.Logging;

namespace Federation.Cli.Terminal;

/// <summary>Logs as one line each on stderr: the federation's own from Information on, libraries' from Warning on.</summary>
internal sealed class ConsoleLoggerProvider(TextWriter error, TimeProvider time) : ILoggerProvider
{
    private readonly Lock _gate = new();

    public static ILoggerFactory CreateFactory() => LoggerFactory.Create(logging =>
    {
        logging.SetMinimumLevel(LogLevel.Information);
        logging.AddFilter("Microsoft", LogLevel.Warning).AddFilter("System", LogLevel.Warning).AddFilter("Grpc", LogLevel.Warning);
        logging.AddProvider(new ConsoleLoggerProvider(Console.Error, TimeProvider.System));
    });

    public ILogger CreateLogger(string categoryName) => new Logger(this);

    public void Dispose()
    {
    }

    private void Write(LogLevel level, string message, Exception? exception)
    {
        string mark = level switch
        {
            LogLevel.Warning => "warning: ",
            LogLevel.Error or LogLevel.Critical => "error: ",
            _ => "",
        };
        string cause = exception is null ? "" : $" ({exception.GetType().Name}: {exception.Message})";
        if (exception is not null && Environment.GetEnvironmentVariable("FED_DEBUG") == "1") cause = Environment.NewLine + exception;
        string line = $"{time.GetLocalNow():yyyy-MM-dd HH:mm:ss} {mark}{Output.OneLine(message)}";
        lock (_gate) error.WriteLine(line + (cause.StartsWith(' ') ? Output.OneLine(cause).Insert(0, " ") : cause));
    }

    private sealed class Logger(ConsoleLoggerProvider provider) : ILogger
    {
        public IDisposable? BeginScope<TState>(TState state)
            where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => logLevel != LogLevel.None;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            provider.Write(logLevel, formatter(state, exception), exception);
    }
}
