using Grpc.Core;
using Grpc.Net.Client;

namespace Federation.Protocol.Identity;

/// <summary>
/// A site's connection to the coordinator whose certificate can be exchanged while it is used: new calls go over a new connection, which shows the new certificate, and calls under way go on over the one they began on.
/// </summary>
public sealed class CoordinatorLink : CallInvoker, IDisposable
{
    /// <summary>So long an answer is waited for, and the next piece of a download. A poll is answered after 20 s; one that is later was lost on the way, though the connection may stand, and what is asked again changes nothing.</summary>
    public static readonly TimeSpan Patience = TimeSpan.FromMinutes(2);

    private readonly TimeSpan _patience;
    private readonly Uri _address;
    private readonly TimeProvider _time;
    private readonly Lock _lock = new();
    private volatile Connection _now;
    private Connection? _former;

    private sealed record Connection(Credential Credential, GrpcChannel Channel, CallInvoker Invoker);

    /// <param name="credential">Owned by the caller; one that takes its place is the link's.</param>
    /// <param name="time">Decides whether the coordinator's certificate is in date; null: this machine's clock.</param>
    /// <param name="patience">For an answer; null: <see cref="Patience"/>.</param>
    public CoordinatorLink(Uri address, Credential credential, TimeProvider? time = null, TimeSpan? patience = null)
    {
        (_address, _time, _patience) = (address, time ?? TimeProvider.System, patience ?? Patience);
        _now = Dial(credential);
    }

    /// <summary>What new connections show.</summary>
    public Credential Credential => _now.Credential;

    /// <summary>Shows another certificate from now on. The connection before the last is closed: its calls have had the lifetime of a certificate to end.</summary>
    public void Use(Credential renewed)
    {
        lock (_lock)
        {
            Connection? over = _former;
            (_former, _now) = (_now, Dial(renewed));
            over?.Channel.Dispose();
        }
    }

    public override TResponse BlockingUnaryCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) => _now.Invoker.BlockingUnaryCall(method, host, options, request);

    public override AsyncUnaryCall<TResponse> AsyncUnaryCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) =>
        _now.Invoker.AsyncUnaryCall(method, host, options.Deadline is null ? options.WithDeadline(DateTime.UtcNow + _patience) : options, request);

    public override AsyncServerStreamingCall<TResponse> AsyncServerStreamingCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options, TRequest request) => _now.Invoker.AsyncServerStreamingCall(method, host, options, request);

    public override AsyncClientStreamingCall<TRequest, TResponse> AsyncClientStreamingCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options) => _now.Invoker.AsyncClientStreamingCall(method, host, options);

    public override AsyncDuplexStreamingCall<TRequest, TResponse> AsyncDuplexStreamingCall<TRequest, TResponse>(Method<TRequest, TResponse> method, string? host, CallOptions options) => _now.Invoker.AsyncDuplexStreamingCall(method, host, options);

    public void Dispose()
    {
        lock (_lock)
        {
            _former?.Channel.Dispose();
            _now.Channel.Dispose();
        }
    }

    private Connection Dial(Credential credential)
    {
        GrpcChannel channel = CoordinatorChannel.Open(_address, credential, _time);
        return new Connection(credential, channel, channel.CreateCallInvoker());
    }
}
