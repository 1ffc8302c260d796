using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Federation.Formats.Configuration;
using Federation.Formats.Models;
using Federation.Protocol.Identity;
using Federation.Server.Identity;
using Federation.Server.Runs;
using Federation.V1;
using Google.Protobuf;
using Grpc.Core;
using Grpc.Net.Client;
using Microsoft.Extensions.Logging.Abstractions;
using NodeRole = Federation.V1.NodeRole;

namespace Federation.Server.Tests;

/// <summary>A real coordinator on loopback with real TLS, in a temporary folder; its clock stands still until told to go on.</summary>
internal sealed class TestCoordinator : IAsyncDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("fed-server");
    private readonly List<IDisposable> _owned = [];
    private int _lives;

    private TestCoordinator()
    {
    }

    /// <summary>TLS clients look at the machine's clock, so this one begins there.</summary>
    public JumpingTime Time { get; } = new(DateTimeOffset.UtcNow);

    public Coordinator Coordinator { get; private set; } = null!;

    public Operator.OperatorClient Operator { get; private set; } = null!;

    public string State { get; private set; } = null!;

    public CoordinatorFolder Folder => new(State);

    private static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    /// <summary>How long sites' certificates are valid.</summary>
    public TimeSpan SiteCertificates { get; init; } = TimeSpan.FromDays(30);

    public RetentionRule? Retention { get; init; }

    /// <summary>Null: SQLite.</summary>
    public ConnectionString? Store { get; private set; }

    /// <param name="siteCertificates">Null: 30 days.</param>
    /// <param name="ca">Files of an organisation's CA; null: one is made.</param>
    public static async Task<TestCoordinator> StartAsync(TimeSpan? siteCertificates = null, (string Certificate, string Key)? ca = null, ConnectionString? store = null, RetentionRule? retention = null)
    {
        var test = new TestCoordinator { SiteCertificates = siteCertificates ?? TimeSpan.FromDays(30), Store = store, Retention = retention };
        test.State = Path.Combine(test._folder.FullName, "state");
        CoordinatorSetup.Initialize(test.State, test.Time, ca);
        await test.ListenAsync();
        return test;
    }

    public async Task ListenAsync()
    {
        var configuration = new ServerConfiguration { State = State, Nodes = "127.0.0.1:0", Operators = "127.0.0.1:0", SiteCertificates = SiteCertificates, Store = Store, Retention = Retention };
        Coordinator = await Coordinator.StartAsync(configuration, Time, NullLoggerFactory.Instance, Cancelled);
        Operator = new Operator.OperatorClient(Channel(Coordinator.OperatorsAddress, Own(Credential.Load(Folder.Admin))));
    }

    /// <summary>Goes on from the files as they are on disk at this instant, as after <c>kill -9</c>: nothing that happens at shutdown can help.</summary>
    public async Task CrashAsync(Action<CoordinatorFolder>? damage = null)
    {
        string survived = Path.Combine(_folder.FullName, $"state{++_lives}");
        CopyFolder(State, survived);
        await Coordinator.DisposeAsync();
        State = survived;
        damage?.Invoke(Folder);
        await ListenAsync();
    }

    /// <summary>Goes on in another folder, and another database.</summary>
    public async Task MoveAsync(string state, ConnectionString? store)
    {
        await StopAsync();
        (State, Store) = (state, store);
        await ListenAsync();
    }

    /// <summary>Stops without damage; <see cref="ListenAsync"/> starts again.</summary>
    public ValueTask StopAsync() => Coordinator.DisposeAsync();

    /// <summary>Lets time go by; deadlines are looked at.</summary>
    public void Wait(TimeSpan? time = null) => Time.Advance(time ?? TimeSpan.FromSeconds(1));

    /// <summary>A long time goes by at once, without the ticks within it.</summary>
    public void Sleep(TimeSpan time) => Time.AdjustTime(Time.GetUtcNow() + time);

    public async Task<TestNode> EnrolAsync(string site, NodeRole role = NodeRole.Trainer, bool join = true)
    {
        InviteSiteReply invitation = await Operator.InviteSiteAsync(new InviteSiteRequest { Name = site });
        var node = new TestNode(this, site, await CertifyAsync(invitation.Token, site));
        if (join) await node.JoinAsync(role);
        return node;
    }

    public async Task<TestNode[]> EnrolAllAsync(params string[] sites)
    {
        List<TestNode> nodes = [];
        foreach (string site in sites) nodes.Add(await EnrolAsync(site));
        Wait();
        return [.. nodes];
    }

    /// <summary>Asks for a certificate with a fresh key.</summary>
    public async Task<Credential> CertifyAsync(string token, string subject, CertificateRole role = CertificateRole.Site)
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        byte[] request = new CertificateRequest(CertificateProfile.Subject(subject, role), key, HashAlgorithmName.SHA256).CreateSigningRequest();
        EnrollReply reply = await Enrolment().EnrollAsync(new EnrollRequest { Token = token, CertificateSigningRequest = ByteString.CopyFrom(request) });
        using X509Certificate2 certificate = X509CertificateLoader.LoadCertificate(reply.Certificate.Span);
        return Own(Credential.Of(certificate, key, X509CertificateLoader.LoadCertificate(reply.CaCertificate.Span)));
    }

    public Enrolment.EnrolmentClient Enrolment(Uri? address = null)
    {
        using CertificateAuthority ca = CertificateAuthority.Load(Folder.Ca);
        return new Enrolment.EnrolmentClient(Own(CoordinatorChannel.OpenForEnrolment(address ?? Coordinator.NodesAddress, ca.SpkiSha256, Time)));
    }

    public GrpcChannel Channel(Uri address, Credential credential) => Own(CoordinatorChannel.Open(address, credential, Time));

    public T Own<T>(T owned)
        where T : IDisposable
    {
        _owned.Add(owned);
        return owned;
    }

    public async Task<string> SubmitAsync(ModelState? initial = null, string? spec = null, string schema = "")
    {
        initial ??= Tiny.Model();
        await UploadAsync(initial.ToBytes(), initial.Sha256);
        return (await Operator.SubmitRunAsync(new SubmitRunRequest { SpecYaml = spec ?? Tiny.Spec(), SchemaYaml = schema, InitialModelSha256 = initial.Sha256 })).RunId;
    }

    public async Task UploadAsync(byte[] bytes, string sha256)
    {
        using AsyncClientStreamingCall<BlobChunk, BlobReply> upload = Operator.UploadBlob();
        for (int offset = 0; offset < bytes.Length; offset += 1 << 20)
        {
            int length = Math.Min(1 << 20, bytes.Length - offset);
            await upload.RequestStream.WriteAsync(new BlobChunk { Sha256 = sha256, Size = (ulong)bytes.Length, Offset = (ulong)offset, Data = ByteString.CopyFrom(bytes.AsSpan(offset, length)) });
        }

        await upload.RequestStream.CompleteAsync();
        await upload.ResponseAsync;
    }

    /// <summary>A run whose first round is open with these sites.</summary>
    public async Task<string> OpenRoundAsync(TestNode[] nodes, ModelState? initial = null, string? spec = null)
    {
        string run = await SubmitAsync(initial, spec);
        foreach (TestNode node in nodes) await node.ReadyAsync(run);
        Assert.Equal("training", (await ShowAsync(run)).Summary.State);
        return run;
    }

    public async Task<RunDetails> ShowAsync(string run) => await Operator.ShowRunAsync(new ShowRunRequest { RunId = run });

    /// <summary>The round's sum, where one is being made, is done.</summary>
    public Task SummedAsync(string run) => Coordinator.Runs.Find(run)!.Background;

    public RunState StateOf(string run) => Coordinator.Runs.Find(run)!.State;

    public async Task<ModelState> DownloadAsync(string sha256)
    {
        var bytes = new MemoryStream();
        using AsyncServerStreamingCall<Chunk> call = Operator.DownloadModel(new DownloadRequest { Sha256 = sha256 });
        await foreach (Chunk chunk in call.ResponseStream.ReadAllAsync(Cancelled)) bytes.Write(chunk.Data.Span);
        bytes.Position = 0;
        ModelState model = ModelState.Read(bytes, bytes.Length);
        Assert.Equal(sha256, model.Sha256);
        return model;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (IDisposable owned in _owned) owned.Dispose();
        await Coordinator.DisposeAsync();
        _folder.Delete(recursive: true);
    }

    private static void CopyFolder(string from, string to)
    {
        Directory.CreateDirectory(to);
        foreach (string folder in Directory.EnumerateDirectories(from)) CopyFolder(folder, Path.Combine(to, Path.GetFileName(folder)));
        foreach (string file in Directory.EnumerateFiles(from))
        {
            if (Path.GetFileName(file) is not ("lock" or "audit.jsonl.lock")) File.Copy(file, Path.Combine(to, Path.GetFileName(file)));
        }
    }
}
