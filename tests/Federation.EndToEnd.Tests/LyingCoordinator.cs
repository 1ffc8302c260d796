using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography;
using Federation.Protocol.Identity;
using Federation.Server.Identity;
using Federation.V1;
using Google.Protobuf;
using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Federation.EndToEnd.Tests;

/// <summary>Stands between one node and the coordinator, with a certificate of the federation's own CA, and changes what the node is told. What the node says to it is passed on, and its refusals are kept.</summary>
internal sealed class LyingCoordinator : IAsyncDisposable
{
    private readonly WebApplication _host;
    private readonly Credential _credential;
    private readonly string _blobs;
    private TaskCompletionSource _refused = new(TaskCreationOptions.RunContinuationsAsynchronously);

    private LyingCoordinator(WebApplication host, Credential credential, string blobs) => (_host, _credential, _blobs) = (host, credential, blobs);

    public Uri Address => new(_host.Urls.Single());

    /// <summary>Why the node did not do what it was told.</summary>
    public ConcurrentQueue<string> Refusals { get; } = new();

    /// <summary>The next refusal.</summary>
    public Task Refused => _refused.Task;

    /// <summary>Content of the liar's own making, by hash.</summary>
    public ConcurrentDictionary<string, byte[]> Planted { get; } = new();

    /// <summary>Changes a task on its way to the node; may give another.</summary>
    public Func<NodeTask, NodeTask> Lie { get; set; } = task => task;

    /// <summary>The node has done what it was told and asks for more.</summary>
    public Action Asked { get; set; } = () => { };

    /// <summary>Changes what the node says in the making of keys: then it is the member that lies.</summary>
    public Func<EpochMessage, EpochMessage> Say { get; set; } = message => message;

    /// <summary>What an opening's answer meets before it is passed on; may hold it for ever.</summary>
    public Func<OpeningAnswer, CancellationToken, Task> Hold { get; set; } = (_, _) => Task.CompletedTask;

    /// <summary>What the answer to an upload meets that the coordinator has taken; may hold it for ever.</summary>
    public Func<CancellationToken, Task> Keep { get; set; } = _ => Task.CompletedTask;

