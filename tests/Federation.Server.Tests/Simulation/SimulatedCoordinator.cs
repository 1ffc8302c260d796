using System.Security.Cryptography.X509Certificates;
using Federation.Formats.Configuration;
using Federation.Protocol.Identity;
using Federation.Server.Identity;
using Federation.Server.Runs;
using Federation.Server.Services;
using Federation.Server.Storage;
using Federation.Server.Strategies;
using Federation.V1;
using Grpc.Core;
using Microsoft.Extensions.Logging;

namespace Federation.Server.Tests.Simulation;

/// <summary>The coordinator's own objects, from the interceptor that checks who calls down to a real SQLite file, one process after the other on one folder. Between a call and it is no network, and what it does in the background waits to be let go on.</summary>
internal sealed class SimulatedCoordinator : IDisposable
{
    private readonly CoordinatorFolder _folder;
    private readonly JumpingTime _time;
    private readonly ILogger _logger;
    private readonly CertificateAuthority _ca;
    private readonly Credential _admin;
    private readonly RetentionRule _retention = new(2, 1);
    private Process? _process;

    private sealed record Process(StoreFaults Faults, SqliteStore Store, AdministrativeLog Acts, StepScheduler Work, RunContext Context, RunRegistry Runs, RunTasks Tasks, ModelRetention Retention, CallerInterceptor Interceptor, NodeService Nodes, OperatorService Operators, EnrolmentService Enrolments);

    public SimulatedCoordinator(string folder, JumpingTime time, ILogger logger)
    {
        (_folder, _time, _logger) = (new CoordinatorFolder(folder), time, logger);
        CoordinatorSetup.Initialize(folder, time);
        (_ca, _admin) = (CertificateAuthority.Load(_folder.Ca), Credential.Load(_folder.Admin));
    }

    public bool IsUp => _process is { Faults.IsKilled: false };

    public RunRegistry Runs => _process!.Runs;

    public ICoordinatorStore Store => _process!.Store;

    public BlobStore Blobs => _process!.Context.Blobs;

    public RunTasks Tasks => _process!.Tasks;

    public Signal Signal => _process!.Context.Signal;

    public StepScheduler Work => _process!.Work;

    public StoreFaults Faults => _process!.Faults;

    public CoordinatorFolder Folder => _folder;

    /// <exception cref="KilledException">It was killed while it started.</exception>
    public void Start(StoreFaults faults)
    {
        Kill();
        SqliteStore real = new(_folder.Database, _logger);
        ICoordinatorStore store = FaultyStore.Of(real, faults);
        AdministrativeLog acts = AdministrativeLog.Open(_folder.Audit, _time, _logger);
        var work = new StepScheduler();
        var context = new RunContext(store, new BlobStore(_folder.Blobs), new Spool(_folder.Spool), new Sessions(store, _time), new Traffic(), new Signal(), _time, _logger, new StrategyBook(), new StrategyFiles(_folder.Strategies), acts, work);
        try
        {
            // As Coordinator.StartAsync does.
            var retention = new ModelRetention(context, _retention);
            retention.Start();
            var runs = new RunRegistry(context);
            var tasks = new RunTasks(runs, context);
            var certificates = new SiteCertificates(_ca, _time, TimeSpan.FromHours(18));
            var pace = new NodePace(null, _time);
            var calls = new OpenCalls();
            _process = new Process(
                faults, real, acts, work, context, runs, tasks, retention, new CallerInterceptor(new SeenCertificates(_ca, _time), context, calls, new OperatorAccess(store, _time)),
                new NodeService(runs, tasks, context, new UploadReceiver(context, pace), certificates, pace), new OperatorService(runs, context, _ca, certificates, calls), new EnrolmentService(_ca, certificates, new EnrolmentTries(_time), context, calls));
        }
        catch
        {
            acts.Dispose();
            real.Dispose();
            throw;
        }
    }

    /// <summary>As <c>kill -9</c>.</summary>
    public void Kill()
    {
        if (_process is null) return;
        _process.Faults.IsKilled = true;
        _process.Acts.Dispose();
        _process.Store.Dispose();
        _process = null;
    }

    public void Tick()
    {
        _process!.Runs.Tick();
        try
        {
            _process.Retention.Tick();
        }
        catch (KilledException)
        {
            // seen by IsUp
        }
    }

    public Task<TReply> NodeAsync<TRequest, TReply>(X509Certificate2 certificate, string method, TRequest request, Func<NodeService, TRequest, ServerCallContext, Task<TReply>> handler)
        where TRequest : class
        where TReply : class => CallAsync(process => process.Interceptor.UnaryServerHandler<TRequest, TReply>(request, new InProcessCall($"/federation.v1.Node/{method}", certificate, false), (asked, call) => handler(process.Nodes, asked, call)));

    /// <param name="breaks">The connection does while it waits, as it does where there is nothing to do.</param>
    public async Task<NodeTask> NextTaskAsync(X509Certificate2 certificate, bool breaks)
    {
        using CancellationTokenSource connection = new();
        if (breaks) await connection.CancelAsync();
        Task<NodeTask> poll = CallAsync(process => process.Interceptor.UnaryServerHandler(new NextTaskRequest(), new InProcessCall("/federation.v1.Node/NextTask", certificate, false, connection.Token), process.Nodes.NextTask));
        if (!poll.IsCompleted) await connection.CancelAsync();
        try
        {
            return await poll;
        }
        catch (Exception) when (connection.IsCancellationRequested)
        {
            throw Lost();
        }
    }

    /// <param name="breaks">The connection does, after these pieces.</param>
    public async Task<UploadReply> UploadAsync(X509Certificate2 certificate, IReadOnlyList<UploadChunk> chunks, bool breaks)
    {
        using CancellationTokenSource connection = new();
        try
        {
            return await CallAsync(process => process.Interceptor.ClientStreamingServerHandler(new InProcessStream<UploadChunk>(chunks, breaks ? connection : null), new InProcessCall("/federation.v1.Node/Upload", certificate, false, connection.Token), process.Nodes.Upload));
        }
        catch (Exception error) when (error is IOException or OperationCanceledException && breaks)
        {
            throw Lost();
        }
    }

    public Task<TReply> OperatorAsync<TRequest, TReply>(string method, TRequest request, Func<OperatorService, TRequest, ServerCallContext, Task<TReply>> handler)
        where TRequest : class
        where TReply : class => CallAsync(process => process.Interceptor.UnaryServerHandler<TRequest, TReply>(request, new InProcessCall($"/federation.v1.Operator/{method}", _admin.Certificate, true), (asked, call) => handler(process.Operators, asked, call)));

    public Task<EnrollReply> EnrollAsync(EnrollRequest request) =>
        CallAsync(process => process.Interceptor.UnaryServerHandler(request, new InProcessCall("/federation.v1.Enrolment/Enroll", null, false), process.Enrolments.Enroll));

    public void Dispose()
    {
        Kill();
        _ca.Dispose();
        _admin.Dispose();
    }

    /// <exception cref="RpcException">The coordinator refused; or nobody answers, and what became of the call is not known.</exception>
    private async Task<T> CallAsync<T>(Func<Process, Task<T>> call)
    {
        if (!IsUp) throw Lost();
        Process process = _process!;
        try
        {
            T reply = await call(process);
            return process.Faults.IsKilled ? throw Lost() : reply;
        }
        catch (Exception) when (process.Faults.IsKilled)
        {
            throw Lost();
        }
    }

    public static RpcException Lost() => new(new Status(StatusCode.Unavailable, "The connection was lost."));
}
