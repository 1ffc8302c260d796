using System.CommandLine;
using Federation.Cli.CommandLine;
using Federation.Cli.Results;
using Federation.Cli.Terminal;
using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Server;
using Federation.Server.Identity;
using Microsoft.Extensions.Logging;

namespace Federation.Cli.Verbs;

/// <summary><c>fed server</c>: the coordinator.</summary>
internal static class ServerVerbs
{
    private const string DefaultConfig = "server.yaml";

    internal static readonly Option<string?> Config = new("--config") { Description = $"Configuration. Default: ./{DefaultConfig} where there is one.", HelpName = DefaultConfig };

    private static readonly Option<string?> Nodes = new("--nodes") { Description = "Listen for nodes here (mutual TLS). Default: 0.0.0.0:8443. Port 0 takes a free one.", HelpName = "addr:port" };

    private static readonly Option<string?> Operators = new("--operators") { Description = "Listen for operators here. Default: 127.0.0.1:8444.", HelpName = "addr:port" };

    private static readonly Option<string?> SiteCertificates = new("--site-certificates") { Description = $"How long a site's certificate is valid: {ServerConfiguration.LifetimeRule}. Nodes renew theirs by themselves. Default: 30d.", HelpName = "time" };

    private static readonly Option<string?> NodeBandwidth = new("--node-bandwidth") { Description = $"Most bytes a second to and from one node: {ServerConfiguration.BandwidthRule}. Default: no limit.", HelpName = "bytes" };

    internal static readonly Option<string?> Store = new("--store") { Description = "Keep the state in PostgreSQL: a connection string without a password (Host=db;Database=fed;Username=fed), or the file that holds one. Default: FED_STORE, else SQLite in the state folder.", HelpName = "text|file" };

    private static readonly Option<string?> CaCertificate = new("--ca-certificate") { Description = "Take your organisation's CA instead of making one: its certificate (PEM; a subordinate CA with path length 0 is enough). With --ca-key.", HelpName = "file" };

    private static readonly Option<string?> CaKey = new("--ca-key") { Description = "The key of --ca-certificate (PEM, not encrypted): ECDSA on P-256 or P-384, or RSA of at least 2048 bits. It is kept in the state folder.", HelpName = "file" };

    public static Verb Create() => new Verb("server", "Run the coordinator.", "fed server --state ./coordinator --nodes 0.0.0.0:8443\nfed server --state ./coordinator --store store.txt\nfed server init --state ./coordinator", "server")
        .With(CommonOptions.State, Config, Store, Nodes, Operators, SiteCertificates, NodeBandwidth)
        .With(BackupVerbs.Backup(), BackupVerbs.Restore(), AdminVerb.Create())
        .With(new Verb("init", "Make the federation's CA and the operator's credential, once.", "fed server init --state ./coordinator\nfed server init --state ./coordinator --ca-certificate ca.crt --ca-key ca.key", "server-init").With(CommonOptions.State, Config, CaCertificate, CaKey).Does(InitAsync))
        .Does(RunAsync);

    private static Task<int> InitAsync(Invocation invocation)
    {
        string state = Configuration(invocation).State;
        (string Certificate, string Key)? own = (invocation.Get(CaCertificate), invocation.Get(CaKey)) switch
        {
            ({ } certificate, { } key) => (certificate, key),
            (null, null) => null,
            ({ }, null) => throw new InvalidInputException(new Problem("The CA's key is missing.", Field: CaKey.Name, Repair: $"Name its file beside {CaCertificate.Name}.")),
            (null, { }) => throw new InvalidInputException(new Problem("The CA's certificate is missing.", Field: CaCertificate.Name, Repair: $"Name its file beside {CaKey.Name}.")),
        };
        CoordinatorSetup.Initialize(state, own: own);
        var result = new InitializedServer(state, Path.Combine(state, "ca", "ca.pem"), Path.Combine(state, "ca", "admin.pem"));
        invocation.Output.Result(result, $"{(own is null ? "Made the federation's CA" : "Copied your CA and its key, the federation's CA from now on,")} in {Path.Combine(state, "ca")}, readable by you alone.", $"The operator's credential is {result.AdminCredential}.", $"Next: fed server --state {state}");
        return Task.FromResult(ExitCode.Done);
    }

    private static async Task<int> RunAsync(Invocation invocation)
    {
        ServerConfiguration configuration = Configuration(invocation);
        configuration = configuration with
        {
            Nodes = Listener(invocation, Nodes) ?? configuration.Nodes,
            Operators = Listener(invocation, Operators) ?? configuration.Operators,
            NodeBandwidth = Bandwidth(invocation) ?? configuration.NodeBandwidth,
            SiteCertificates = Lifetime(invocation) ?? configuration.SiteCertificates,
        };
        using ILoggerFactory logs = ConsoleLoggerProvider.CreateFactory();
        await using Coordinator coordinator = await Coordinator.StartAsync(configuration, TimeProvider.System, logs, invocation.Cancellation);
        var result = new RunningServer(coordinator.NodesAddress, coordinator.OperatorsAddress, configuration.State);
        invocation.Output.Result(result, $"Coordinator of {result.State}: nodes connect to {Shown(result.Nodes)}, operators to {Shown(result.Operators)}. Ctrl-C ends it.");
        await Coordinator.WaitForShutdownAsync(invocation.Cancellation);
        return invocation.Cancellation.IsCancellationRequested ? ExitCode.Interrupted : ExitCode.Done;
    }

    internal static ServerConfiguration Configuration(Invocation invocation)
    {
        string? state = invocation.Get(CommonOptions.State);
        string? path = invocation.Get(Config) ?? (File.Exists(DefaultConfig) ? DefaultConfig : null);
        string? store = invocation.Get(Store);
        if (store is not null && new ConnectionString(store).HasPassword) throw new InvalidInputException(new Problem("A password on the command line can be read by everybody on this machine.", Field: Store.Name, Repair: "Name a file that holds the connection string, or set FED_STORE."));
        return path is null ? new ServerConfiguration { State = StateFolder.Resolve(state), Store = ServerConfiguration.ResolveStore(store) } : ServerConfiguration.Load(path, state, store);
    }

    private static string? Listener(Invocation invocation, Option<string?> option)
    {
        if (invocation.Get(option) is not { } text) return null;
        return ServerConfiguration.IsListener(text) ? text : throw new InvalidInputException(new Problem($"'{text}' is no listener.", Field: option.Name, Repair: "An IP address and a port are right, such as 0.0.0.0:8443."));
    }

    private static TimeSpan? Lifetime(Invocation invocation) => invocation.Get(SiteCertificates) is not { } text ? null
        : ServerConfiguration.ParseLifetime(text) ?? throw new InvalidInputException(new Problem($"'{text}' is no lifetime of certificates.", Field: SiteCertificates.Name, Repair: $"{ServerConfiguration.LifetimeRule} is right."));

    private static long? Bandwidth(Invocation invocation) => invocation.Get(NodeBandwidth) is not { } text ? null
        : ServerConfiguration.ParseBandwidth(text) ?? throw new InvalidInputException(new Problem($"'{text}' is no bandwidth.", Field: NodeBandwidth.Name, Repair: $"{ServerConfiguration.BandwidthRule} is right."));

    private static string Shown(Uri address) => address.GetLeftPart(UriPartial.Authority);
}
