using System.Security.Cryptography.X509Certificates;
using Federation.Protocol;
using Grpc.Core;

namespace Federation.Client;

/// <summary>Which errors pass by themselves and which need somebody.</summary>
internal static class ConnectionErrors
{
    /// <summary>Trying again cannot help.</summary>
    public static bool IsFinal(RpcException error) =>
        RpcError.IsForeignCoordinator(error) || error.StatusCode is StatusCode.Unauthenticated or StatusCode.PermissionDenied or StatusCode.Unimplemented || RpcError.Is(error, Refusal.ProtocolVersion);

    /// <summary>As <see cref="IsFinal(RpcException)"/>. A certificate that is in date here, and not by the coordinator's clock, is a matter of clocks: it passes when they are set.</summary>
    public static bool IsFinal(RpcException error, X509Certificate2 own, DateTimeOffset now) =>
        IsFinal(error) && !(RpcError.Is(error, Refusal.ExpiredCertificate) && now >= own.NotBefore && now <= own.NotAfter);

    /// <summary>The coordinator will not have this update, whatever the connection does; it goes on with this site.</summary>
    public static bool IsRefusal(RpcException error) => !IsFinal(error) && RpcError.ReasonOf(error) is { } reason
        && reason is not (Refusal.NotJoined or Refusal.WrongHash or Refusal.WrongOffset or Refusal.StorageFull or Refusal.StorageUnavailable or Refusal.UnknownBlob);
}

/// <summary>Growing pauses between attempts to reach the coordinator.</summary>
internal sealed class Backoff
{
    private static readonly TimeSpan First = TimeSpan.FromMilliseconds(200), Longest = TimeSpan.FromSeconds(5);
    private TimeSpan _next = First;

    /// <summary>No pause was taken since the last success.</summary>
    public bool IsFirst => _next == First;

    public void Reset() => _next = First;

    /// <summary>Doubles up to 5 s; each pause is shortened at random by up to half, so that sites do not come back all at once.</summary>
    public TimeSpan Next()
    {
        TimeSpan pause = _next * (0.5 + (Random.Shared.NextDouble() / 2));
        _next = _next * 2 < Longest ? _next * 2 : Longest;
        return pause;
    }
}
