using System.CommandLine;
using System.CommandLine.Parsing;
using System.Globalization;
using Federation.Cli.CommandLine;
using Federation.Cli.Results;
using Federation.Cli.Terminal;
using Federation.Client;
using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Learning;
using Federation.Protocol.Identity;
using Microsoft.Extensions.Logging;

namespace Federation.Cli.Verbs;

/// <summary><c>fed node</c>: a site's own process.</summary>
internal static class NodeVerbs
{
    private const string DefaultConfig = "node.yaml";

    private static readonly Option<string> Config = new("--config") { Description = "The node's configuration.", HelpName = DefaultConfig, DefaultValueFactory = _ => DefaultConfig };

    private static readonly Option<string?> Coordinator = new("--coordinator") { Description = "The coordinator's address for nodes. Default: the configuration's.", HelpName = "url" };

    private static readonly Option<string?> Device = new("--device") { Description = "cpu, cuda or cuda:0. Default: the configuration's, else cpu.", HelpName = "device" };

    private static readonly Option<int?> Threads = new("--threads") { Description = "Threads for training, 1 to 4096. Default: the configuration's, else 1.", HelpName = "count", CustomParser = ParseThreads };

    private static readonly Option<string?> TokenFile = new("--token-file") { Description = "File with the invitation, or - for stdin. Default: FED_TOKEN_FILE, else stdin. Never on the command line, where others can see it.", HelpName = "file" };

    private static readonly Option<bool> ExitAfterRun = new("--exit-after-run") { Description = "End when a run that this node took part in has ended, instead of waiting for the next." };

    private static readonly Option<bool> AcceptLoss = new("--accept-loss") { Description = "Go on with a privacy ledger that is behind what the coordinator has seen of it: what the missing records had reserved is charged." };

    public static Verb Create() => new Verb("node", "Run a site's node: it dials the coordinator, trains on the site's own records and waits for the next task.", "fed node --config node.yaml\nfed node check --config node.yaml", "node")
        .With(Config, CommonOptions.State, Coordinator, Device, Threads, ExitAfterRun, AcceptLoss)
        .With(
            new Verb("enroll", "Make this site's key and get its certificate for an invitation.", "fed node enroll --coordinator https://coordinator.example.org:8443 --token-file token", "node-enroll")
                .With(Config, CommonOptions.State, Coordinator, TokenFile).Does(EnrollAsync),
            new Verb("check", "Check certificate, connection to the coordinator, clock, data, device, disk and budgets, each with what sets it right. Joins nothing. Exit code 1 if anything is wrong.", "fed node check --config node.yaml", "node-check")
                .With(Config, CommonOptions.State, Coordinator, Device, Threads).Does(CheckAsync),
            PolicyVerb.Create(Config, CommonOptions.State))
        .Does(RunAsync);

    private static async Task<int> RunAsync(Invocation invocation)
    {
        NodeConfiguration configuration = Configuration(invocation);
        TorchSharp.torch.Device device = TorchDevice.Parse(configuration.Device);
        TorchDevice.SetThreads(configuration.Threads);
        using ILoggerFactory logs = ConsoleLoggerProvider.CreateFactory();
        using var learner = new TabularLearner(configuration.Data, device);
        var options = new NodeOptions { Configuration = configuration, ExitAfterRun = invocation.Get(ExitAfterRun), AcceptLoss = invocation.Get(AcceptLoss), Time = TimeProvider.System };
        NodeOutcome outcome = await FederatedNode.RunAsync(options, learner, logs, invocation.Cancellation);
        invocation.Output.Result(new FinishedNode(outcome.RunId, outcome.State, outcome.ModelSha256.Length == 0 ? null : outcome.ModelSha256, outcome.Rounds, outcome.Reason), $"Run {outcome.RunId} {outcome.State} after {outcome.Rounds} rounds.");
        return outcome.State == "completed" ? ExitCode.Done : ExitCode.Failed;
    }

    private static async Task<int> EnrollAsync(Invocation invocation)
    {
        Uri address;
        string state;
        if (invocation.Get(Coordinator) is { } url)
        {
            address = CommonOptions.ParseAddress(url, Coordinator.Name, 8443);
            // A site may enrol before it has written its node.yaml; where there is one, its state folder counts.
            state = File.Exists(invocation.Get(Config)) ? Configuration(invocation).State : StateFolder.Resolve(invocation.Get(CommonOptions.State));
        }
        else if (File.Exists(invocation.Get(Config)))
        {
            NodeConfiguration configuration = Configuration(invocation);
            (address, state) = (configuration.Coordinator, configuration.State);
        }
        else
        {
            throw new InvalidInputException(new Problem("The coordinator's address is missing.", Field: Coordinator.Name, Repair: $"Say --coordinator https://host:8443, or name a {DefaultConfig} with --config."));
        }

        string token = await ReadTokenAsync(invocation);
        string site = await NodeEnrolment.EnrollAsync(address, token, state, invocation.Cancellation);
        using Credential credential = Credential.Load(Path.Combine(state, "identity.pem"), Path.Combine(state, "identity.key"));
        var result = new EnrolledNode(site, state, credential.Certificate.NotAfter.ToUniversalTime());
        invocation.Output.Result(result, $"This is now site '{site}'. Key and certificate are in {state}, readable by you alone.", "Next: fed node check, then fed node");
        return ExitCode.Done;
    }

    private static async Task<int> CheckAsync(Invocation invocation)
    {
        NodeReport report = await NodeCheck.OfAsync(Configuration(invocation), invocation.Cancellation);
        invocation.Output.Result(report, NodeCheck.Lines(report));
        return report.Checks.All(line => line.Ok) ? ExitCode.Done : ExitCode.Failed;
    }

    public static NodeConfiguration Configuration(Invocation invocation)
    {
        var configuration = NodeConfiguration.Load(invocation.Get(Config)!, invocation.Get(CommonOptions.State));
        if (invocation.Get(Coordinator) is { } url) configuration = configuration with { Coordinator = CommonOptions.ParseAddress(url, Coordinator.Name, 8443) };
        if (invocation.Arguments.GetResult(Device) is not null && invocation.Get(Device) is { } device) configuration = configuration with { Device = device };
        if (invocation.Arguments.GetResult(Threads) is not null && invocation.Get(Threads) is { } threads) configuration = configuration with { Threads = threads };
        return configuration;
    }

    private static int? ParseThreads(ArgumentResult result)
    {
        string text = result.Tokens[0].Value;
        if (int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out int threads) && threads is >= 1 and <= 4096) return threads;
        result.AddError($"'{text}' is no number of threads; a whole number from 1 to 4096 is right.");
        return null;
    }

    private static async Task<string> ReadTokenAsync(Invocation invocation)
    {
        string source = invocation.Get(TokenFile) ?? (Environment.GetEnvironmentVariable("FED_TOKEN_FILE") is { Length: > 0 } variable ? variable : "-");
        if (source != "-") return TextFile.Read(source).Trim();
        if (!Console.IsInputRedirected) invocation.Output.Note("Paste the invitation token and press Enter:");
        return (await Console.In.ReadLineAsync(invocation.Cancellation) ?? "").Trim();
    }
}
