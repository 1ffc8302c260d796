using System.Net;
using Federation.Privacy.Canonical;
using Federation.V1;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;

namespace Federation.Client.Tests;

/// <summary>Downloads from a coordinator that is slow, broken or hostile: real gRPC on loopback.</summary>
public sealed class BlobDownloadTests
{
    private static readonly byte[] Content = [.. Enumerable.Range(0, 5000).Select(i => (byte)(i * 7 % 251))];
    private static readonly string Hash = Sha256Hex.Of(Content);

    [Fact]
    public async Task Fetch_BrokenConnection_GoesOnAtItsOffset()
    {
        await using var coordinator = await FakeCoordinator.StartAsync();
        using var folder = new TemporaryFolder();
        coordinator.Chunks = request => [Piece(0, Content[..2000]), null]; // breaks off
        await Assert.ThrowsAsync<RpcException>(() => coordinator.FetchAsync(folder, Hash));
        coordinator.Chunks = request => [Piece(request.Offset, Content[(int)request.Offset..])];
        string path = await coordinator.FetchAsync(folder, Hash);
        Assert.Equal([0, 2000], coordinator.Offsets);
        Assert.Equal(Content, await File.ReadAllBytesAsync(path, TestContext.Current.CancellationToken));
        await coordinator.FetchAsync(folder, Hash); // there already: nothing is asked
        Assert.Equal(2, coordinator.Offsets.Count);
    }

    [Fact]
    public async Task Fetch_OtherContent_IsThrownAwayAndFetchedAnew()
    {
        await using var coordinator = await FakeCoordinator.StartAsync();
        using var folder = new TemporaryFolder();
        coordinator.Chunks = _ => [Piece(0, [.. Content[..4999], 1])];
        var error = await Assert.ThrowsAsync<InvalidDataException>(() => coordinator.FetchAsync(folder, Hash));
        Assert.Contains(Hash, error.Message);
        Assert.Empty(Directory.EnumerateFiles(Path.Combine(folder.Path, "blobs")));
        coordinator.Chunks = _ => [Piece(0, Content)];
        await coordinator.FetchAsync(folder, Hash);
        Assert.Equal([0, 0], coordinator.Offsets);
    }

    [Fact]
    public async Task Fetch_PiecesThatDoNotFollowEachOther_AreRefused()
    {
        await using var coordinator = await FakeCoordinator.StartAsync();
        using var folder = new TemporaryFolder();
        coordinator.Chunks = _ => [Piece(0, Content[..100]), Piece(200, Content[200..])];
        await Assert.ThrowsAsync<InvalidDataException>(() => coordinator.FetchAsync(folder, Hash));
    }

    [Theory]
    [InlineData("../../../etc/passwd")]
    [InlineData("")]
    [InlineData("ABCDEF")]
    public async Task Fetch_NameThatIsNoHash_NeverBecomesAPath(string name)
    {
        await using var coordinator = await FakeCoordinator.StartAsync();
        using var folder = new TemporaryFolder();
        await Assert.ThrowsAsync<InvalidDataException>(() => coordinator.FetchAsync(folder, name));
        Assert.Empty(coordinator.Offsets);
    }

    private static Chunk Piece(ulong offset, byte[] data) => new() { Offset = offset, Data = ByteString.CopyFrom(data) };

    private sealed class FakeCoordinator : Node.NodeBase, IAsyncDisposable
    {
        private WebApplication _host = null!;
        private GrpcChannel _channel = null!;

        /// <summary>What to send; null breaks off.</summary>
        public Func<DownloadRequest, Chunk?[]> Chunks { get; set; } = _ => [];

        public List<ulong> Offsets { get; } = [];

        public static async Task<FakeCoordinator> StartAsync()
        {
            var fake = new FakeCoordinator();
            WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
            builder.WebHost.UseKestrelCore().ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2));
            builder.Services.AddRoutingCore().AddSingleton(fake).AddGrpc();
            fake._host = builder.Build();
            fake._host.UseRouting();
            fake._host.MapGrpcService<FakeCoordinator>();
            await fake._host.StartAsync(TestContext.Current.CancellationToken);
            fake._channel = GrpcChannel.ForAddress(fake._host.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses.Single());
            return fake;
        }

        public Task<string> FetchAsync(TemporaryFolder folder, string sha256) =>
            BlobDownload.FetchAsync(new Node.NodeClient(_channel), new NodeFolder(folder.Path), sha256, TestContext.Current.CancellationToken);

        public override async Task Download(DownloadRequest request, IServerStreamWriter<Chunk> responseStream, ServerCallContext context)
        {
            lock (Offsets) Offsets.Add(request.Offset);
            foreach (Chunk? chunk in Chunks(request)) await responseStream.WriteAsync(chunk ?? throw new RpcException(new Status(StatusCode.Unavailable, "broken")));
        }

        public async ValueTask DisposeAsync()
        {
            _channel.Dispose();
            await _host.DisposeAsync();
        }
    }
}
