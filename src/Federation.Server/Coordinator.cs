using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Protocol;
using Federation.Protocol.Identity;
using Federation.Server.Identity;
using Federation.Server.Runs;
using Federation.Server.Services;
using Federation.Server.Storage;
using Federation.Server.Strategies;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace Federation.Server;

/// <summary>A running coordinator: two listeners, one state folder. Nodes use mutual TLS on the first, operators the admin credential on the second.</summary>
public sealed class Coordinator : IAsyncDisposable
{
    /// <summary>How often deadlines and lost sites are looked at.</summary>
    private static readonly TimeSpan TickInterval = TimeSpan.FromSeconds(1);

    private readonly WebApplication _host;
    private readonly FileStream _lock;
    private readonly ITimer _ticks;
    private readonly IDisposable[] _owned;

    private Coordinator(WebApplication host, FileStream stateLock, RunRegistry runs, Sessions sessions, ModelRetention retention, EndingCredentials ending, TimeProvider time, IDisposable[] owned)
    {
        (_host, _lock, Runs, _owned) = (host, stateLock, runs, owned);
        Sessions = sessions;
        string[] addresses = [.. host.Services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()!.Addresses];
        (NodesAddress, OperatorsAddress) = (Reachable(addresses[0]), Reachable(addresses[1]));
        _ticks = time.CreateTimer(
            _ =>
            {
                runs.Tick();
                retention.Tick();
                ending.Tick();
            },
            null,
            TickInterval,
            TickInterval);
    }

    /// <summary>Where nodes dial on this machine, with the real port.</summary>
    public Uri NodesAddress { get; }

    /// <summary>Where operators dial on this machine, with the real port.</summary>
    public Uri OperatorsAddress { get; }

    internal RunRegistry Runs { get; }

    internal Sessions Sessions { get; }

    internal OpenCalls Calls => _host.Services.GetRequiredService<OpenCalls>();

    /// <summary>Restores the state and listens.</summary>
    /// <param name="strategies">Of one's own, as <see cref="StrategyBook"/> takes them.</param>
    /// <exception cref="InvalidInputException">The folder was not initialised, another coordinator uses it, or a port is in use.</exception>
    /// <exception cref="IOException">The PostgreSQL database cannot be reached.</exception>
    public static async Task<Coordinator> StartAsync(ServerConfiguration configuration, TimeProvider time, ILoggerFactory loggers, CancellationToken cancellationToken, IReadOnlyDictionary<string, Func<IReadOnlyDictionary<string, double>, Strategy>>? strategies = null)
    {
        var folder = new CoordinatorFolder(configuration.State);
        LostAuthority.RequireCa(folder, "`fed server init` makes one.");
        FileStream stateLock = TakeLock(folder);
        List<IDisposable> owned = [];
        try
        {
            CertificateAuthority ca = Own(CertificateAuthority.Load(folder.Ca));
            if (LostAuthority.KeyInLog(folder) is { } made && made != ca.SpkiSha256) throw new InvalidInputException(new Problem($"This is another federation's CA: its key has the SHA-256 {ca.SpkiSha256} (SPKI).", folder.Ca, Repair: LostAuthority.Repair(folder)));
            var own = new CoordinatorCertificate(ca, time);
            ILogger logger = loggers.CreateLogger("coordinator");
            ICoordinatorStore store = Own(OpenStore(configuration, folder, ca, logger, time));
            AdministrativeLog acts = Own(AdministrativeLog.Open(folder.Audit, time, logger));
            acts.KeepHead(store);
            var sessions = new Sessions(store, time);
            var context = new RunContext(store, new BlobStore(folder.Blobs), new Spool(folder.Spool), sessions, new Traffic(), new Signal(), time, logger, new StrategyBook(strategies), new StrategyFiles(folder.Strategies), acts);
            var retention = new ModelRetention(context, configuration.Retention);
            retention.Start();
            var ending = new EndingCredentials(store, time, logger);
            ending.Tick();
            var runs = new RunRegistry(context);
            WebApplication host = Build(configuration, time, ca, own, runs, context);
            await ListenAsync(host, configuration, cancellationToken);
            return new Coordinator(host, stateLock, runs, sessions, retention, ending, time, [.. owned]);
        }
        catch
        {
            foreach (IDisposable one in owned) one.Dispose();
            await stateLock.DisposeAsync();
            throw;
        }

        T Own<T>(T one)
            where T : IDisposable
        {
            owned.Add(one);
            return one;
        }
    }

