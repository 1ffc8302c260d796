using System.Buffers.Binary;
using System.Globalization;
using System.Net;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Federation.Protocol.Identity;
using Grpc.Core;

namespace Federation.Server.Tests;

/// <summary>Sends a coordinator whatever bytes a test likes, over TLS and HTTP/2 as a gRPC client would.</summary>
internal sealed class RawClient : IDisposable
{
    private readonly HttpClient _http;

    public RawClient(Uri address, Credential? credential)
    {
#pragma warning disable CA5359 // whose coordinator it is, the test knows
        var handler = new SocketsHttpHandler { SslOptions = new SslClientAuthenticationOptions { RemoteCertificateValidationCallback = (_, _, _, _) => true } };
#pragma warning restore CA5359
        if (credential is not null) handler.SslOptions.ClientCertificateContext = SslStreamCertificateContext.Create(credential.Certificate, [credential.CaCertificate], offline: true);
        _http = new HttpClient(handler) { BaseAddress = address };
    }

    /// <summary>A message with its length before it, as gRPC frames them.</summary>
    public static byte[] Frame(ReadOnlySpan<byte> message, bool compressed = false)
    {
        byte[] frame = new byte[5 + message.Length];
        frame[0] = (byte)(compressed ? 1 : 0);
        BinaryPrimitives.WriteUInt32BigEndian(frame.AsSpan(1), (uint)message.Length);
        message.CopyTo(frame.AsSpan(5));
        return frame;
    }

    /// <returns>The call's gRPC status.</returns>
    public async Task<StatusCode> CallAsync(string method, byte[] body, string? encoding = null, CancellationToken cancellation = default)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, method) { Content = new ByteArrayContent(body), Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        request.Content.Headers.TryAddWithoutValidation("content-type", "application/grpc");
        request.Headers.TryAddWithoutValidation("te", "trailers");
        if (encoding is not null) request.Headers.TryAddWithoutValidation("grpc-encoding", encoding);
        using HttpResponseMessage response = await _http.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, cancellation);
        await response.Content.ReadAsByteArrayAsync(cancellation);
        string status = (response.TrailingHeaders.TryGetValues("grpc-status", out var trailer) ? trailer : response.Headers.GetValues("grpc-status")).Single();
        return (StatusCode)int.Parse(status, CultureInfo.InvariantCulture);
    }

    public void Dispose() => _http.Dispose();
}
