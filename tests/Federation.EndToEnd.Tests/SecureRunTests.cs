using Federation.Client;
using Federation.Formats.Configuration;
using Federation.Formats.Models;
using Federation.Learning;
using Federation.Server.Identity;
using Federation.V1;
using Microsoft.Extensions.Logging.Abstractions;

namespace Federation.EndToEnd.Tests;

/// <summary>Runs whose coordinator sees nothing but sums.</summary>
public sealed class SecureRunTests
{
    private static readonly string[] s_sites = ["a", "b", "c", "d"];

    [Fact] // direct mode; beside the same run in the clear
    public async Task Run_SmallModel_MakesTheModelOfARunInTheClear()
    {
        ModelState secure = await TrainAsync("{ kind: threshold-bfv, threshold: 3 }"), clear = await TrainAsync("none");
        foreach ((NamedTensor own, NamedTensor other) in secure.Tensors.Zip(clear.Tensors))
        {
            for (int i = 0; i < own.Values.Length; i++) Assert.Equal(other.Values[i], own.Values[i], 2e-3f);
        }
    }

    [Fact] // hybrid mode: 100,000 values do not fit a key ciphertext
    public async Task Run_LargerModel_IsSummedInThePadRing()
    {
        const int values = 100_000;
        await using TestFederation federation = await TestFederation.StartAsync();
        foreach (string site in s_sites) await federation.EnrollAsync(site);
        ModuleLearner[] learners = [.. s_sites.Select(_ => OneVector.Learner(values))];
        Task<NodeOutcome>[] nodes = [.. s_sites.Select((site, i) => federation.RunNodeAsync(site, learners[i]))];
        string run = await federation.SubmitAsync(OneVector.Spec(rounds: 2, least: 3, secure: "threshold-bfv"), "", OneVector.Initial(values));
        Assert.All(await Task.WhenAll(nodes), outcome => Assert.Equal("completed", outcome.State));
        ModelState model = ModelState.Read(Path.Combine(new NodeFolder(federation.NodeState("a")).Run(run), "model.safetensors"));
        // Every site learns the same vector of ones from zeros: one step of 0.1 in the mean of squares moves all values alike.
        float[] moved = model.Tensors.Single().Values;
        float mean = moved.Average();
        Assert.InRange(mean, 1e-6f, 1e-4f);
        Assert.True(moved.All(value => Math.Abs(value - mean) < 2e-6f));
        foreach (ModuleLearner learner in learners) learner.Dispose();
    }

    [Fact] // nothing is left to learn, or steps fall below what the weights can hold: each round has a model of its own all the same
    public async Task Run_WhoseSumsAreZero_GoesOnUnderNewHashes()
    {
        await using RunningSites sites = await RunningSites.StartAsync("a", "b", "c");
        foreach (string site in new[] { "a", "b", "c" }) sites.Run(site, new SteppingLearner(0));
        string run = await sites.SubmitAsync(rounds: 5, extra: "evaluate: { every: 1 }");
        Assert.All(await sites.EndedAsync(), outcome => Assert.Equal(("completed", 5), (outcome.State, outcome.Rounds)));
        ListModelsReply models = await sites.Federation.Operator.ListModelsAsync(new ListModelsRequest { RunId = run });
        Assert.Equal(6, models.Models.Select(model => model.Sha256).Distinct().Count());
        Assert.All(models.Models.Skip(1), model => Assert.Single(model.Evaluations));
        Assert.All(sites.Model(run), value => Assert.Equal(0, value, 1e-30f));
        Assert.Contains("weights that the run has had before", (await sites.Federation.WaitForAsync(run, "opened", happened => happened.Message.Contains("low bits", StringComparison.Ordinal))).Message, StringComparison.Ordinal);
    }

