using System.Globalization;
using Federation.Benchmarks.Load;
using Federation.Client;
using Federation.Formats.Models;
using Federation.V1;
using Grpc.Core;
using Microsoft.Extensions.Logging.Abstractions;

namespace Federation.Benchmarks;

/// <summary>One whole secure round over gRPC on loopback: the coordinator as a process of its own, whose peak memory is read at the end, the nodes in this process. Training takes no time: the update is there.</summary>
internal static class SecureRoundBenchmark
{
    public static async Task<int> Run(string[] args)
    {
        int parameters = 25_000_000, nodes = 10, bits = 14;
        for (int i = 0; i < args.Length; i += 2)
        {
            if (i + 1 == args.Length || !int.TryParse(args[i + 1], out int value) || value < 1 || args[i] is not ("--parameters" or "--nodes" or "--bits"))
            {
                Console.Error.WriteLine($"'{args[i]}' is not an option, or its number is not positive: --parameters N --nodes n --bits b.");
                return 2;
            }

            if (args[i] == "--parameters") parameters = value;
            else if (args[i] == "--nodes") nodes = value;
            else bits = value;
        }

        DirectoryInfo root = Directory.CreateTempSubdirectory("fed-secagg-round");
        try
        {
            await MeasureAsync(root.FullName, parameters, nodes, bits);
            return 0;
        }
        finally
        {
            root.Delete(recursive: true);
        }
    }

    private static async Task MeasureAsync(string root, int parameters, int nodes, int bits)
    {
        await using CoordinatorProcess coordinator = await CoordinatorProcess.StartAsync(Path.Combine(root, "coordinator"));
        ModelState update = LoadNodes.UpdateOf(parameters);
        List<Task<NodeOutcome>> working = [];
        for (int i = 1; i <= nodes; i++)
        {
            string site = $"site-{i}", folder = Path.Combine(root, site);
            InviteSiteReply invitation = await coordinator.Operator.InviteSiteAsync(new InviteSiteRequest { Name = site });
            await NodeEnrolment.EnrollAsync(coordinator.Nodes, invitation.Token, folder, CancellationToken.None);
            working.Add(Task.Run(() => FederatedNode.RunAsync(LoadNodes.OptionsOf(coordinator.Nodes, folder), new ReadyLearner(update), NullLoggerFactory.Instance, CancellationToken.None)));
        }

        string run = await coordinator.SubmitAsync(ServerLoadBenchmark.SpecOf("all", nodes, 1, $"{{ kind: threshold-bfv, cut: 0.01, bits: {bits}, maxWeight: 100 }}"), LoadNodes.InitialOf(parameters));
        Dictionary<string, long> at = [];
        using AsyncServerStreamingCall<RunEvent> watch = coordinator.Operator.WatchRun(new WatchRunRequest { RunId = run });
        await foreach (RunEvent happened in watch.ResponseStream.ReadAllAsync())
        {
            at[happened.Kind] = happened.UnixMs;
            if (happened.Kind is "failed" or "round-abandoned") throw new InvalidOperationException(happened.Message);
        }

        await Task.WhenAll(working);
        RunDetails details = await coordinator.Operator.ShowRunAsync(new ShowRunRequest { RunId = run });
        RoundSummary round = details.Rounds.Single();
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"{Measured.Machine()}; {parameters} parameters, {nodes} nodes, all on this machine"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"bytes a parameter uploaded      {(double)round.BytesUp / nodes / parameters:F3}"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"keys made in                    {(at["keys-made"] - at["submitted"]) / 1000.0:F2} s"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"downloads, encryption, uploads  {(at["round-closed"] - at["round-opened"]) / 1000.0:F2} s"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"opened after the close          {(at["opened"] - at["round-closed"]) / 1000.0:F2} s"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"summed and decoded after that   {(at["model"] - at["opened"]) / 1000.0:F2} s, {(at["model"] - at["opened"]) / (double)nodes:F0} ms a contribution"));
        Console.WriteLine(string.Create(CultureInfo.InvariantCulture, $"the coordinator's peak memory   {coordinator.PeakBytes / 1e6:F0} MB"));
    }
}
