using Federation.Client;
using Federation.Formats.Configuration;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Protocol;
using Federation.Protocol.Identity;
using Federation.Server;
using Federation.Server.Identity;
using Federation.Server.Strategies;
using Federation.V1;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using NodeRole = Federation.Formats.Configuration.NodeRole;
using Roster = Federation.Privacy.SecureAggregation.Roster;

namespace Federation.EndToEnd.Tests;

/// <summary>A real coordinator on loopback with its operator's client, in a temporary folder; nodes enrol and run in this process.</summary>
internal sealed class TestFederation : IAsyncDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("fed-e2e");
    private readonly List<IDisposable> _channels = [];

    private readonly ILoggerFactory _log;

    private TestFederation(ILoggerFactory log) => _log = log;

    /// <summary>Of the coordinator's own program.</summary>
    private IReadOnlyDictionary<string, Func<IReadOnlyDictionary<string, double>, Strategy>>? Strategies { get; init; }

    /// <summary>Of the coordinator and its nodes.</summary>
    private TimeProvider Time { get; init; } = TimeProvider.System;

    private ConnectionString? Store { get; init; }

    /// <summary>From the coordinator's next start on.</summary>
    public TimeSpan SiteCertificates { get; set; } = TimeSpan.FromDays(30);

    public Coordinator Coordinator { get; private set; } = null!;

    public Operator.OperatorClient Operator { get; private set; } = null!;

    public string Folder => _folder.FullName;

    public string State => Path.Combine(Folder, "coordinator");

    /// <param name="log">Of the coordinator: what its operator sees.</param>
    public static async Task<TestFederation> StartAsync(ILoggerFactory? log = null, IReadOnlyDictionary<string, Func<IReadOnlyDictionary<string, double>, Strategy>>? strategies = null, TimeProvider? time = null, TimeSpan? siteCertificates = null, ConnectionString? store = null)
    {
        var federation = new TestFederation(log ?? NullLoggerFactory.Instance) { Strategies = strategies, Time = time ?? TimeProvider.System, SiteCertificates = siteCertificates ?? TimeSpan.FromDays(30), Store = store };
        CoordinatorSetup.Initialize(federation.State, federation.Time);
        await federation.StartCoordinatorAsync("127.0.0.1:0");
        return federation;
    }

    public async Task StartCoordinatorAsync(string nodes)
    {
        var configuration = new ServerConfiguration { State = State, Nodes = nodes, Operators = "127.0.0.1:0", SiteCertificates = SiteCertificates, Store = Store };
        Coordinator = await Coordinator.StartAsync(configuration, Time, _log, TestContext.Current.CancellationToken, Strategies);
        Operator = new Operator.OperatorClient(Open(Coordinator.OperatorsAddress, Credential.Load(new CoordinatorFolder(State).Admin)));
    }

    /// <summary>Stops the coordinator without notice and starts it again on the same port and folder.</summary>
    /// <param name="stopped">Done while it is down.</param>
    public async Task RestartCoordinatorAsync(Action? stopped = null)
    {
        int port = Coordinator.NodesAddress.Port;
        await Coordinator.DisposeAsync();
        stopped?.Invoke();
        await StartCoordinatorAsync($"127.0.0.1:{port}");
    }

    public string NodeState(string site) => Path.Combine(Folder, site);

    public async Task EnrollAsync(string site)
    {
        InviteSiteReply invitation = await Operator.InviteSiteAsync(new InviteSiteRequest { Name = site });
        await NodeEnrolment.EnrollAsync(Coordinator.NodesAddress, invitation.Token, NodeState(site), TestContext.Current.CancellationToken, Time);
    }

    /// <summary>A client with the site's own identity, for tests that play a node by hand.</summary>
    public Node.NodeClient NodeClient(string site)
    {
        var folder = new NodeFolder(NodeState(site));
        return new Node.NodeClient(Open(Coordinator.NodesAddress, Credential.Load(folder.Certificate, folder.Key)));
    }

    public Task<NodeOutcome> RunNodeAsync(string site, ILocalLearner learner, NodeRole role = NodeRole.Trainer, Uri? coordinator = null, IReadOnlyList<DataSource>? data = null, CancellationToken? cancellationToken = null, NodePolicy? policy = null, ILoggerFactory? loggers = null, bool exitAfterRun = true, TimeProvider? clock = null)
    {
        var configuration = new NodeConfiguration { Coordinator = coordinator ?? Coordinator.NodesAddress, State = NodeState(site), Role = role, Data = data ?? [], Policy = policy ?? new() };
        return FederatedNode.RunAsync(new NodeOptions { Configuration = configuration, ExitAfterRun = exitAfterRun, Time = clock ?? Time }, learner, loggers ?? NullLoggerFactory.Instance, cancellationToken ?? TestContext.Current.CancellationToken);
    }

    /// <summary>Of the roster that new keys would be made for.</summary>
    public async Task<string> RosterHashAsync()
    {
        using AsyncServerStreamingCall<Chunk> call = Operator.ShowRoster(new ShowRosterRequest());
        List<byte> bytes = [];
        await foreach (Chunk chunk in call.ResponseStream.ReadAllAsync()) bytes.AddRange(chunk.Data.Span);
        return Roster.Decode(bytes.ToArray()).Hash;
    }

    /// <summary>Of the key of its CA.</summary>
    public string Sha256
    {
        get
        {
            using CertificateAuthority ca = CertificateAuthority.Load(new CoordinatorFolder(State).Ca);
            return ca.SpkiSha256;
        }
    }

    /// <param name="submission">Null: unsigned.</param>
    public async Task<string> SubmitAsync(string specYaml, string schemaYaml, ModelState initial, SignedSubmission? submission = null)
    {
        byte[] bytes = initial.ToBytes();
        using AsyncClientStreamingCall<BlobChunk, BlobReply> upload = Operator.UploadBlob();
        for (int offset = 0; offset < bytes.Length; offset += 1 << 20)
        {
            int length = Math.Min(1 << 20, bytes.Length - offset);
            await upload.RequestStream.WriteAsync(new BlobChunk { Sha256 = initial.Sha256, Size = (ulong)bytes.Length, Offset = (ulong)offset, Data = ByteString.CopyFrom(bytes.AsSpan(offset, length)) });
        }

        await upload.RequestStream.CompleteAsync();
        await upload.ResponseAsync;
        return (await Operator.SubmitRunAsync(new SubmitRunRequest { SpecYaml = specYaml, SchemaYaml = schemaYaml, InitialModelSha256 = initial.Sha256, Nonce = submission?.ToMessage().Nonce ?? ByteString.Empty, Submitter = submission?.ToMessage().Submitter })).RunId;
    }

    /// <summary>After so long what is waited for will not come: a test fails and says what it saw, instead of holding up all others.</summary>
    public static readonly TimeSpan Stuck = TimeSpan.FromMinutes(10);

    /// <summary>Waits for an event of this kind; fails when the run ends without it.</summary>
    public async Task<RunEvent> WaitForAsync(string runId, string kind, Func<RunEvent, bool>? matches = null)
    {
        List<string> seen = [];
        using var stuck = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        stuck.CancelAfter(Stuck);
        using AsyncServerStreamingCall<RunEvent> watch = Operator.WatchRun(new WatchRunRequest { RunId = runId });
        try
        {
            await foreach (RunEvent happened in watch.ResponseStream.ReadAllAsync(stuck.Token))
            {
                seen.Add($"{happened.Kind}: {happened.Message}");
                if (happened.Kind == kind && matches?.Invoke(happened) != false) return happened;
            }
        }
        catch (Exception error) when (error is OperationCanceledException or RpcException { StatusCode: StatusCode.Cancelled } && stuck.IsCancellationRequested)
        {
            throw new TimeoutException($"'{kind}' did not come:\n{string.Join('\n', seen)}", error);
        }

        throw new InvalidOperationException($"The run ended without '{kind}':\n{string.Join('\n', seen)}");
    }

    public async Task<RunDetails> ShowAsync(string runId) => await Operator.ShowRunAsync(new ShowRunRequest { RunId = runId });

    public async ValueTask DisposeAsync()
    {
        foreach (IDisposable channel in _channels) channel.Dispose();
        await Coordinator.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    private GrpcChannel Open(Uri address, Credential credential)
    {
        GrpcChannel channel = CoordinatorChannel.Open(address, credential, Time);
        _channels.Add(channel);
        _channels.Add(credential);
        return channel;
    }
}
