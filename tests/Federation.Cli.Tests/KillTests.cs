using System.Text.Json;

namespace Federation.Cli.Tests;

/// <summary>kill -9 of real processes in the middle of a round; the run goes on.</summary>
public sealed class KillTests
{
    [Fact]
    public async Task Node_KilledInMidTraining_TakesPartAgainAfterItsRestart()
    {
        await using Scene scene = await Scene.StartAsync();
        string run = await scene.SubmitAsync();
        await scene.WaitForAsync(run, "contributed", "quick"); // the slow site is training
        await scene.Slow.KillAsync();
        await using Fed again = scene.StartNode("slow");
        JsonElement details = await scene.FinishAsync(run);
        Assert.Equal("completed", details.GetProperty("run").GetProperty("state").GetString());
        Assert.All(details.GetProperty("rounds").EnumerateArray(), round => Assert.Equal(2, round.GetProperty("contributors").GetArrayLength()));
    }

    [Fact]
    public async Task Coordinator_KilledInARound_GoesOnFromItsDatabase()
    {
        await using Scene scene = await Scene.StartAsync();
        string run = await scene.SubmitAsync();
        await scene.WaitForAsync(run, "contributed", "quick");
        await scene.RestartServerAsync();
        JsonElement details = await scene.FinishAsync(run);
        Assert.Equal("completed", details.GetProperty("run").GetProperty("state").GetString());
        // What the quick site had contributed before the kill still counts, once.
        JsonElement first = details.GetProperty("rounds").EnumerateArray().First();
        Assert.Equal(["quick", "slow"], first.GetProperty("contributors").EnumerateArray().Select(site => site.GetString()));
    }

    /// <summary>A coordinator and two sites, one of which trains for seconds.</summary>
    private sealed class Scene : IAsyncDisposable
    {
        private readonly Workspace _workspace = new();
        private string _nodes = "", _operators = "";
        private Fed _server = null!, _quick = null!;

        public Fed Slow { get; private set; } = null!;

        public static async Task<Scene> StartAsync()
        {
            var scene = new Scene();
            await scene.FedAsync("server", "init", "--state", "coordinator");
            await scene.StartServerAsync("127.0.0.1:0", "127.0.0.1:0");
            foreach ((string site, int copies) in new[] { ("quick", 1), ("slow", 60) })
            {
                scene._workspace.WriteTable($"{site}.csv", copies);
                string[] lines = File.ReadAllLines(scene._workspace[$"{site}.csv"]);
                File.WriteAllLines(scene._workspace[$"{site}.csv"], [lines[0], .. Enumerable.Repeat(lines[1..], copies).SelectMany(rows => rows)]);
                scene._workspace.Write($"{site}.yaml", $"coordinator: {scene._nodes}\nstate: {site}-state\ndata: [ {{ id: demo, path: {site}.csv }} ]\n");
                FedResult invited = await scene.OperateAsync("site", "invite", site);
                Assert.Equal(0, (await Fed.RunAsync(scene._workspace.Folder, ["node", "enroll", "--config", $"{site}.yaml"], input: invited.Output)).ExitCode);
            }

            (scene._quick, scene.Slow) = (scene.StartNode("quick"), scene.StartNode("slow"));
            return scene;
        }

        public Fed StartNode(string site) => Fed.Start(_workspace.Folder, ["node", "--config", $"{site}.yaml"]);

        public async Task<string> SubmitAsync()
        {
            string spec = File.ReadAllText(_workspace["run.yaml"]);
            spec = System.Text.RegularExpressions.Regex.Replace(spec, "(?m)^rounds: .*$", "rounds: 2");
            spec = System.Text.RegularExpressions.Regex.Replace(spec, "epochs: [0-9]+", "epochs: 20");
            spec = System.Text.RegularExpressions.Regex.Replace(spec, "batchSize: [0-9]+", "batchSize: 16");
            _workspace.Write("run.yaml", System.Text.RegularExpressions.Regex.Replace(spec, "(?m)^cohort: .*$", "cohort: { sites: [quick, slow], minContributors: 2, deadline: 60s }"));
            FedResult submitted = await OperateAsync("run", "submit", "run.yaml", "--json");
            Assert.Equal((0, ""), (submitted.ExitCode, submitted.ExitCode == 0 ? "" : submitted.Error));
            return submitted.Json.GetProperty("run").GetString()!;
        }

        /// <summary>Reads the live events until this one.</summary>
        public async Task WaitForAsync(string run, string kind, string site)
        {
            await using Fed watch = Fed.Start(_workspace.Folder, Operate("run", "watch", run, "--json"));
            await watch.LineAsync(line => line.Contains($"\"kind\":\"{kind}\"", StringComparison.Ordinal) && line.Contains($"\"site\":\"{site}\"", StringComparison.Ordinal));
        }

        public async Task RestartServerAsync()
        {
            await _server.KillAsync();
            await StartServerAsync(new Uri(_nodes).Authority, new Uri(_operators).Authority);
        }

        public async Task<JsonElement> FinishAsync(string run)
        {
            await OperateAsync("run", "watch", run, "--json");
            FedResult shown = await OperateAsync("run", "show", run, "--json");
            return shown.Json;
        }

        public async ValueTask DisposeAsync()
        {
            foreach (Fed fed in new[] { _quick, Slow, _server }) await fed.DisposeAsync();
            _workspace.Dispose();
        }

        private async Task StartServerAsync(string nodes, string operators)
        {
            _server = Fed.Start(_workspace.Folder, ["server", "--state", "coordinator", "--nodes", nodes, "--operators", operators, "--json"]);
            JsonElement started = JsonDocument.Parse(await _server.FirstLineAsync()).RootElement;
            (_nodes, _operators) = (started.GetProperty("nodes").GetString()!, started.GetProperty("operators").GetString()!);
        }

        private async Task FedAsync(params string[] args) => Assert.Equal(0, (await Fed.RunAsync(_workspace.Folder, args)).ExitCode);

        private Task<FedResult> OperateAsync(params string[] args) => Fed.RunAsync(_workspace.Folder, Operate(args));

        private string[] Operate(params string[] args) => [.. args, "--coordinator", _operators, "--state", "coordinator"];
    }
}
