using Federation.Client;
using Federation.Learning;
using Federation.V1;
using NodeRole = Federation.Formats.Configuration.NodeRole;

namespace Federation.EndToEnd.Tests;

public sealed class EvaluationTests
{
    [Fact]
    public async Task Run_WithFederatedEvaluationAndAnEvaluator_HasMetricsForModels()
    {
        await using TestFederation federation = await TestFederation.StartAsync();
        foreach (string site in new[] { "a", "b", "judge" }) await federation.EnrollAsync(site);
        Task<NodeOutcome>[] nodes =
        [
            .. new[] { "a", "b", "judge" }.Select(site =>
            {
                var source = SyntheticSites.Write(federation.Folder, site);
                return federation.RunNodeAsync(site, SyntheticSites.Learner(source), site == "judge" ? NodeRole.Evaluator : NodeRole.Trainer, data: [source]);
            }),
        ];
        while ((await federation.Operator.ListSitesAsync(new ListSitesRequest())).Sites.Count(site => site.Connected) < 3) await Task.Yield();
        string spec = SyntheticSites.Spec(rounds: 3, least: 2, extra: "evaluate: { every: 2, metrics: [accuracy, auc] }");
        string run = await federation.SubmitAsync(spec, SyntheticSites.SchemaYaml, SyntheticSites.Initial(spec));
        Assert.All(await Task.WhenAll(nodes), outcome => Assert.Equal("completed", outcome.State));

        ListModelsReply models = await federation.Operator.ListModelsAsync(new ListModelsRequest { RunId = run });
        Assert.Equal([0u, 1u, 2u, 3u], models.Models.Select(model => model.Round));
        Assert.All(models.Models, model => Assert.Contains(model.Evaluations, evaluation => evaluation.Source == "judge" && evaluation.Metrics.HasAuc));
        Assert.Equal([2u, 3u], models.Models.Where(model => model.Evaluations.Any(evaluation => evaluation.Source == "federated")).Select(model => model.Round));
        Assert.DoesNotContain("judge", (await federation.ShowAsync(run)).Sites.Select(site => site.Name));
    }

    [Fact]
    public async Task Run_SameSeedOtherOrderOfArrival_GivesTheSameModel()
    {
        List<string> models = [];
        foreach (string[] order in new[] { new[] { "a", "b", "c" }, ["c", "a", "b"], ["b", "c", "a"] })
        {
            await using TestFederation federation = await TestFederation.StartAsync();
            foreach (string site in order) await federation.EnrollAsync(site);
            List<Task<NodeOutcome>> nodes = [];
            GatedLearner[] gates = [.. order.Select(site => new GatedLearner(SyntheticSites.Learner(SyntheticSites.Write(federation.Folder, site)), heldRound: 1))];
            for (int i = 0; i < order.Length; i++) nodes.Add(federation.RunNodeAsync(order[i], gates[i]));
            string spec = SyntheticSites.Spec(rounds: 2, least: 3);
            string run = await federation.SubmitAsync(spec, SyntheticSites.SchemaYaml, SyntheticSites.Initial(spec));
            for (int i = 0; i < order.Length; i++)
            {
                gates[i].Release();
                if (i < order.Length - 1) await federation.WaitForAsync(run, "contributed", happened => happened.Round == 1 && happened.Site == order[i]);
            }

            models.Add((await Task.WhenAll(nodes))[0].ModelSha256);
            foreach (GatedLearner gate in gates) gate.Dispose();
        }

        Assert.Single(models.Distinct());
    }
}
