using System.Text.Json;

namespace Federation.Cli.Tests;

/// <summary>One whole life by the command line alone: a coordinator, two sites that train, one whose file lacks a column, and a completed run.</summary>
public sealed class LiveFederation : IAsyncLifetime
{
    public const string Broken = "broken";
    private static readonly string[] Sites = ["alpha", "beta", Broken];
    private readonly List<Fed> _nodes = [];
    private Fed? _server;

    internal Workspace Workspace { get; } = new();

    internal string OperatorsUrl { get; private set; } = "";

    internal string NodesUrl { get; private set; } = "";

    internal FedResult Submitted { get; private set; } = new(-1, "", "");

    internal JsonElement Started { get; private set; }

    internal Dictionary<string, FedResult> Enrolled { get; } = [];

    /// <summary>A verb of the operator, with the address and credential of this coordinator.</summary>
    internal Task<FedResult> OperateAsync(params string[] args) =>
        Fed.RunAsync(Workspace.Folder, [.. args, "--coordinator", OperatorsUrl, "--state", "coordinator"]);

    /// <summary>A new node process of a site.</summary>
    internal Fed StartNode(string site, params string[] args) => Fed.Start(Workspace.Folder, ["node", "--config", $"{site}.yaml", .. args]);

    public async ValueTask InitializeAsync()
    {
        FedResult init = await Fed.RunAsync(Workspace.Folder, ["server", "init", "--state", "coordinator"]);
        Assert.Equal((0, ""), (init.ExitCode, init.Error));
        _server = Fed.Start(Workspace.Folder, ["server", "--state", "coordinator", "--nodes", "127.0.0.1:0", "--operators", "127.0.0.1:0", "--json"]);
        Started = JsonDocument.Parse(await _server.FirstLineAsync()).RootElement;
        (NodesUrl, OperatorsUrl) = (Started.GetProperty("nodes").GetString()!, Started.GetProperty("operators").GetString()!);
        await Task.WhenAll(Sites.Select((site, index) => EnrollAsync(site, index)));
        File.WriteAllLines(Workspace[$"{Broken}.csv"], File.ReadAllLines(Workspace[$"{Broken}.csv"]).Select(line => line.Replace("chol", "cholesterol", StringComparison.Ordinal)));
        foreach (string site in Sites) _nodes.Add(StartNode(site));
        Submitted = await OperateAsync("run", "submit", "run.yaml", "--watch", "--json");
    }

    public async ValueTask DisposeAsync()
    {
        foreach (Fed node in _nodes) await node.DisposeAsync();
        if (_server is not null) await _server.DisposeAsync();
        Workspace.Dispose();
    }

    private async Task EnrollAsync(string site, int index)
    {
        Workspace.WriteTable($"{site}.csv", index);
        Workspace.Write($"{site}.yaml", $"coordinator: {NodesUrl}\nstate: {site}-state\ndata: [ {{ id: demo, path: {site}.csv }} ]\n");
        FedResult invited = await OperateAsync("site", "invite", site);
        Assert.Equal(0, invited.ExitCode);
        FedResult enrolled = await Fed.RunAsync(Workspace.Folder, ["node", "enroll", "--config", $"{site}.yaml", "--json"], input: invited.Output);
        lock (Enrolled) Enrolled[site] = enrolled;
    }
}
