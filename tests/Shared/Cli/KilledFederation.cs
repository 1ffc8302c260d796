using System.Text.Json;

namespace Federation.Cli.Tests;

/// <summary>A coordinator and four sites, each a process, any of which can be killed while a run goes on.</summary>
internal sealed class KilledFederation : IAsyncDisposable
{
    private const string Coordinator = "coordinator";
    private const int LongestPauseMs = 2500;
    private static readonly string[] s_sites = ["alpha", "beta", "gamma", "delta"];
    private static readonly TimeSpan Stuck = TimeSpan.FromMinutes(5);

    private readonly Workspace _workspace = new();
    private readonly Dictionary<string, Fed> _processes = [];
    private readonly Dictionary<string, int> _kills = [];
    private readonly Random _random;
    private string _nodes = "127.0.0.1:0", _operators = "127.0.0.1:0";

    private KilledFederation(Random random) => _random = random;

    /// <summary>How often each process was killed.</summary>
    public IReadOnlyDictionary<string, int> Kills => _kills;

    public static async Task<KilledFederation> StartAsync(Random random)
    {
        var federation = new KilledFederation(random);
        await federation.StartAsync();
        return federation;
    }

    public async ValueTask DisposeAsync()
    {
        foreach (Fed process in _processes.Values) await process.DisposeAsync();
        _workspace.Dispose();
    }

    /// <summary>One run to its end.</summary>
    /// <param name="kills">At most so many.</param>
    /// <returns>The models' hashes, by round.</returns>
    public async Task<string[]> RunAsync(int rounds, int seed, int kills, List<string> differences)
    {
        // A deadline that no kill reaches: who is killed comes back into the same round.
        _workspace.Write("killed.yaml", $$"""
            name: killed
            data: { schema: demo.schema.yaml }
            model: { kind: logistic }
            task: { kind: binary-classification, label: disease }
            rounds: {{rounds}}
            seed: {{seed}}
            cohort: { sites: all, minContributors: {{s_sites.Length}}, deadline: 1h }
            local: { optimizer: { kind: adam, learningRate: 0.05 }, batchSize: 16, epochs: 1 }
            privacy: none
            secureAggregation: { kind: threshold-bfv, threshold: 3 }
            strategy: { kind: fedadam }
            """);
        string run = (await RequireAsync(OperateAsync("run", "submit", "killed.yaml", "--json"))).Json.GetProperty("run").GetString()!;
        await using Fed watch = Fed.Start(_workspace.Folder, Operate("run", "watch", run, "--json"));
        await watch.FirstLineAsync(); // from here on it goes on by itself when the coordinator is away
        Task<FedResult> end = watch.EndAsync(Stuck);
        while (kills-- > 0 && await Task.WhenAny(end, Task.Delay(_random.Next(LongestPauseMs))) != end)
        {
            string victim = _processes.Keys.Order(StringComparer.Ordinal).ElementAt(_random.Next(_processes.Count));
            await _processes[victim].KillAsync();
            await _processes[victim].DisposeAsync();
            await StartAsync(victim);
            _kills[victim]++;
        }

        if ((await end).ExitCode != 0) differences.Add($"Run {run} was not completed: {(await end).ErrorLines.LastOrDefault()}");
        FedResult verified = await OperateAsync("run", "verify-transcript", run, "--json");
        if (verified.ExitCode != 0) differences.Add($"The transcript of run {run} does not hold: {verified.Error}");
        JsonElement models = (await RequireAsync(OperateAsync("model", "list", run, "--json"))).Json.GetProperty("models");
        return [.. models.EnumerateArray().OrderBy(model => model.GetProperty("round").GetInt32()).Select(model => model.GetProperty("sha256").GetString()!)];
    }

    private async Task StartAsync()
    {
        await RequireAsync(Fed.RunAsync(_workspace.Folder, ["server", "init", "--state", Coordinator]));
        await StartAsync(Coordinator);
        JsonElement started = JsonDocument.Parse(await _processes[Coordinator].FirstLineAsync()).RootElement;
        string nodes = started.GetProperty("nodes").GetString()!;
        (_nodes, _operators) = (new Uri(nodes).Authority, new Uri(started.GetProperty("operators").GetString()!).Authority);
        foreach ((int i, string site) in s_sites.Index())
        {
            _workspace.WriteTable($"{site}.csv", i);
            _workspace.Write($"{site}.yaml", $"coordinator: {nodes}\nstate: {site}-state\nthreads: 1\ndata: [ {{ id: demo, path: {site}.csv }} ]\n");
            FedResult invited = await RequireAsync(OperateAsync("site", "invite", site));
            await RequireAsync(Fed.RunAsync(_workspace.Folder, ["node", "enroll", "--config", $"{site}.yaml"], input: invited.Output));
            await StartAsync(site);
        }
    }

    private async Task StartAsync(string name)
    {
        _kills.TryAdd(name, 0);
        _processes[name] = Fed.Start(_workspace.Folder, name == Coordinator
            ? ["server", "--state", Coordinator, "--nodes", _nodes, "--operators", _operators, "--json"]
            : ["node", "--config", $"{name}.yaml"]);
        if (name == Coordinator && _operators.EndsWith(":0", StringComparison.Ordinal)) await _processes[name].FirstLineAsync();
    }

    /// <summary>Again while the coordinator is on its way back.</summary>
    private async Task<FedResult> OperateAsync(params string[] args)
    {
        for (int tries = 1; ; tries++)
        {
            FedResult result = await Fed.RunAsync(_workspace.Folder, Operate(args));
            if (result.ExitCode == 0 || tries == 10) return result;
        }
    }

    private string[] Operate(params string[] args) => [.. args, "--coordinator", $"https://{_operators}", "--state", Coordinator];

    private static async Task<FedResult> RequireAsync(Task<FedResult> running)
    {
        FedResult result = await running;
        return result.ExitCode == 0 ? result : throw new InvalidOperationException($"fed failed: {result.Error}");
    }
}