    public static async Task<LyingCoordinator> StartAsync(TestFederation federation, string site)
    {
        using CertificateAuthority ca = CertificateAuthority.Load(new CoordinatorFolder(federation.State).Ca);
        Credential credential = ca.Issue("coordinator", CertificateRole.Coordinator, DateTimeOffset.UtcNow);
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddGrpc(options => options.MaxReceiveMessageSize = 4 << 20);
        LyingCoordinator? liar = null;
        builder.Services.AddSingleton(_ => new Relay(federation.NodeClient(site), liar!));
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen =>
        {
            listen.Protocols = HttpProtocols.Http2;
            var https = new HttpsConnectionAdapterOptions { ServerCertificate = credential.Certificate, ClientCertificateMode = ClientCertificateMode.AllowCertificate };
            https.AllowAnyClientCertificate();
            listen.UseHttps(https);
        }));
        WebApplication host = builder.Build();
        host.MapGrpcService<Relay>();
        liar = new LyingCoordinator(host, credential, new CoordinatorFolder(federation.State).Blobs);
        await host.StartAsync();
        return liar;
    }

    public string Plant(byte[] content)
    {
        string sha256 = Convert.ToHexStringLower(SHA256.HashData(content));
        Planted[sha256] = content;
        return sha256;
    }

    /// <summary>What the coordinator holds under a hash.</summary>
    public byte[] Fetched(string sha256) => File.ReadAllBytes(Path.Combine(_blobs, sha256));

    public async ValueTask DisposeAsync()
    {
        using (var hurry = new CancellationTokenSource(TimeSpan.Zero)) await _host.StopAsync(hurry.Token);
        await _host.DisposeAsync();
        _credential.Dispose();
    }

    internal sealed class Relay(Node.NodeClient coordinator, LyingCoordinator liar) : Node.NodeBase
    {
        public override async Task<JoinReply> Join(JoinRequest request, ServerCallContext context) => await coordinator.JoinAsync(request, cancellationToken: context.CancellationToken);

        public override async Task<NodeTask> NextTask(NextTaskRequest request, ServerCallContext context)
        {
            AsyncUnaryCall<NodeTask> next = coordinator.NextTaskAsync(request, cancellationToken: context.CancellationToken);
            liar.Asked();
            return liar.Lie(await next);
        }

        public override async Task<HeartbeatReply> Heartbeat(HeartbeatRequest request, ServerCallContext context) => await coordinator.HeartbeatAsync(request, cancellationToken: context.CancellationToken);

        public override async Task Download(DownloadRequest request, IServerStreamWriter<Chunk> responses, ServerCallContext context)
        {
            if (liar.Planted.TryGetValue(request.Sha256, out byte[]? planted))
            {
                for (int offset = (int)request.Offset; offset < planted.Length; offset += 1 << 16)
                {
                    await responses.WriteAsync(new Chunk { Offset = (ulong)offset, Data = ByteString.CopyFrom(planted.AsSpan(offset, Math.Min(1 << 16, planted.Length - offset))) }, context.CancellationToken);
                }

                return;
            }

            using AsyncServerStreamingCall<Chunk> call = coordinator.Download(request, cancellationToken: context.CancellationToken);
            await foreach (Chunk chunk in call.ResponseStream.ReadAllAsync(context.CancellationToken)) await responses.WriteAsync(chunk, context.CancellationToken);
        }

        public override async Task<ReadinessReply> ReportReadiness(ReadinessReport request, ServerCallContext context) => await coordinator.ReportReadinessAsync(request, cancellationToken: context.CancellationToken);

        public override async Task<BeginUploadReply> BeginUpload(BeginUploadRequest request, ServerCallContext context)
        {
            BeginUploadReply taken = await coordinator.BeginUploadAsync(request, cancellationToken: context.CancellationToken);
            if (!request.Data.IsEmpty) await liar.Keep(context.CancellationToken); // a small update is taken with it
            return taken;
        }

        public override async Task<UploadReply> Upload(IAsyncStreamReader<UploadChunk> requests, ServerCallContext context)
        {
            using AsyncClientStreamingCall<UploadChunk, UploadReply> call = coordinator.Upload(cancellationToken: context.CancellationToken);
            await foreach (UploadChunk chunk in requests.ReadAllAsync(context.CancellationToken)) await call.RequestStream.WriteAsync(chunk, context.CancellationToken);
            await call.RequestStream.CompleteAsync();
            UploadReply taken = await call.ResponseAsync;
            await liar.Keep(context.CancellationToken);
            return taken;
        }

        public override async Task<EvaluationReply> ReportEvaluation(EvaluationReport request, ServerCallContext context) => await coordinator.ReportEvaluationAsync(request, cancellationToken: context.CancellationToken);

        public override async Task<EpochMessageReply> SendEpochMessage(EpochMessage request, ServerCallContext context)
        {
            Note(request.Refusal);
            return await coordinator.SendEpochMessageAsync(liar.Say(request), cancellationToken: context.CancellationToken);
        }

        public override async Task<OpeningAnswerReply> SendOpeningAnswer(OpeningAnswer request, ServerCallContext context)
        {
            Note(request.Refusal);
            await liar.Hold(request, context.CancellationToken);
            if (liar.Planted.ContainsKey(request.RequestSha256)) return new OpeningAnswerReply(); // the coordinator knows nothing of this request
            return await coordinator.SendOpeningAnswerAsync(request, cancellationToken: context.CancellationToken);
        }

        public override async Task<FailureReply> ReportFailure(FailureReport request, ServerCallContext context)
        {
            Note(request.Reason);
            return await coordinator.ReportFailureAsync(request, cancellationToken: context.CancellationToken);
        }

        private void Note(string refusal)
        {
            if (refusal.Length == 0) return;
            liar.Refusals.Enqueue(refusal);
            Interlocked.Exchange(ref liar._refused, new(TaskCreationOptions.RunContinuationsAsynchronously)).TrySetResult();
        }
    }
}
