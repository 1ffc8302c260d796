using Federation.Client;
using Federation.Formats.Models;
using Federation.Learning;
using Federation.V1;

namespace Federation.EndToEnd.Tests;

public sealed class RunTests
{
    [Fact]
    public async Task Run_ThreeSites_TrainsOneModelThatEverySiteGets()
    {
        await using TestFederation federation = await TestFederation.StartAsync();
        string[] sites = ["a", "b", "c"];
        foreach (string site in sites) await federation.EnrollAsync(site);
        Task<NodeOutcome>[] nodes = [.. sites.Select(site => federation.RunNodeAsync(site, SyntheticSites.Learner(SyntheticSites.Write(federation.Folder, site)), data: [SyntheticSites.Write(federation.Folder, site)]))];
        string spec = SyntheticSites.Spec(rounds: 8, least: 3);
        string run = await federation.SubmitAsync(spec, SyntheticSites.SchemaYaml, SyntheticSites.Initial(spec));
        NodeOutcome[] outcomes = await Task.WhenAll(nodes);

        RunDetails details = await federation.ShowAsync(run);
        Assert.All(outcomes, outcome => Assert.Equal(("completed", details.ModelSha256, 8), (outcome.State, outcome.ModelSha256, outcome.Rounds)));
        foreach (string site in sites)
        {
            string folder = new NodeFolder(federation.NodeState(site)).Run(run);
            Assert.Equal(details.ModelSha256, ModelState.Read(Path.Combine(folder, "model.safetensors")).Sha256);
            IReadOnlyList<LocalMetricsLine> metrics = LocalMetrics.Read(folder);
            Assert.Equal(Enumerable.Range(0, 9), metrics.Select(line => line.Round));
            Assert.True(metrics[^1].Accuracy > 0.75, $"accuracy {metrics[^1].Accuracy}");
        }

        // What changed hands in a round: the model down, the update up, and little else.
        foreach (RoundSummary round in details.Rounds)
        {
            ulong size = (ulong)ModelState.Read(Path.Combine(new NodeFolder(federation.NodeState("a")).Run(run), "model.safetensors")).Header.FileLength;
            Assert.Equal(3, round.Contributors.Count);
            Assert.Equal((3 * size, 3 * size), (round.Round == 1 ? 3 * size : round.BytesDown, round.BytesUp));
            Assert.InRange(round.BytesControl, 1UL, 3 * 5000UL);
        }
    }
}
