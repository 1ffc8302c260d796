using System.Collections.Concurrent;
using System.Diagnostics;

namespace Federation.Benchmarks.Load;

/// <summary>How long every call of this process took until its answer began, by the HTTP client's own diagnostics. Long polls are left out: they wait.</summary>
internal sealed class CallTimes : IObserver<DiagnosticListener>, IObserver<KeyValuePair<string, object?>>, IDisposable
{
    private const string Listener = "HttpHandlerDiagnosticListener", Started = "System.Net.Http.HttpRequestOut.Start", Ended = "System.Net.Http.HttpRequestOut.Stop";
    private static readonly HttpRequestOptionsKey<long> s_start = new("start");
    private readonly ConcurrentQueue<double> _milliseconds = new();
    private readonly IDisposable _all;
    private IDisposable? _one;

    public CallTimes() => _all = DiagnosticListener.AllListeners.Subscribe(this);

    /// <summary>Milliseconds, in no order.</summary>
    public IReadOnlyCollection<double> Milliseconds => _milliseconds;

    public void OnNext(DiagnosticListener value)
    {
        if (value.Name == Listener) _one = value.Subscribe(this, name => name.StartsWith("System.Net.Http.HttpRequestOut", StringComparison.Ordinal));
    }

    public void OnNext(KeyValuePair<string, object?> value)
    {
        if (value.Key is not (Started or Ended) || value.Value?.GetType().GetProperty("Request")?.GetValue(value.Value) is not HttpRequestMessage request) return;
        if (request.RequestUri?.AbsolutePath.EndsWith("/NextTask", StringComparison.Ordinal) != false) return;
        if (value.Key == Started) request.Options.Set(s_start, Stopwatch.GetTimestamp());
        else if (request.Options.TryGetValue(s_start, out long start)) _milliseconds.Enqueue(Stopwatch.GetElapsedTime(start).TotalMilliseconds);
    }

    public void OnCompleted()
    {
    }

    public void OnError(Exception error)
    {
    }

    public void Dispose()
    {
        _one?.Dispose();
        _all.Dispose();
    }
}
