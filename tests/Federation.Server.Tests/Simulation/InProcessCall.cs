using System.Net;
using System.Security.Cryptography.X509Certificates;
using Federation.Server.Identity;
using Grpc.Core;
using Microsoft.AspNetCore.Http;

namespace Federation.Server.Tests.Simulation;

/// <summary>A call as it arrives at the coordinator, without a network before it.</summary>
internal sealed class InProcessCall : ServerCallContext
{
    private readonly Dictionary<object, object> _state = [];

    public InProcessCall(string method, X509Certificate2? certificate, bool isOperators, CancellationToken cancellationToken = default)
    {
        var http = new DefaultHttpContext();
        http.Features.Set(new Listener(isOperators));
        http.Connection.ClientCertificate = certificate;
        http.Connection.RemoteIpAddress = IPAddress.Loopback;
        _state["__HttpContext"] = http;
        (MethodCore, CancellationTokenCore) = (method, cancellationToken);
    }

    protected override string MethodCore { get; }

    protected override string HostCore => "coordinator";

    protected override string PeerCore => "in-process";

    protected override DateTime DeadlineCore => DateTime.MaxValue;

    protected override Metadata RequestHeadersCore { get; } = [];

    protected override CancellationToken CancellationTokenCore { get; }

    protected override Metadata ResponseTrailersCore { get; } = [];

    protected override Status StatusCore { get; set; }

    protected override WriteOptions? WriteOptionsCore { get; set; }

    protected override AuthContext AuthContextCore => throw new NotSupportedException();

    protected override IDictionary<object, object> UserStateCore => _state;

    protected override ContextPropagationToken CreatePropagationTokenCore(ContextPropagationOptions? options) => throw new NotSupportedException();

    protected override Task WriteResponseHeadersAsyncCore(Metadata responseHeaders) => Task.CompletedTask;
}

/// <summary>A stream of messages that may break, with its call.</summary>
/// <param name="breaks">Cancelled after the last message; null: the stream ends in order.</param>
internal sealed class InProcessStream<T>(IReadOnlyList<T> messages, CancellationTokenSource? breaks) : IAsyncStreamReader<T>
{
    private int _next = -1;

    public T Current => messages[_next];

    public Task<bool> MoveNext(CancellationToken cancellationToken)
    {
        cancellationToken.ThrowIfCancellationRequested();
        if (++_next < messages.Count) return Task.FromResult(true);
        if (breaks is null) return Task.FromResult(false);
        breaks.Cancel();
        return Task.FromException<bool>(new IOException("The connection was reset."));
    }
}