    [Fact] // the figures are those of the sums, and nobody's sums were shown
    public async Task Evaluation_OfSecureRun_IsThatOfAllSites()
    {
        await using TestFederation federation = await TestFederation.StartAsync();
        foreach (string site in s_sites) await federation.EnrollAsync(site);
        Task<NodeOutcome>[] nodes = [.. s_sites.Select(site => federation.RunNodeAsync(site, SyntheticSites.Learner(SyntheticSites.Write(federation.Folder, site)), data: [SyntheticSites.Write(federation.Folder, site)]))];
        string spec = SyntheticSites.Spec(rounds: 4, least: 3, secure: "threshold-bfv", extra: "evaluate: { every: 4 }");
        string run = await federation.SubmitAsync(spec, SyntheticSites.SchemaYaml, SyntheticSites.Initial(spec));
        RunEvent evaluated = await federation.WaitForAsync(run, "evaluated");
        Assert.All(await Task.WhenAll(nodes), outcome => Assert.Equal("completed", outcome.State));

        // Each site keeps what it measured of the final model by itself.
        IReadOnlyList<LocalMetricsLine> own = [.. s_sites.Select(site => LocalMetrics.Read(new NodeFolder(federation.NodeState(site)).Run(run))[^1])];
        double rows = own.Sum(line => (double)line.Examples);
        Assert.Equal(rows, evaluated.Metrics.Examples);
        Assert.Equal(own.Sum(line => line.Accuracy * line.Examples) / rows, evaluated.Metrics.Accuracy, 1e-9);
        Assert.Equal(own.Sum(line => line.LogLoss!.Value * line.Examples) / rows, evaluated.Metrics.LogLoss, 1e-5);
        Assert.InRange(evaluated.Metrics.Auc, 0.7, 1);
    }

    [Fact] // by its seed; but no site encrypts the same integers a second time
    public async Task Run_TheSameSpecAgain_RepeatsToTheSameBytesWhereNobodyHasContributedToItBefore()
    {
        const string secure = "{ kind: threshold-bfv, threshold: 3, cut: 1000, maxWeight: 1000000 }"; // a grid coarse enough to be seen in a float
        (ModelState first, ModelState again) = await TrainTwiceAsync(secure);
        ModelState elsewhere = await TrainAsync(secure);
        Assert.Equal(first.Sha256, elsewhere.Sha256);
        Assert.NotEqual(first.Sha256, again.Sha256);
        foreach ((NamedTensor own, NamedTensor other) in first.Tensors.Zip(again.Tensors))
        {
            for (int i = 0; i < own.Values.Length; i++) Assert.Equal(other.Values[i], own.Values[i], 2e-3f);
        }
    }

    private static async Task<(ModelState First, ModelState Again)> TrainTwiceAsync(string secure)
    {
        await using TestFederation federation = await TestFederation.StartAsync();
        foreach (string site in s_sites) await federation.EnrollAsync(site);
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        Task[] nodes = [.. s_sites.Select(WorkAsync)];
        string spec = SyntheticSites.Spec(rounds: 4, least: 3, secure: secure);
        List<ModelState> models = [];
        for (int i = 0; i < 2; i++)
        {
            string run = await federation.SubmitAsync(spec, SyntheticSites.SchemaYaml, SyntheticSites.Initial(spec));
            RunEvent completed = await federation.WaitForAsync(run, "completed");
            models.Add(ModelState.Read(Path.Combine(new CoordinatorFolder(federation.State).Blobs, completed.ModelSha256)));
        }

        await stop.CancelAsync();
        await Task.WhenAll(nodes).ContinueWith(_ => { }, TaskScheduler.Default);
        return (models[0], models[1]);

        Task WorkAsync(string site)
        {
            DataSource data = SyntheticSites.Write(federation.Folder, site);
            var configuration = new NodeConfiguration { Coordinator = federation.Coordinator.NodesAddress, State = federation.NodeState(site), Role = Formats.Configuration.NodeRole.Trainer, Data = [data] };
            return FederatedNode.RunAsync(new NodeOptions { Configuration = configuration }, SyntheticSites.Learner(data), NullLoggerFactory.Instance, stop.Token);
        }
    }

    private static async Task<ModelState> TrainAsync(string secure)
    {
        await using TestFederation federation = await TestFederation.StartAsync();
        foreach (string site in s_sites) await federation.EnrollAsync(site);
        Task<NodeOutcome>[] nodes = [.. s_sites.Select(site => federation.RunNodeAsync(site, SyntheticSites.Learner(SyntheticSites.Write(federation.Folder, site)), data: [SyntheticSites.Write(federation.Folder, site)]))];
        string spec = SyntheticSites.Spec(rounds: 4, least: 3, secure: secure);
        string run = await federation.SubmitAsync(spec, SyntheticSites.SchemaYaml, SyntheticSites.Initial(spec));
        NodeOutcome[] outcomes = await Task.WhenAll(nodes);
        RunDetails details = await federation.ShowAsync(run);
        Assert.All(outcomes, outcome => Assert.Equal(("completed", 4), (outcome.State, outcome.Rounds)));
        return ModelState.Read(Path.Combine(new NodeFolder(federation.NodeState("a")).Run(run), "model.safetensors"));
    }
}
