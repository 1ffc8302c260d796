using Federation.Formats.Models;
using Federation.Protocol;
using Federation.V1;
using Grpc.Core;

namespace Federation.Server.Tests.Services;

/// <summary>Labels and drawn cohorts over the network.</summary>
public sealed class CohortTests
{
    private static readonly ModelState Good = Tiny.Update(1, 2, 3, 4);

    [Fact]
    public async Task Round_MoreSitesDrawnThanWanted_ClosesWithoutTheLastAndTellsItSo()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode[] nodes = await test.EnrolAllAsync("a", "b", "c", "d", "e");
        string run = await test.OpenRoundAsync(nodes, spec: Tiny.Spec(least: 2, sites: "all, count: 2, overSelect: 1.5"));
        RoundSummary round = Assert.Single((await test.ShowAsync(run)).Rounds);
        Assert.Equal(3, round.Cohort.Count);
        TestNode[] drawn = [.. nodes.Where(node => round.Cohort.Contains(node.Site))];
        string model = test.StateOf(run).ModelSha256;
        await drawn[2].BeginAsync(run, 1, model, Good);
        foreach (TestNode node in drawn[..2]) await node.ContributeAsync(run, Good);
        await Tiny.RefusedAsync(Refusal.Late, StatusCode.FailedPrecondition, () => drawn[2].SendAsync(run, 1, Good), "More sites are asked than updates are wanted");
        await test.SummedAsync(run);
        Assert.Equal((1, 2), (test.StateOf(run).CompletedRounds, test.StateOf(run).Round));
        Assert.Equal([drawn[0].Site, drawn[1].Site], (await test.ShowAsync(run)).Rounds[0].Contributors);
    }

    [Fact] // what a site says of itself is kept, shown and chosen by, also after a restart
    public async Task Labels_OfSites_DecideWhoIsAsked()
    {
        await using TestCoordinator test = await TestCoordinator.StartAsync();
        TestNode[] nodes = [await test.EnrolAsync("a", join: false), await test.EnrolAsync("b", join: false)];
        await JoinAsync(nodes[0], ("region", "eu"), ("gpu", "yes"));
        await JoinAsync(nodes[1], ("region", "us"));
        string run = await test.SubmitAsync(spec: Tiny.Spec(least: 1, sites: "all, labels: { region: eu }"));
        await nodes[0].ReadyAsync(run);
        Assert.Equal(["a"], Assert.Single((await test.ShowAsync(run)).Rounds).Cohort);
        await test.CrashAsync();
        Assert.Equal(["gpu=yes region=eu", "region=us"], (await test.Operator.ListSitesAsync(new ListSitesRequest())).Sites.Select(site => string.Join(' ', site.Labels.Select(label => $"{label.Key}={label.Value}").Order(StringComparer.Ordinal))));
        Assert.Equal(["a"], (await test.ShowAsync(run)).Sites.Select(site => site.Name));
        await Tiny.RefusedAsync(Refusal.Invalid, StatusCode.InvalidArgument, () => JoinAsync(nodes[0], ("Region", "eu")), "at most 32 labels");
        await Tiny.RefusedAsync(Refusal.Invalid, StatusCode.InvalidArgument, () => JoinAsync(nodes[0], ("region", new string('x', 64))), "at most 32 labels");
    }

    private static async Task JoinAsync(TestNode node, params (string Name, string Value)[] labels) => await node.Client.JoinAsync(
        new JoinRequest { ProtocolVersion = ProtocolVersion.Current, Role = NodeRole.Trainer, Labels = { labels.ToDictionary(label => label.Name, label => label.Value) } });
}
