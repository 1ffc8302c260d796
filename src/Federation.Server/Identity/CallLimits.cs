using System.Collections.Concurrent;
using System.Security.Cryptography.X509Certificates;
using Federation.Protocol.Identity;
using Grpc.Core;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Connections.Features;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;

namespace Federation.Server.Identity;

/// <summary>
/// What is looked at before any message is read, because a message is in memory before <see cref="CallerInterceptor"/> sees it: who has shown nothing that counts sends as much as an enrolment needs, over few connections, each with a window of a megabyte;
/// who has shown a certificate or token has so many calls and connections at once, and no more. Memory that hostile callers can hold is bounded by these.
/// </summary>
public sealed class CallLimits(SeenCertificates certificates, OperatorAccess operators)
{
    /// <summary>A token and a certificate's request have less than two thousand.</summary>
    internal const int StrangersBytes = 16 << 10;

    /// <summary>Connections of all strangers together; an enrolment's lasts a moment. Operators with a token are strangers to TLS.</summary>
    internal const int StrangersConnections = 128;

    /// <summary>At once, of one caller; each of at most a message (<see cref="Protocol.Limits.MessageBytes"/>). A node has three or four.</summary>
    internal const int Calls = 32, Connections = 32;

    private readonly ConcurrentDictionary<string, int> _calls = new(StringComparer.Ordinal), _connections = new(StringComparer.Ordinal);
    private int _strangers;

    /// <summary>A connection after its TLS handshake.</summary>
    public async Task ConnectAsync(ConnectionContext connection, ConnectionDelegate next)
    {
        string? key = KeyOf(connection.Features.Get<ITlsConnectionFeature>()?.ClientCertificate);
        if (key is null ? Interlocked.Increment(ref _strangers) > StrangersConnections : Enter(_connections, key) > Connections)
        {
            Leave();
            connection.Abort(new ConnectionAbortedException("There are too many connections of this caller, or of callers without a certificate."));
            return;
        }

        try
        {
            await next(connection);
        }
        finally
        {
            Leave();
        }

        void Leave()
        {
            if (key is null) Interlocked.Decrement(ref _strangers);
            else CallLimits.Leave(_connections, key);
        }
    }

    /// <summary>A call, of which only the headers have been read.</summary>
    public async Task CallAsync(HttpContext http, RequestDelegate next)
    {
        if ((KeyOf(http.Connection.ClientCertificate) ?? KeyOfToken(http)) is not { } key)
        {
            // A stream that a client sends is refused before any of it is read.
            if (http.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } body) body.MaxRequestBodySize = StrangersBytes;
            await next(http);
            return;
        }

        // Kestrel ends a connection whose body is slow, and cannot tell a slow caller from a coordinator that a thousand nodes call at once.
        if (http.Features.Get<IHttpMinRequestBodyDataRateFeature>() is { } rate) rate.MinDataRate = null;
        try
        {
            if (Enter(_calls, key) <= Calls) await next(http);
            else Refuse(http.Response);
        }
        finally
        {
            Leave(_calls, key);
        }
    }

    private static void Refuse(HttpResponse response)
    {
        response.ContentType = "application/grpc";
        response.Headers["grpc-status"] = ((int)StatusCode.ResourceExhausted).ToString(System.Globalization.CultureInfo.InvariantCulture);
        response.Headers["grpc-message"] = $"{Calls} calls of this caller are under way; no more are taken at once.";
    }

    private string? KeyOf(X509Certificate2? certificate) => certificate is not null && certificates.StatusOf(certificate) == CertificateStatus.Valid ? certificates.FactsOf(certificate).KeySha256 : null;

    private string? KeyOfToken(HttpContext http)
    {
        if (!http.Features.GetRequiredFeature<Listener>().IsOperators || http.Request.Headers.Authorization is not [{ } value]) return null;
        try
        {
            OperatorProof? shown = OperatorAccess.OfHeader(new Metadata { { "authorization", value } });
            return shown is null ? null : OperatorAccess.KeyOf(operators.Require(shown).Name);
        }
        catch (RpcException)
        {
            return null; // the call itself says what is wrong
        }
        catch (Storage.StoreUnavailableException)
        {
            return null;
        }
    }

    private static int Enter(ConcurrentDictionary<string, int> counts, string key) => counts.AddOrUpdate(key, 1, (_, count) => count + 1);

    private static void Leave(ConcurrentDictionary<string, int> counts, string key)
    {
        if (counts.AddOrUpdate(key, 0, (_, count) => count - 1) == 0) counts.TryRemove(KeyValuePair.Create(key, 0));
    }
}
