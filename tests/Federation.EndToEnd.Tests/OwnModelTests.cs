using Federation.Client;
using Federation.Formats.Configuration;
using Federation.Formats.Models;
using Federation.Learning.Models;
using Federation.V1;
using TorchSharp;
using static TorchSharp.torch;

namespace Federation.EndToEnd.Tests;

public sealed class OwnModelTests
{
    [Fact]
    public async Task OwnModule_TwoSites_LearnsWhatNeitherSent()
    {
        await using TestFederation federation = await TestFederation.StartAsync();
        string initial = Path.Combine(federation.Folder, "initial.safetensors");
        OwnModel.WriteInitial(initial);
        List<Task<NodeOutcome>> nodes = [];
        foreach (string site in new[] { "a", "b" })
        {
            await federation.EnrollAsync(site);
            var configuration = new NodeConfiguration { Coordinator = federation.Coordinator.NodesAddress, State = federation.NodeState(site), Data = [] };
            nodes.Add(OwnModel.RunAsync(configuration, TestContext.Current.CancellationToken));
        }

        string run = await federation.SubmitAsync("""
            name: own-model
            model: { kind: custom }
            rounds: 20
            seed: 1
            cohort: { minContributors: 2, deadline: 60s }
            local: { optimizer: { kind: adam, learningRate: 0.01 }, batchSize: 32, epochs: 1 }
            privacy: none
            secureAggregation: none
            """, "", ModelState.Read(initial));
        Assert.All(await Task.WhenAll(nodes), outcome => Assert.Equal("completed", outcome.State));
        var model = ModelState.Read(Path.Combine(new NodeFolder(federation.NodeState("a")).Run(run), "model.safetensors"));
        Assert.True(Loss(model) < 0.1 * Loss(ModelState.Read(initial)), $"loss {Loss(ModelState.Read(initial))} → {Loss(model)}");
    }

    [Fact] // The page shows the program that the test runs, and it is short
    public void Documentation_ShowsTheProgramThatRuns()
    {
        string root = Repository.Root;
        string program = File.ReadAllText(Path.Combine(root, "tests", "Federation.EndToEnd.Tests", "OwnModel.cs"));
        string shown = program[program.IndexOf("using Federation.Client;", StringComparison.Ordinal)..].Trim();
        Assert.Contains(shown, File.ReadAllText(Path.Combine(root, "docs", "own-model.md")));
        Assert.InRange(shown.Split('\n').Count(line => line.Trim().Length > 0), 1, 39);
    }

    private static float Loss(ModelState model)
    {
        using var net = new Net();
        ModuleState.Load(net, model);
        using Tensor x = randn(512, 4), y = x.sum(new long[] { 1 }, keepdim: true).tanh(), output = net.call(x), loss = nn.functional.mse_loss(output, y);
        return loss.item<float>();
    }
}
