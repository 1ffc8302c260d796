using Federation.Formats.Models;
using Federation.Privacy.Canonical;
using Federation.Protocol;
using Federation.Protocol.Identity;
using Federation.V1;
using Google.Protobuf;
using Grpc.Core;

namespace Federation.Server.Tests;

/// <summary>Plays a site call by call, with an identity of its own.</summary>
internal sealed class TestNode(TestCoordinator coordinator, string site, Credential credential)
{
    private Node.NodeClient? _client;
    private Uri? _dialled;

    public string Site { get; } = site;

    public Credential Credential { get; } = credential;

    /// <summary>Dials again where the coordinator has moved.</summary>
    public Node.NodeClient Client
    {
        get
        {
            if (_client is null || _dialled != coordinator.Coordinator.NodesAddress)
            {
                _dialled = coordinator.Coordinator.NodesAddress;
                _client = new Node.NodeClient(coordinator.Channel(_dialled, Credential));
            }

            return _client;
        }
    }

    public async Task JoinAsync(NodeRole role = NodeRole.Trainer, params string[] dataIds) =>
        await Client.JoinAsync(new JoinRequest { ProtocolVersion = ProtocolVersion.Current, SoftwareVersion = "test", Role = role, DataIds = { dataIds } });

    /// <summary>The next task; nobody may have to wait for one here.</summary>
    public async Task<NodeTask> NextAsync() => await Client.NextTaskAsync(new NextTaskRequest(), deadline: DateTime.UtcNow.AddSeconds(20));

    public async Task ReadyAsync(string run)
    {
        NodeTask task = await NextAsync();
        Assert.Equal(run, task.CheckData?.Run.RunId);
        await Client.ReportReadinessAsync(new ReadinessReport { RunId = run });
    }

    /// <summary>Does what a Train task asks for.</summary>
    public async Task<UploadReply> ContributeAsync(string run, ModelState update, ulong weight = 1)
    {
        Train train = (await NextAsync()).Train;
        Assert.Equal(run, train.RunId);
        BeginUploadReply begun = await BeginAsync(run, train.Round, train.ModelSha256, update, weight);
        return await SendAsync(run, train.Round, update, (int)begun.Offset);
    }

    public Task<BeginUploadReply> BeginAsync(string run, uint round, string model, ModelState update, ulong weight = 1) => BeginAsync(run, round, model, update.ToBytes(), weight);

    public async Task<BeginUploadReply> BeginAsync(string run, uint round, string model, byte[] update, ulong weight = 1) => await Client.BeginUploadAsync(
        new BeginUploadRequest { RunId = run, Round = round, ModelSha256 = model, UpdateSha256 = Sha256Hex.Of(update), Size = (ulong)update.Length, Weight = weight });

    public Task<UploadReply> SendAsync(string run, uint round, ModelState update, int offset = 0) => SendAsync(run, round, update.ToBytes(), offset);

    /// <summary>Sends the bytes from an offset on, a few at a time.</summary>
    public async Task<UploadReply> SendAsync(string run, uint round, byte[] update, int offset = 0, int? until = null, string? sha256 = null, int piece = Limits.ChunkBytes)
    {
        using AsyncClientStreamingCall<UploadChunk, UploadReply> call = Client.Upload();
        bool first = true;
        try
        {
            for (int at = offset; first || at < (until ?? update.Length); at += piece)
            {
                var chunk = new UploadChunk { Offset = (ulong)at, Data = ByteString.CopyFrom(update.AsSpan(at, Math.Min(piece, (until ?? update.Length) - at))) };
                if (first) (chunk.RunId, chunk.Round, chunk.UpdateSha256, first) = (run, round, sha256 ?? Sha256Hex.Of(update), false);
                await call.RequestStream.WriteAsync(chunk);
            }

            await call.RequestStream.CompleteAsync();
        }
        catch (Exception error) when (error is RpcException or InvalidOperationException)
        {
            // answered before all was sent; the answer is awaited next
        }

        return await call.ResponseAsync;
    }
}
