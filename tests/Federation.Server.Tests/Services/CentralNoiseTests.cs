using Federation.Formats.Models;
using Federation.Protocol;
using Federation.Server.Runs;
using Federation.Server.Storage;
using Federation.Server.Tests.Runs;
using Federation.V1;
using Grpc.Core;
using RunEvent = Federation.V1.RunEvent;

namespace Federation.Server.Tests.Services;

/// <summary>Runs whose noise the coordinator adds: what sites can do to the sum, and what a kill can do to the noise.</summary>
public sealed class CentralNoiseTests
{
    private static readonly ModelState Zero = Tiny.Update(0, 0, 0, 0);

    [Fact] // noise of a ten-thousandth of C: what is left is the sites' part
    public async Task Round_ASiteClaimsAMillionSamplesOrSendsAMillionfold_CountsAsOneOfThreeWithinC()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode[] nodes = await test.EnrolAllAsync("a", "b", "c");
        string run = await test.OpenRoundAsync(nodes, spec: Spec("clip: 0.5, noiseMultiplier: 0.0001", rounds: 2));
        await nodes[0].ContributeAsync(run, Tiny.Update(1e12f, 0, 0, 0), weight: 1_000_000);
        await nodes[1].ContributeAsync(run, Tiny.Update(0, -1e6f, 0, 0), weight: 1);
        await nodes[2].ContributeAsync(run, Tiny.Update(0, 0, 0.25f, 0), weight: 3);
        await test.SummedAsync(run);
        Assert.Equal(3UL, (await test.ShowAsync(run)).Rounds[0].Weight);
        IReadOnlyList<float> values = Tiny.Values(await test.DownloadAsync(test.StateOf(run).ModelSha256));
        // The tensors are in the file's order: the bias first.
        foreach ((float expected, float actual) in new[] { 0, 0.5f / 3, -0.5f / 3, 0.25f / 3 }.Zip(values)) Assert.Equal(expected, actual, 2e-4);
    }

    [Fact] // χ² of what is published: six deviations, one false alarm in a hundred million
    public async Task Round_OfSitesThatChangeNothing_ReleasesTheNoiseThatIsCharged()
    {
        const int values = 20_000;
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode[] nodes = await test.EnrolAllAsync("a", "b", "c");
        string run = await test.OpenRoundAsync(nodes, Tiny.Large(values), Spec("clip: 0.5, noiseMultiplier: 2.5"));
        foreach (TestNode node in nodes) await node.ContributeAsync(run, Tiny.Large(values));
        await test.SummedAsync(run);
        double statistic = Tiny.Values(await test.DownloadAsync(test.StateOf(run).ModelSha256)).Sum(value => Math.Pow(value / (2.5 * 0.5 / 3), 2));
        Assert.InRange(statistic, values - (6 * Math.Sqrt(2.0 * values)), values + (6 * Math.Sqrt(2.0 * values)));
    }

    [Fact]
    public async Task Round_AnUpdateHoldsNoNumber_CostsThatSiteItsPart()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode[] nodes = await test.EnrolAllAsync("a", "b", "c");
        string run = await test.OpenRoundAsync(nodes, spec: Spec("clip: 0.5, noiseMultiplier: 0.0001", least: 2));
        foreach (TestNode node in nodes[..2]) await node.ContributeAsync(run, Zero);
        await Tiny.RefusedAsync(Refusal.NotFinite, StatusCode.InvalidArgument, () => nodes[2].ContributeAsync(run, Tiny.Update(0, float.NaN, 0, 0)), "only finite values");
        await test.SummedAsync(run);
        Assert.Equal(["a", "b"], (await test.ShowAsync(run)).Rounds.Single().Contributors);
        Assert.Equal("completed", test.StateOf(run).PhaseName);
    }

    [Fact] // one version of a round's noisy sum is told, with what it says of the clip; another one that a retry may bring changes and tells nothing
    public void Aggregated_TwiceWithOtherNoise_TellsTheFirstAlone()
    {
        var run = new Scenario(rounds: 2);
        run.Ready("a", "b", "c");
        foreach (string site in new[] { "a", "b", "c" }) run.Contribute(site);
        Transition first = run.Apply(new Aggregated(1, Scenario.Model(7), SiteClip: 3, Note: "clipped to 3"));
        Assert.Equal(Scenario.Model(7), Assert.Single(first.Effects.OfType<KeepModel>()).Sha256); // stored in one transaction with the line and the state
        Assert.Single(first.Effects.OfType<Announce>(), line => line.Message == "clipped to 3");
        Assert.True(run.Apply(new Aggregated(1, Scenario.Model(8), SiteClip: 4, Note: "clipped to 4")).Duplicate);
        Assert.Equal((Scenario.Model(7), 3.0), (run.State.ModelSha256, run.State.SiteClip));
    }

    [Fact]
    public async Task Restart_WhileARoundIsSummed_TellsOneNoisyVersion()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode[] nodes = await test.EnrolAllAsync("a", "b", "c");
        string run = await test.OpenRoundAsync(nodes, spec: Spec("clip: 1, adaptiveClip: { quantile: 0.5, learningRate: 1 }, noiseMultiplier: 1"));
        await nodes[0].ContributeAsync(run, Zero);
        await nodes[1].ContributeAsync(run, Zero);
        RoundOpen open = Assert.IsType<RoundOpen>(test.StateOf(run).Phase);
        // What the disk holds if the process dies after the round was closed and before its sum was stored.
        RunState closed = test.StateOf(run) with { Phase = new Aggregating(open.OpenedAt, open.Cohort, open.Contributions) };
        await test.CrashAsync(folder =>
        {
            using var store = new SqliteStore(folder.Database);
            store.Save(new RunChange(run, System.Text.Json.JsonSerializer.Serialize(closed), false, [], [], [], []));
        });
        await test.SummedAsync(run);
        RunState after = test.StateOf(run);
        Assert.Equal(("completed", 1), (after.PhaseName, after.CompletedRounds));
        Assert.NotEqual(Tiny.Model().Sha256, after.ModelSha256);
        Assert.NotNull(after.SiteClip);
        Assert.Equal([after.ModelSha256], (await test.Operator.ListModelsAsync(new ListModelsRequest { RunId = run })).Models.Where(model => model.Round == 1).Select(model => model.Sha256));
        List<RunEvent> told = await EventsAsync(test, run);
        Assert.Equal(after.ModelSha256, Assert.Single(told, one => one.Kind == "model").ModelSha256);
        Assert.Contains("clipped to", Assert.Single(told, one => one.Kind == "opened").Message, StringComparison.Ordinal);
        Assert.Empty(Directory.EnumerateFiles(test.Folder.Spool, "*", SearchOption.AllDirectories));
    }

    private static async Task<List<RunEvent>> EventsAsync(TestCoordinator test, string run)
    {
        List<RunEvent> told = [];
        using AsyncServerStreamingCall<RunEvent> watch = test.Operator.WatchRun(new WatchRunRequest { RunId = run });
        await foreach (RunEvent happened in watch.ResponseStream.ReadAllAsync(TestContext.Current.CancellationToken)) told.Add(happened);
        return told;
    }

    private static string Spec(string privacy, int rounds = 1, int least = 3) =>
        Tiny.Spec(rounds, least).Replace("privacy: none", $"privacy: {{ unit: site, noise: central, {privacy}, delta: 1e-5 }}", StringComparison.Ordinal);
}
