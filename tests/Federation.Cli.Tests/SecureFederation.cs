using System.Text.Json;

namespace Federation.Cli.Tests;

/// <summary>Several classes look at one.</summary>
[CollectionDefinition(SecureFederation.Name)]
public sealed class SharedSecureFederation : ICollectionFixture<SecureFederation>;

/// <summary>A run whose coordinator sees nothing but sums, by the command line alone: three sites, keys that are rotated under way, an evaluation, and its transcripts in a folder.</summary>
public sealed class SecureFederation : IAsyncLifetime
{
    public const string Name = "secure federation";

    public static readonly string[] Sites = ["alpha", "beta", "gamma"];
    private readonly List<Fed> _nodes = [];
    private Fed? _server;
    private string _operators = "";

    internal Workspace Workspace { get; } = new();

    internal string Run { get; private set; } = "";

    /// <summary>Before any site enrolled.</summary>
    internal FedResult RosterOfNobody { get; private set; } = new(-1, "", "");

    internal FedResult Rotated { get; private set; } = new(-1, "", "");

    /// <summary>At a site, while the run went on.</summary>
    internal FedResult RosterAtSite { get; private set; } = new(-1, "", "");

    internal FedResult Watched { get; private set; } = new(-1, "", "");

    internal FedResult Verified { get; private set; } = new(-1, "", "");

    internal FedResult Statistics { get; private set; } = new(-1, "", "");

    internal Task<FedResult> OperateAsync(params string[] args) => Fed.RunAsync(Workspace.Folder, [.. args, "--coordinator", _operators, "--state", "coordinator"]);

    public async ValueTask InitializeAsync()
    {
        await Fed.RunAsync(Workspace.Folder, ["server", "init", "--state", "coordinator"]);
        _server = Fed.Start(Workspace.Folder, ["server", "--state", "coordinator", "--nodes", "127.0.0.1:0", "--operators", "127.0.0.1:0", "--json"]);
        JsonElement started = JsonDocument.Parse(await _server.FirstLineAsync()).RootElement;
        _operators = started.GetProperty("operators").GetString()!;
        RosterOfNobody = await OperateAsync("roster", "show");
        for (int i = 0; i < Sites.Length; i++) await EnrollAsync(Sites[i], i, started.GetProperty("nodes").GetString()!);
        foreach (string site in Sites) _nodes.Add(Fed.Start(Workspace.Folder, ["node", "--config", $"{site}.yaml"]));

        Workspace.Write("secure.yaml", Workspace.Spec.Replace("secureAggregation: none", "secureAggregation: { kind: threshold-bfv }", StringComparison.Ordinal)
            .Replace("minContributors: 2", "minContributors: 3", StringComparison.Ordinal).Replace("rounds: 4", "rounds: 8", StringComparison.Ordinal).Replace("every: 2", "every: 8", StringComparison.Ordinal));
        FedResult submitted = await OperateAsync("run", "submit", "secure.yaml", "--json");
        Run = submitted.Json.GetProperty("run").GetString()!;
        await using Fed watch = Fed.Start(Workspace.Folder, ["run", "watch", Run, "--json", "--coordinator", _operators, "--state", "coordinator"]);
        await watch.LineAsync(line => line.Contains("\"keys-made\"", StringComparison.Ordinal));
        await _nodes[^1].InterruptAsync("STOP"); // the round waits for it
        Rotated = await OperateAsync("run", "rotate-keys", Run, "--json");
        RosterAtSite = await Fed.RunAsync(Workspace.Folder, ["roster", "show", "--config", "alpha.yaml", "--json"]);
        await _nodes[^1].InterruptAsync("CONT");
        Watched = await watch.EndAsync();
        Verified = await OperateAsync("run", "verify-transcript", Run, "--out", "transcript", "--json");
        Statistics = await OperateAsync("data", "stats", "demo.schema.yaml", "--column", "age", "--column", "chol", "--column", "cp", "--bins", "35", "--json");
    }

    public async ValueTask DisposeAsync()
    {
        foreach (Fed node in _nodes) await node.DisposeAsync();
        if (_server is not null) await _server.DisposeAsync();
        Workspace.Dispose();
    }

    private async Task EnrollAsync(string site, int index, string nodes)
    {
        Workspace.WriteTable($"{site}.csv", index);
        Workspace.Write($"{site}.yaml", $"coordinator: {nodes}\nstate: {site}-state\npolicy: {{ statistics: allowed }}\ndata: [ {{ id: demo, path: {site}.csv }} ]\n");
        FedResult invited = await OperateAsync("site", "invite", site);
        FedResult enrolled = await Fed.RunAsync(Workspace.Folder, ["node", "enroll", "--config", $"{site}.yaml", "--json"], input: invited.Output);
        Assert.True(enrolled.ExitCode == 0, enrolled.Error);
    }
}
