using Grpc.Core;

namespace Federation.Server.Identity;

/// <summary>Which calls of each site are under way, so that they can be ended when its key no longer counts.</summary>
public sealed class OpenCalls
{
    private readonly Dictionary<string, HashSet<OpenCall>> _calls = new(StringComparer.Ordinal);
    private readonly Lock _lock = new();

    /// <summary>Notes a call; dispose it when the call is over. Look only then whether the site may call: what is decided in between ends the call.</summary>
    /// <param name="cancellationToken">The call's own.</param>
    public OpenCall Begin(string site, CancellationToken cancellationToken)
    {
        var call = new OpenCall(Forget, cancellationToken);
        lock (_lock)
        {
            if (!_calls.TryGetValue(site, out HashSet<OpenCall>? calls)) _calls[site] = calls = [];
            calls.Add(call);
        }

        return call;

        void Forget(OpenCall over)
        {
            lock (_lock)
            {
                if (_calls.TryGetValue(site, out HashSet<OpenCall>? calls) && calls.Remove(over) && calls.Count == 0) _calls.Remove(site);
            }
        }
    }

    /// <summary>Ends every call of the site that is under way.</summary>
    public void End(string site, RpcException refusal)
    {
        OpenCall[] ended;
        lock (_lock) ended = [.. _calls.GetValueOrDefault(site) ?? []];
        foreach (OpenCall call in ended) call.Refuse(refusal);
    }

    internal int Count(string site)
    {
        lock (_lock) return _calls.GetValueOrDefault(site)?.Count ?? 0;
    }
}

/// <summary>One call that may be ended before it is done.</summary>
public sealed class OpenCall : IDisposable
{
    private readonly TaskCompletionSource<RpcException> _refused = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly CancellationTokenSource _ended;
    private readonly Action<OpenCall> _forget;
    private readonly Lock _lock = new();
    private bool _over;

    internal OpenCall(Action<OpenCall> forget, CancellationToken cancellationToken) => (_forget, _ended) = (forget, CancellationTokenSource.CreateLinkedTokenSource(cancellationToken));

    /// <summary>Completes when the call is ended, with what it is to be answered.</summary>
    public Task<RpcException> Refused => _refused.Task;

    /// <summary>The call's own token, also cancelled when it is ended.</summary>
    public CancellationToken Token => _ended.Token;

    internal void Refuse(RpcException refusal)
    {
        lock (_lock)
        {
            if (_over || !_refused.TrySetResult(refusal)) return;
            _ = _ended.CancelAsync(); // whoever listens runs elsewhere
        }
    }

    public void Dispose()
    {
        _forget(this);
        lock (_lock) _over = true;
        if (!_refused.Task.IsCompleted) _ended.Dispose(); // else its listeners may still be told
    }
}

/// <summary>A call's context whose token is also cancelled when the call is ended.</summary>
internal sealed class EndableContext(ServerCallContext inner, CancellationToken cancellationToken) : ServerCallContext
{
    protected override string MethodCore => inner.Method;

    protected override string HostCore => inner.Host;

    protected override string PeerCore => inner.Peer;

    protected override DateTime DeadlineCore => inner.Deadline;

    protected override Metadata RequestHeadersCore => inner.RequestHeaders;

    protected override CancellationToken CancellationTokenCore => cancellationToken;

    protected override Metadata ResponseTrailersCore => inner.ResponseTrailers;

    protected override Status StatusCore
    {
        get => inner.Status;
        set => inner.Status = value;
    }

    protected override WriteOptions? WriteOptionsCore
    {
        get => inner.WriteOptions;
        set => inner.WriteOptions = value;
    }

    protected override AuthContext AuthContextCore => inner.AuthContext;

    protected override IDictionary<object, object> UserStateCore => inner.UserState;

    protected override ContextPropagationToken CreatePropagationTokenCore(ContextPropagationOptions? options) => inner.CreatePropagationToken(options);

    protected override Task WriteResponseHeadersAsyncCore(Metadata responseHeaders) => inner.WriteResponseHeadersAsync(responseHeaders);
}
