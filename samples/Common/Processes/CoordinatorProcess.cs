using Federation.Formats.Configuration;
using Federation.Server;
using Microsoft.Extensions.Logging.Abstractions;

namespace Federation.Samples.Processes;

/// <summary>The hidden verb <c>coordinator STATE</c>: prints its two addresses, runs until its parent is gone.</summary>
internal static class CoordinatorProcess
{
    public const string Verb = "coordinator";

    public static async Task<int> RunAsync(string state)
    {
        CancellationToken parentGone = ChildProcess.ParentGone();
        var configuration = new ServerConfiguration { State = state, Nodes = "127.0.0.1:0", Operators = "127.0.0.1:0" };
        await using Coordinator coordinator = await Coordinator.StartAsync(configuration, TimeProvider.System, NullLoggerFactory.Instance, parentGone);
        Console.WriteLine($"{coordinator.NodesAddress} {coordinator.OperatorsAddress}");
        await Coordinator.WaitForShutdownAsync(parentGone);
        return 0;
    }
}
