using Federation.Client;
using Federation.Learning;
using Federation.V1;

namespace Federation.EndToEnd.Tests;

/// <summary>More sites than a committee has members.</summary>
public sealed class SecureCommitteeTests
{
    private const int Sites = 34;

    [Fact] // a random 32 hold shares, all contribute, and the two without a share check the keys like everybody
    public async Task Keys_OfMoreThan32Sites_AreHeldBy32AndAllContribute()
    {
        await using TestFederation federation = await TestFederation.StartAsync();
        string[] sites = [.. Enumerable.Range(1, Sites).Select(i => $"site-{i:00}")];
        List<ModuleLearner> learners = [];
        List<Task<NodeOutcome>> nodes = [];
        foreach (string site in sites)
        {
            await federation.EnrollAsync(site);
            learners.Add(OneVector.Learner(4));
            nodes.Add(federation.RunNodeAsync(site, learners[^1]));
        }

        string run = await federation.SubmitAsync(OneVector.Spec(rounds: 1, least: Sites, secure: "threshold-bfv"), "", OneVector.Initial(4));
        Assert.Contains("32 members hold shares, any 17 open a sum", (await federation.WaitForAsync(run, "keys-made")).Message, StringComparison.Ordinal);
        Assert.All(await Task.WhenAll(nodes), outcome => Assert.Equal("completed", outcome.State));
        RunDetails details = await federation.ShowAsync(run);
        Assert.Equal(sites, details.Rounds.Single().Contributors);
        Assert.Equal((32, 17), (details.SecureAggregation.Committee.Count, details.Rounds.Single().Opening.Members.Count));
        Assert.Subset(sites.ToHashSet(StringComparer.Ordinal), details.SecureAggregation.Committee.ToHashSet(StringComparer.Ordinal));
        foreach (ModuleLearner learner in learners) learner.Dispose();
    }
}
