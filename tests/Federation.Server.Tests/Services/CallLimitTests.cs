using System.Buffers.Binary;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Net.Sockets;
using Federation.Server.Identity;
using Federation.V1;
using Grpc.Core;

namespace Federation.Server.Tests.Services;

/// <summary>What hostile callers can hold of the coordinator's memory, before anybody knows who they are and afterwards.</summary>
public sealed class CallLimitTests : IAsyncLifetime
{
    private TestCoordinator _test = null!;

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _test = await TestCoordinator.StartAsync();

    public ValueTask DisposeAsync() => _test.DisposeAsync();

    [Theory]
    [InlineData("Enrolment/Enroll")]
    [InlineData("Node/Join")]
    public async Task Stranger_WhoAnnouncesALargeMessageAndSendsALotOfIt_IsCutOff(string method)
    {
        long taken = await SendAsync(method, announced: 4 << 20, pieces: 256);
        Assert.InRange(taken, 0, 2 << 20); // of four million: what lies in windows and buffers on the way
    }

    [Fact] // Kestrel's own clock: fifteen seconds' grace, then 240 bytes a second
    public async Task Stranger_WhoStopsInTheMiddleOfAMessage_IsCutOff() => await SendAsync("Enrolment/Enroll", announced: 8 << 10, pieces: 0);

    [Fact]
    public async Task Strangers_WithManyConnections_LeaveTheNodesTheirs()
    {
        TestNode node = await _test.EnrolAsync("a");
        List<SslStream> open = [];
        try
        {
            for (int i = 0; i <= CallLimits.StrangersConnections; i++) open.Add(await ConnectAsync());
            Assert.Equal(0, await EndAsync(open[^1]));
            await node.Client.HeartbeatAsync(new HeartbeatRequest(), cancellationToken: Cancelled);
        }
        finally
        {
            foreach (SslStream stream in open) await stream.DisposeAsync();
        }
    }

    [Fact]
    public async Task Site_WithManyCallsAtOnce_IsHeldToItsNumberAndDisturbsNobody()
    {
        TestNode[] nodes = await _test.EnrolAllAsync("a", "b");
        using var over = CancellationTokenSource.CreateLinkedTokenSource(Cancelled);
        List<Task> polls = [.. Enumerable.Range(0, CallLimits.Calls).Select(_ => nodes[0].Client.NextTaskAsync(new NextTaskRequest(), cancellationToken: over.Token).ResponseAsync)];
        await Condition.HoldsAsync(() => _test.Coordinator.Sessions.Polls("a") == CallLimits.Calls);
        RpcException refused = await Assert.ThrowsAsync<RpcException>(async () => await nodes[0].Client.HeartbeatAsync(new HeartbeatRequest(), cancellationToken: Cancelled));
        Assert.Equal((StatusCode.ResourceExhausted, $"{CallLimits.Calls} calls of this caller are under way; no more are taken at once."), (refused.StatusCode, refused.Status.Detail));
        await nodes[1].Client.HeartbeatAsync(new HeartbeatRequest(), cancellationToken: Cancelled);
        await over.CancelAsync();
        await Task.WhenAll(polls).ContinueWith(_ => { }, Cancelled, TaskContinuationOptions.None, TaskScheduler.Default);
        await Condition.HoldsAsync(() => _test.Coordinator.Sessions.Polls("a") == 0);
        await nodes[0].Client.HeartbeatAsync(new HeartbeatRequest(), cancellationToken: Cancelled);
    }

    /// <summary>The beginning of one message, whose end never comes. Comes back when the coordinator has given it up.</summary>
    /// <returns>Bytes that went out.</returns>
    private async Task<long> SendAsync(string method, int announced, int pieces)
    {
        using var handler = new SocketsHttpHandler { SslOptions = { RemoteCertificateValidationCallback = (_, certificate, _, _) => certificate is not null } };
        using var client = new HttpClient(handler) { DefaultRequestVersion = HttpVersion.Version20, DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact };
        using var content = new Endless(announced, pieces);
        content.Headers.ContentType = new MediaTypeHeaderValue("application/grpc");
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(_test.Coordinator.NodesAddress, $"federation.v1.{method}")) { Version = HttpVersion.Version20, Content = content };
        request.Headers.TE.Add(new TransferCodingWithQualityHeaderValue("trailers"));
        try
        {
            using HttpResponseMessage answer = await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Cancelled).WaitAsync(TimeSpan.FromSeconds(60), Cancelled);
            await answer.Content.ReadAsByteArrayAsync(Cancelled).WaitAsync(TimeSpan.FromSeconds(60), Cancelled);
            Assert.NotEqual(["0"], answer.TrailingHeaders.Concat(answer.Headers).Where(header => header.Key == "grpc-status").SelectMany(header => header.Value));
        }
        catch (HttpRequestException)
        {
            // the stream or connection was reset
        }

        return content.Sent;
    }

    private async Task<SslStream> ConnectAsync()
    {
        var tcp = new TcpClient();
        await tcp.ConnectAsync(IPAddress.Loopback, _test.Coordinator.NodesAddress.Port, Cancelled);
        var stream = new SslStream(tcp.GetStream(), leaveInnerStreamOpen: false, (_, certificate, _, _) => certificate is not null);
        await stream.AuthenticateAsClientAsync(new SslClientAuthenticationOptions { TargetHost = "localhost", ApplicationProtocols = [SslApplicationProtocol.Http2] }, Cancelled);
        return stream;
    }

    /// <summary>0: closed by the other side, after whatever it said.</summary>
    private static async Task<int> EndAsync(SslStream stream)
    {
        byte[] buffer = new byte[1024];
        try
        {
            int read;
            while ((read = await stream.ReadAsync(buffer, Cancelled).AsTask().WaitAsync(TimeSpan.FromSeconds(20), Cancelled)) > 0) { }
            return read;
        }
        catch (IOException)
        {
            return 0; // reset
        }
    }

    private sealed class Endless(int announced, int pieces) : HttpContent
    {
        private readonly TaskCompletionSource _never = new();

        public long Sent { get; private set; }

        protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context)
        {
            byte[] prefix = new byte[5];
            BinaryPrimitives.WriteInt32BigEndian(prefix.AsSpan(1), announced);
            await stream.WriteAsync(prefix);
            for (int i = 0; i < pieces; i++)
            {
                await stream.WriteAsync(new byte[16 << 10]);
                await stream.FlushAsync();
                Sent += 16 << 10;
            }

            await stream.FlushAsync();
            await _never.Task;
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
