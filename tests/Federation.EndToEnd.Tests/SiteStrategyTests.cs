using Federation.Client;
using Federation.Formats.Evaluation;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Learning.Models;
using Federation.V1;
using Grpc.Core;
using TorchSharp;
using static TorchSharp.torch;
using EvaluationSums = Federation.Formats.Evaluation.EvaluationSums;

namespace Federation.EndToEnd.Tests;

/// <summary>
/// Strategies with a part at the sites, two rounds over the network, in the clear and encrypted, with a restart of the coordinator and of a node in the second. Site k has n examples of the loss (w − t)²: (t, n) = (1, 1), (2, 2), (−1, 3).
/// A step of sgd with η = 0.1 is w ← w − 0.2(w − t); every figure below follows from its paper's equations by hand.
/// </summary>
public sealed class SiteStrategyTests
{
    private const string Clear = "none", Encrypted = "{ kind: threshold-bfv, cut: 32, maxWeight: 10 }";
    private static readonly (string Site, float Target, int Examples)[] s_sites = [("a", 1, 1), ("b", 2, 2), ("c", -1, 3)];

    public static TheoryData<string, string, string, double> Cases => new()
    {
        // FedProx, μ = 1: w ← w − 0.2(w − t) − 0.1(w − x), weighted by n. From 0: 0.2; 0.68 after 0.4; −0.438 after −0.2, −0.34: x = 0.041, and so on.
        { Clear, ", proximal: 1", "fedavg", 0.0670077 },
        { Encrypted, ", proximal: 1", "fedavg", 0.0670077 },
        // FedNova, ρ = 0.5: ‖a‖₁ = 1; 1.5 + 1; 1.75 + 1.5 + 1. τ_eff = (1·1 + 2·2.5 + 3·4.25)/6 = 3.125; Σ pᵢΔᵢ/‖aᵢ‖₁ = 0.0738824: x = 0.2308824, then + 3.125·0.0330660.
        { Clear, "momentum: 0.5", "fednova", 0.3342135 },
        { Encrypted, "momentum: 0.5", "fednova", 0.3342135 },
        // SCAFFOLD: round 1 with cᵢ = c = 0: Δy = 0.2, 0.72, −0.488, x = 0.144; c₁ = −0.2/0.1 = −2, c₂ = −0.72/0.2 = −3.6, c₃ = 0.488/0.3; c = −1.3244444. Round 2: y ← y − 0.1(2(y − t) − cᵢ + c).
        { Clear, "", "scaffold", 0.3186679 },
        { Encrypted, "", "scaffold", 0.3186679 },
        // q-FedAvg, q = 2, L = 10: F = 1, 4, 1; ΣΔ = −(2 + 115.2 − 4.88) = −112.32; Σh = (2·4 + 10) + (8·51.84 + 160) + (2·23.8144 + 10) = 650.3488: x = 0.1727073, then + 63.2919016/517.8933535.
        { Clear, "", "q-fedavg, q: 2", 0.2949176 },
        { Encrypted, "", "q-fedavg, q: 2", 0.2949176 },
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public async Task Run_OfTwoRounds_GivesThePapersModel(string secure, string local, string strategy, double expected)
    {
        await using RunningSites sites = await RunningSites.StartAsync("a", "b", "c");
        (string run, GatedLearner gate) = await BeginAsync(sites, secure, local, strategy, hasBias: false);
        await RestartAsync(sites, gate, hasBias: false);
        Assert.All(await sites.EndedAsync(), outcome => Assert.Equal(("completed", 2), (outcome.State, outcome.Rounds)));
        Assert.Equal(expected, Assert.Single(sites.Model(run)), 1e-5);
        Assert.Empty(Directory.EnumerateFiles(new NodeFolder(sites.Federation.NodeState("b")).Run(run), "*control*"));
    }

    [Fact] // a's update of round 2 is taken, and the round given up; round 3 changes the model without a, which has to go on from what it was after round 1
    public async Task Scaffold_WhereAnUpdateWasTakenAndDidNotCount_GoesOnFromTheOneThatDid()
    {
        await using RunningSites sites = await RunningSites.StartAsync("a", "b", "c");
        (string Site, int[] Fails)[] plan = [("a", [3]), ("b", [2]), ("c", [2])];
        foreach ((string site, int[] fails) in plan) sites.Run(site, sites.Own(new FailingLearner(Learner(site, hasBias: false), fails)));
        string run = await sites.Federation.SubmitAsync(Spec(Clear, "", "scaffold").Replace("rounds: 2", "rounds: 3", StringComparison.Ordinal).Replace("minContributors: 3", "minContributors: 2", StringComparison.Ordinal), "", ModelControls.Begin(Initial(hasBias: false)));
        Assert.All(await sites.EndedAsync(), outcome => Assert.Equal(("completed", 3), (outcome.State, outcome.Rounds)));
        Assert.Equal(["a, b, c", "a", "b, c", "a, b, c"], (await sites.Federation.ShowAsync(run)).Rounds.Select(round => string.Join(", ", round.Contributors)));
        Assert.Equal(Reckoned(32, "abc", "bc", "abc"), Assert.Single(sites.Model(run)), 1e-5);
    }

    [Fact] // its process ends between the coordinator's note that the update was taken and its own
    public async Task Scaffold_WhereANodeNeverHearsThatItsUpdateWasTaken_GoesOnFromIt()
    {
        await using RunningSites sites = await RunningSites.StartAsync("a", "b", "c");
        await using LyingCoordinator relay = await LyingCoordinator.StartAsync(sites.Federation, "a");
        var taken = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        relay.Keep = cancellation =>
        {
            taken.TrySetResult();
            return Task.Delay(Timeout.Infinite, cancellation);
        };
        sites.Run("a", sites.Own(Learner("a", hasBias: false)), relay.Address);
        foreach (string site in new[] { "b", "c" }) sites.Run(site, sites.Own(Learner(site, hasBias: false)));
        string run = await sites.Federation.SubmitAsync(Spec(Clear, "", "scaffold"), "", ModelControls.Begin(Initial(hasBias: false)));
        await taken.Task.WaitAsync(TestContext.Current.CancellationToken);
        await sites.StopAsync("a");
        await sites.Federation.WaitForAsync(run, "model"); // of round 1
        sites.Run("a", sites.Own(Learner("a", hasBias: false)));
        Assert.All(await sites.EndedAsync(), outcome => Assert.Equal(("completed", 2), (outcome.State, outcome.Rounds)));
        Assert.Equal(Reckoned(32, "abc", "abc"), Assert.Single(sites.Model(run)), 1e-5);
    }

    [Fact] // what is opened is less than a site has sent, and its control variate moves by that
    public async Task Scaffold_WhoseUpdatesAreCut_CountsWhatWasOpened()
    {
        await using RunningSites sites = await RunningSites.StartAsync("a", "b", "c");
        foreach ((string site, _, _) in s_sites) sites.Run(site, sites.Own(Learner(site, hasBias: false)));
        string run = await sites.Federation.SubmitAsync(Spec("{ kind: threshold-bfv, cut: 1.5, maxWeight: 10 }", "", "scaffold").Replace("rounds: 2", "rounds: 3", StringComparison.Ordinal), "", ModelControls.Begin(Initial(hasBias: false)));
        Assert.All(await sites.EndedAsync(), outcome => Assert.Equal(("completed", 3), (outcome.State, outcome.Rounds)));
        Assert.Equal(Reckoned(1.5, "abc", "abc", "abc"), Assert.Single(sites.Model(run)), 1e-4);
    }

    /// <summary>The paper's algorithm in double: the model after rounds with these contributors, whose updates are cut.</summary>
    private static double Reckoned(double cut, params string[] rounds)
    {
        const double step = 0.1;
        double x = 0, c = 0;
        Dictionary<string, double> own = s_sites.ToDictionary(site => site.Site, _ => 0.0);
        foreach (string contributors in rounds)
        {
            double moved = 0, changed = 0;
            foreach ((string site, float target, int examples) in s_sites.Where(site => contributors.Contains(site.Site, StringComparison.Ordinal)))
            {
                double y = x;
                for (int i = 0; i < examples; i++) y -= step * ((2 * (y - target)) - own[site] + c);
                // The vector is (Δy, Δc, a weight of 1 sent as the cut), clipped as a whole before each value is.
                double change = -c + ((x - y) / (examples * step)), norm = Math.Sqrt(((y - x) * (y - x)) + (change * change) + (cut * cut)), kept = Math.Min(1, cut * Math.Sqrt(3) / norm);
                change = Math.Clamp(kept * change, -cut, cut);
                own[site] += change;
                changed += change;
                moved += Math.Clamp(kept * (y - x), -cut, cut);
            }

            x += moved / contributors.Length;
            c += changed / s_sites.Length;
        }

        Assert.Equal(own.Values.Average(), c, 1e-12);
        return x;
    }

    [Theory] // FedBN: w + p, p each site's own. g = 2(w + p − t) for both; pᵢ after two rounds 0.3498667, 1.0589867, −0.6501973; w = 0.0862080, whose mean alone is sent. Then 2 epochs more.
    [InlineData(Clear)]
    [InlineData(Encrypted)]
    public async Task Run_WithAPersonalTensor_KeepsItAtTheSite(string secure)
    {
        await using RunningSites sites = await RunningSites.StartAsync("a", "b", "c");
        (string run, GatedLearner gate) = await BeginAsync(sites, secure, "", "fedavg", hasBias: true, "\npersonal: { tensors: [\"bi*\"], fineTuneEpochs: 2 }");
        await RestartAsync(sites, gate, hasBias: true);
        Assert.All(await sites.EndedAsync(), outcome => Assert.Equal(("completed", 2), (outcome.State, outcome.Rounds)));
        foreach ((string site, double weight, double bias) in new[] { ("a", 0.2666641, 0.5303228), ("b", 0.4582193, 1.4309979), ("c", -0.1216261, -0.8580314) })
        {
            string folder = new NodeFolder(sites.Federation.NodeState(site)).Run(run);
            Assert.Equal(0, Value(folder, "model", "bias"));
            Assert.Equal(0.0862080, Value(folder, "model", "weight"), 1e-5);
            Assert.Equal(weight, Value(folder, "personal", "weight"), 1e-5);
            Assert.Equal(bias, Value(folder, "personal", "bias"), 1e-5);
            Assert.Single(Directory.EnumerateFiles(folder, "*personal*"));
            IReadOnlyList<LocalMetricsLine> metrics = LocalMetrics.Read(folder);
            Assert.Equal([(0, null), (1, null), (1, "personal"), (2, null), (2, "personal"), (2, "fine-tuned")], metrics.Select(line => (line.Round, line.Kind)));
            Assert.True(metrics[^1].LogLoss < metrics[^2].LogLoss && metrics[^2].LogLoss < metrics[^3].LogLoss);
        }
    }

    [Fact] // else what was to stay would be sent under its true name
    public async Task Submit_APatternThatFitsNoTensor_IsRefused()
    {
        await using TestFederation federation = await TestFederation.StartAsync();
        RpcException refused = await Assert.ThrowsAsync<RpcException>(() => federation.SubmitAsync(Spec(Clear, "", "fedavg") + "\npersonal: { tensors: [biass] }", "", Initial(hasBias: true)));
        Assert.Equal(StatusCode.InvalidArgument, refused.StatusCode);
        Assert.Contains("'biass' fits no tensor of the model", refused.Status.Detail, StringComparison.Ordinal);
    }

    private static float Value(string folder, string file, string tensor) => ModelState.Read(Path.Combine(folder, file + ".safetensors")).Tensors.Single(one => one.Name == tensor).Values[0];

    private static async Task<(string Run, GatedLearner Gate)> BeginAsync(RunningSites sites, string secure, string local, string strategy, bool hasBias, string extra = "")
    {
        GatedLearner gate = sites.Gate("a", 2, Learner("a", hasBias));
        sites.Run("a", gate);
        sites.Run("b", sites.Gate("b", 2, Learner("b", hasBias)));
        sites.Run("c", sites.Own(Learner("c", hasBias)));
        string run = await sites.Federation.SubmitAsync(Spec(secure, local, strategy) + extra, "", strategy == "scaffold" ? ModelControls.Begin(Initial(hasBias)) : Initial(hasBias));
        await sites.ContributedAsync(run, "c", 2); // fails where the run does
        await gate.Started;
        return (run, gate);
    }

    /// <summary>In the second round: the coordinator, and site b before it has trained, whose new process knows only what is on disk.</summary>
    private static async Task RestartAsync(RunningSites sites, GatedLearner gate, bool hasBias)
    {
        await sites.StopAsync("b");
        await sites.Federation.RestartCoordinatorAsync();
        sites.Run("b", sites.Own(Learner("b", hasBias)));
        gate.Release();
    }

    private static string Spec(string secure, string local, string strategy) => $$"""
        name: quadratic
        model: { kind: custom }
        rounds: 2
        seed: 1
        cohort: { sites: [a, b, c], minContributors: 3, deadline: 60s }
        local: { optimizer: { kind: sgd, learningRate: 0.1{{(local.StartsWith('m') ? ", " + local : "")}} }, batchSize: 1, epochs: 1{{(local.StartsWith(',') ? local : "")}} }
        strategy: { kind: {{strategy}} }
        privacy: none
        secureAggregation: {{secure}}
        """;

    private static ModelState Initial(bool hasBias)
    {
        using nn.Module<Tensor, Tensor> module = Module(hasBias);
        return ModuleState.Of(module);
    }

    private static ModuleLearner Learner(string site, bool hasBias)
    {
        (_, float target, int examples) = s_sites.Single(one => one.Site == site);
        return new ModuleLearner(() => Module(hasBias), Examples(examples, target), (output, goal) => nn.functional.mse_loss(output, goal), hasBias ? Examples(1, target) : null, Measured);

        // The squared error in the place of a loss.
        static EvaluationSums Measured(Tensor outputs, Tensor targets) => new() { Examples = 1, Correct = 0, LogLossSum = nn.functional.mse_loss(outputs, targets).item<float>(), BrierSum = 0 };
    }

    private static Examples Examples(int count, float target) => new(ones(count, 1), full(new long[] { count, 1 }, target));

    private static nn.Module<Tensor, Tensor> Module(bool hasBias)
    {
        TorchSharp.Modules.Linear linear = nn.Linear(1, 1, hasBias: hasBias);
        using IDisposable noGrad = no_grad();
        nn.init.zeros_(linear.weight!);
        if (hasBias) nn.init.zeros_(linear.bias!);
        return linear;
    }
}
