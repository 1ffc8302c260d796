using System.Text.Json;

namespace Federation.Cli.Tests;

/// <summary>kill -9 of the coordinator in each phase of a run with secure aggregation; members and contributors are processes, too.</summary>
public sealed class SecureKillTests : IAsyncLifetime
{
    private static readonly string[] s_sites = ["alpha", "beta", "gamma"];
    private readonly Workspace _workspace = new();
    private readonly List<Fed> _sites = [];
    private string _nodes = "", _operators = "";
    private Fed _server = null!;

    public async ValueTask InitializeAsync()
    {
        await Fed.RunAsync(_workspace.Folder, ["server", "init", "--state", "coordinator"]);
        await StartServerAsync("127.0.0.1:0", "127.0.0.1:0");
        foreach ((int i, string site) in s_sites.Index())
        {
            _workspace.WriteTable($"{site}.csv", i);
            _workspace.Write($"{site}.yaml", $"coordinator: {_nodes}\nstate: {site}-state\ndata: [ {{ id: demo, path: {site}.csv }} ]\n");
            FedResult invited = await OperateAsync("site", "invite", site);
            Assert.Equal(0, (await Fed.RunAsync(_workspace.Folder, ["node", "enroll", "--config", $"{site}.yaml"], input: invited.Output)).ExitCode);
            _sites.Add(Fed.Start(_workspace.Folder, ["node", "--config", $"{site}.yaml"]));
        }
    }

    public async ValueTask DisposeAsync()
    {
        foreach (Fed site in _sites) await site.DisposeAsync();
        await _server.DisposeAsync();
        _workspace.Dispose();
    }

    [Fact]
    public async Task Coordinator_KilledInEveryPhase_OpensEverySumOnce()
    {
        _workspace.Write("secure.yaml", Workspace.Spec.Replace("secureAggregation: none", "secureAggregation: { kind: threshold-bfv }", StringComparison.Ordinal)
            .Replace("minContributors: 2", "minContributors: 3", StringComparison.Ordinal).Replace("rounds: 4", "rounds: 6", StringComparison.Ordinal).Replace("every: 2", "every: 3", StringComparison.Ordinal));
        FedResult submitted = await OperateAsync("run", "submit", "secure.yaml", "--json");
        string run = submitted.Json.GetProperty("run").GetString()!;
        // Keys are being made; sites train; a sum is being opened; it is open and being decoded; sites evaluate.
        foreach ((string kind, int round) in new[] { ("site-ready", 0), ("round-opened", 1), ("round-closed", 2), ("opened", 3), ("model", 3), ("round-closed", 5) })
        {
            await using (Fed watch = Fed.Start(_workspace.Folder, Operate("run", "watch", run, "--json")))
            {
                await watch.LineAsync(line => line.Contains($"\"kind\":\"{kind}\"", StringComparison.Ordinal) && (round == 0 || line.Contains($"\"round\":{round},", StringComparison.Ordinal)));
            }

            await _server.KillAsync();
            await _server.DisposeAsync();
            await StartServerAsync(new Uri(_nodes).Authority, new Uri(_operators).Authority);
        }

        await OperateAsync("run", "watch", run, "--json");
        JsonElement shown = (await OperateAsync("run", "show", run, "--json")).Json;
        Assert.Equal("completed", shown.GetProperty("run").GetProperty("state").GetString());
        Assert.Equal(6, shown.GetProperty("rounds").EnumerateArray().Count(round => round.GetProperty("state").GetString() == "completed"));
        FedResult verified = await OperateAsync("run", "verify-transcript", run, "--json");
        Assert.True(verified.ExitCode == 0, verified.Output);
        string[] openings = [.. verified.Json.GetProperty("openings").EnumerateArray().Select(opening => $"{opening.GetProperty("round")} {opening.GetProperty("purpose")}")];
        Assert.Equal(["1 update", "2 update", "3 evaluation", "3 update", "4 update", "5 update", "6 evaluation", "6 update"], openings.Distinct().Order(StringComparer.Ordinal));
    }

    private async Task StartServerAsync(string nodes, string operators)
    {
        _server = Fed.Start(_workspace.Folder, ["server", "--state", "coordinator", "--nodes", nodes, "--operators", operators, "--json"]);
        JsonElement started = JsonDocument.Parse(await _server.FirstLineAsync()).RootElement;
        (_nodes, _operators) = (started.GetProperty("nodes").GetString()!, started.GetProperty("operators").GetString()!);
    }

    private Task<FedResult> OperateAsync(params string[] args) => Fed.RunAsync(_workspace.Folder, Operate(args));

    private string[] Operate(params string[] args) => [.. args, "--coordinator", _operators, "--state", "coordinator"];
}
