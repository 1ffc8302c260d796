using System.Text.Json;

namespace Federation.Cli.Tests;

/// <summary>A node's privacy ledger in real processes: every release is in it, its head is with the coordinator, an old copy put back stops the node.</summary>
public sealed class LedgerTests
{
    [Fact]
    public async Task Ledger_CopiedBackAfterMoreRounds_StopsTheNodeUntilTheLossIsAccepted()
    {
        await using Scene scene = await Scene.StartAsync();
        Assert.Equal("completed", await scene.RunAsync(1));
        await scene.EndNodesAsync();
        string ledger = Path.Combine("alpha-state", "ledger.db");
        File.Copy(scene.Workspace[ledger], scene.Workspace["old.db"]);
        int before = await scene.RecordsAsync();

        scene.StartNodes();
        Assert.Equal("completed", await scene.RunAsync(2));
        await scene.EndNodesAsync();
        int after = await scene.RecordsAsync();
        Assert.True(after > before);
        JsonElement known = await scene.KnownAsync("alpha");
        File.Copy(scene.Workspace[ledger], scene.Workspace["newest.db"]);
        File.Copy(scene.Workspace["old.db"], scene.Workspace[ledger], overwrite: true);
        // What the coordinator was shown last is one before the last confirmation.
        int shown = known.GetProperty("count").GetInt32();
        Assert.InRange(shown, before + 1, after);

        FedResult stopped = await Fed.RunAsync(scene.Workspace.Folder, ["node", "--config", "alpha.yaml"]);

        Assert.Equal(1, stopped.ExitCode);
        Assert.Contains(stopped.ErrorLines, line => line.Contains($"The ledger of 'demo' was rolled back from {shown} to {before}.", StringComparison.Ordinal) && line.Contains("--accept-loss", StringComparison.Ordinal));
        FedResult verified = await Fed.RunAsync(scene.Workspace.Folder, ["privacy", "verify", ledger, "--known", $"{shown}:{known.GetProperty("hash").GetString()}", "--json"]);
        Assert.Equal(1, verified.ExitCode);
        await OutputSchema.AssertValidAsync("privacy-verify", verified.Output);
        Assert.Contains($"rolled back from {shown} to {before}", verified.Output, StringComparison.Ordinal);

        scene.StartNodes("--accept-loss");
        Assert.Equal("completed", await scene.RunAsync(1));
        await scene.EndNodesAsync();
        FedResult list = await Fed.RunAsync(scene.Workspace.Folder, ["privacy", "ledger", ledger, "--records", "--json"]);
        Assert.Equal((0, ""), (list.ExitCode, list.Error));
        await OutputSchema.AssertValidAsync("privacy-ledger", list.Output);
        JsonElement summary = Assert.Single(list.Json.GetProperty("dataSets").EnumerateArray());
        Assert.Equal(1, summary.GetProperty("losses").GetInt32());
        Assert.Equal("Infinity", summary.GetProperty("epsilon").GetString()); // nothing here adds noise, and the ledger says so
        Assert.Equal(0, (await Fed.RunAsync(scene.Workspace.Folder, ["privacy", "verify", ledger])).ExitCode);
    }

    [Fact]
    public async Task Node_WithABudget_RefusesARunWithoutNoise()
    {
        await using Scene scene = await Scene.StartAsync("budget: { epsilon: 3, delta: 1e-5 }");
        Assert.NotEqual("completed", await scene.RunAsync(1));
        FedResult shown = await scene.OperateAsync("run", "show", "--json");
        Assert.Contains("The privacy budget of 'demo' (ε = 3) allows no release without noise.", shown.Output, StringComparison.Ordinal);
        Assert.Equal(2, await scene.RecordsAsync()); // opened, budget
    }

    /// <summary>A coordinator and two sites.</summary>
    private sealed class Scene : IAsyncDisposable
    {
        private static readonly string[] Sites = ["alpha", "beta"];
        private readonly List<Fed> _nodes = [];
        private Fed _server = null!;
        private string _operators = "";

        public Workspace Workspace { get; } = new();

        public static async Task<Scene> StartAsync(string data = "")
        {
            var scene = new Scene();
            Assert.Equal(0, (await Fed.RunAsync(scene.Workspace.Folder, ["server", "init", "--state", "coordinator"])).ExitCode);
            scene._server = Fed.Start(scene.Workspace.Folder, ["server", "--state", "coordinator", "--nodes", "127.0.0.1:0", "--operators", "127.0.0.1:0", "--json"]);
            JsonElement started = JsonDocument.Parse(await scene._server.FirstLineAsync()).RootElement;
            scene._operators = started.GetProperty("operators").GetString()!;
            foreach (string site in Sites)
            {
                scene.Workspace.WriteTable($"{site}.csv", site.Length);
                scene.Workspace.Write($"{site}.yaml", $"coordinator: {started.GetProperty("nodes").GetString()}\nstate: {site}-state\ndata:\n  - {{ id: demo, path: {site}.csv{(data.Length > 0 ? ", " + data : "")} }}\n");
                FedResult invited = await scene.OperateAsync("site", "invite", site);
                Assert.Equal(0, (await Fed.RunAsync(scene.Workspace.Folder, ["node", "enroll", "--config", $"{site}.yaml"], input: invited.Output)).ExitCode);
            }

            scene.StartNodes();
            return scene;
        }

        public Task<FedResult> OperateAsync(params string[] args) => Fed.RunAsync(Workspace.Folder, [.. args, "--coordinator", _operators, "--state", "coordinator"]);

        public void StartNodes(params string[] args)
        {
            foreach (string site in Sites) _nodes.Add(Fed.Start(Workspace.Folder, ["node", "--config", $"{site}.yaml", .. args]));
        }

        public async Task EndNodesAsync()
        {
            foreach (Fed node in _nodes)
            {
                await node.InterruptAsync();
                await node.EndAsync();
                await node.DisposeAsync();
            }

            _nodes.Clear();
        }

        /// <returns>The run's last state.</returns>
        public async Task<string> RunAsync(int rounds)
        {
            Workspace.Write("run.yaml", Workspace.Spec.Replace("rounds: 4", $"rounds: {rounds}", StringComparison.Ordinal).Replace("every: 2", "every: 1", StringComparison.Ordinal).Replace("sites: all", "sites: [alpha, beta]", StringComparison.Ordinal));
            FedResult submitted = await OperateAsync("run", "submit", "run.yaml", "--watch", "--json");
            return submitted.Json.GetProperty("state").GetString()!;
        }

        public async Task<int> RecordsAsync()
        {
            FedResult list = await Fed.RunAsync(Workspace.Folder, ["privacy", "ledger", "--state", "alpha-state", "--json"]);
            Assert.Equal((0, ""), (list.ExitCode, list.Error));
            return list.Json.GetProperty("dataSets")[0].GetProperty("records").GetInt32();
        }

        public async Task<JsonElement> KnownAsync(string site)
        {
            FedResult list = await OperateAsync("site", "list", "--json");
            await OutputSchema.AssertValidAsync("site-list", list.Output);
            return list.Json.GetProperty("sites").EnumerateArray().Single(entry => entry.GetProperty("name").GetString() == site).GetProperty("ledgers")[0];
        }

        public async ValueTask DisposeAsync()
        {
            foreach (Fed node in _nodes) await node.DisposeAsync();
            await _server.DisposeAsync();
            Workspace.Dispose();
        }
    }
}