    /// <summary>Waits until the token is cancelled.</summary>
    public static Task WaitForShutdownAsync(CancellationToken cancellationToken) => Task.Delay(Timeout.InfiniteTimeSpan, cancellationToken).ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);

    public async ValueTask DisposeAsync()
    {
        await _ticks.DisposeAsync();
        using (var hurry = new CancellationTokenSource(TimeSpan.Zero)) await _host.StopAsync(hurry.Token); // long polls would otherwise hold it up
        await _host.DisposeAsync();
        await Task.WhenAll(Runs.All.Select(run => run.Background));
        foreach (IDisposable one in _owned) one.Dispose();
        await _lock.DisposeAsync();
    }

    /// <exception cref="InvalidInputException">The database cannot be used.</exception>
    /// <exception cref="IOException">PostgreSQL cannot be reached, or another coordinator uses the database.</exception>
    internal static ICoordinatorStore OpenStore(ServerConfiguration configuration, CoordinatorFolder folder, CertificateAuthority ca, ILogger logger, TimeProvider time) =>
        configuration.Store is { } connection ? new PostgresStore(connection, ca.SpkiSha256, logger, time) : new SqliteStore(folder.Database, logger, time);

    private static async Task ListenAsync(WebApplication host, ServerConfiguration configuration, CancellationToken cancellationToken)
    {
        try
        {
            await host.StartAsync(cancellationToken);
        }
        catch (Exception error) when (error is IOException or SocketException)
        {
            await host.DisposeAsync();
            throw new InvalidInputException(new Problem($"Cannot listen on {configuration.Nodes} and {configuration.Operators}: {error.Message.TrimEnd('.')}.", Repair: "Choose free ports of this machine with --nodes and --operators."));
        }
        catch
        {
            await host.DisposeAsync();
            throw;
        }
    }

    /// <exception cref="InvalidInputException">A coordinator runs in the folder, or it cannot be written.</exception>
    internal static FileStream TakeLock(CoordinatorFolder folder)
    {
        try
        {
            return new FileStream(folder.Lock, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new InvalidInputException(new Problem($"The state folder is in use by another coordinator, or not writable: {error.Message}", folder.Path, Repair: "Stop the other one first, or give this user the right to write here."));
        }
    }

    private static WebApplication Build(ServerConfiguration configuration, TimeProvider time, CertificateAuthority ca, CoordinatorCertificate own, RunRegistry runs, RunContext context)
    {
        WebApplicationBuilder builder = WebApplication.CreateEmptyBuilder(new WebApplicationOptions());
        // The framework's own words for an error stand beside ours; operators need one line.
        builder.Services.AddSingleton<ILoggerFactory>(NullLoggerFactory.Instance);
        builder.Services.AddSingleton(typeof(ILogger<>), typeof(Logger<>));
        builder.Services.AddSingleton<IHostLifetime, NoLifetime>();
        builder.Services.AddSingleton(time).AddSingleton(ca).AddSingleton(context.Store).AddSingleton(context.Sessions).AddSingleton(context.Traffic).AddSingleton(context.Signal);
        builder.Services.AddSingleton(context).AddSingleton(runs).AddSingleton<RunTasks>().AddSingleton<UploadReceiver>().AddSingleton<OpenCalls>().AddSingleton<EnrolmentTries>().AddSingleton<SeenCertificates>().AddSingleton(new NodePace(configuration.NodeBandwidth, time)).AddSingleton<OperatorAccess>().AddSingleton<CallLimits>().AddSingleton<CallerInterceptor>().AddSingleton(new SiteCertificates(ca, time, configuration.SiteCertificates));
        builder.Services.AddRoutingCore();
        builder.Services.AddGrpc(options =>
        {
            options.MaxReceiveMessageSize = Limits.MessageBytes;
            options.MaxSendMessageSize = Limits.MessageBytes;
            options.Interceptors.Add<CallerInterceptor>();
        });
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration().ConfigureKestrel(kestrel =>
        {
            kestrel.AddServerHeader = false;
            // For strangers: CallLimits lifts it for everybody else. So long, because a coordinator that many call at once reads late.
            kestrel.Limits.MinRequestBodyDataRate = new MinDataRate(bytesPerSecond: 240, gracePeriod: TimeSpan.FromSeconds(15));
            Listen(kestrel, configuration.Nodes, own, new Listener(IsOperators: false));
            Listen(kestrel, configuration.Operators, own, new Listener(IsOperators: true));
        });
        WebApplication host = builder.Build();
        host.Use((http, next) => http.RequestServices.GetRequiredService<CallLimits>().CallAsync(http, next));
        host.UseRouting();
        host.MapGrpcService<EnrolmentService>();
        host.MapGrpcService<NodeService>();
        host.MapGrpcService<OperatorService>();
        return host;
    }

    private static void Listen(KestrelServerOptions kestrel, string address, CoordinatorCertificate own, Listener listener)
    {
        if (!IPEndPoint.TryParse(address, out IPEndPoint? endpoint)) throw new InvalidInputException(new Problem($"'{address}' is no listener.", Repair: "address:port is right, such as 0.0.0.0:8443."));
        kestrel.Listen(endpoint, listen =>
        {
            listen.Protocols = HttpProtocols.Http2;
            // Any certificate passes TLS; CallerInterceptor checks it for every call and can say what is wrong with it.
            listen.UseHttps(new TlsHandshakeCallbackOptions
            {
                HandshakeTimeout = TimeSpan.FromSeconds(30), // a thousand nodes that come back at once take two cores longer than the usual 10 s
                OnConnection = _ => ValueTask.FromResult(new SslServerAuthenticationOptions
                {
                    ServerCertificateContext = own.Context,
                    ClientCertificateRequired = true, // asked for; none is let through too
                    CertificateChainPolicy = CertificateProfile.NoChain,
#pragma warning disable CA5359 // as said above
                    RemoteCertificateValidationCallback = (_, _, _, _) => true,
#pragma warning restore CA5359
                    ApplicationProtocols = [SslApplicationProtocol.Http2],
                }),
            });
            listen.Use(next => connection =>
            {
                connection.Features.Set(listener);
                return kestrel.ApplicationServices.GetRequiredService<CallLimits>().ConnectAsync(connection, next);
            });
        });
    }

    private static Uri Reachable(string address)
    {
        var bound = new UriBuilder(address);
        if (bound.Host is "0.0.0.0" or "[::]") bound.Host = "127.0.0.1";
        return bound.Uri;
    }

    /// <summary>Signals are the program's business, not the listener's.</summary>
    private sealed class NoLifetime : IHostLifetime
    {
        public Task WaitForStartAsync(CancellationToken cancellationToken) => Task.CompletedTask;

        public Task StopAsync(CancellationToken cancellationToken) => Task.CompletedTask;
    }
}
