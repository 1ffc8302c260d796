using System.Text.Json;
using Federation.Formats.Evaluation;
using Federation.Formats.Runs;
using Federation.Protocol;
using Federation.Server.Runs;

namespace Federation.Server.Tests.Runs;

/// <summary>Which sites a round asks, with how many updates it closes, and when a run has come far enough.</summary>
public sealed class CohortRulesTests
{
    private static readonly string[] Ten = [.. Enumerable.Range(0, 10).Select(i => $"s{i}")];

    [Fact]
    public void Draw_ByCount_AsksSoManyOthersEachRoundAndTheSameAgain()
    {
        string[][] Rounds(ulong seed)
        {
            Scenario run = Drawing(new DrawSpec(4, null), seed, rounds: 6);
            List<string[]> cohorts = [];
            for (int round = 1; round <= 6; round++)
            {
                cohorts.Add([.. Open(run).Cohort]);
                run.PlayRound();
            }

            return [.. cohorts];
        }

        string[][] first = Rounds(1);
        Assert.All(first, cohort => Assert.Equal(4, cohort.Length));
        Assert.Equal(first, Rounds(1));
        Assert.NotEqual(first, Rounds(2));
        Assert.True(first.SelectMany(cohort => cohort).Distinct().Count() >= 8, "the same few sites are drawn all the time");
        Assert.True(first.Select(cohort => string.Join(' ', cohort)).Distinct().Count() >= 5);
    }

    [Theory]
    [InlineData(null, 0.25, 1, 3, 3)] // ⌈2.5⌉
    [InlineData(null, 0.01, 1, 2, 2)] // never fewer than minContributors
    [InlineData(null, 0.2, 1.5, 3, 2)]
    [InlineData(5, null, 1.2, 6, 5)]
    [InlineData(5, null, 1.1, 6, 5)] // ⌈5.5⌉
    [InlineData(10, null, 1.1, 10, 10)] // there are no more
    [InlineData(8, null, 10, 10, 8)]
    public void Draw_ManySites_AsksAndClosesWithTheNumbersOfTheSpec(int? count, double? fraction, double more, int asked, int wanted)
    {
        Scenario run = Drawing(new DrawSpec(count, fraction, more));
        Assert.Equal(asked, Open(run).Cohort.Count);
        string[] cohort = [.. Open(run).Cohort];
        for (int i = 0; i < wanted; i++)
        {
            Assert.IsType<RoundOpen>(run.State.Phase);
            run.Contribute(cohort[i]);
        }

        Assert.Equal(cohort[..wanted], Assert.IsType<Aggregating>(run.State.Phase).Contributions.Keys);
    }

    [Fact] // the late one has paid for its update, and hears why it is not taken
    public void Draw_MoreThanWanted_TellsTheLateOnesSo()
    {
        Scenario run = Drawing(new DrawSpec(3, null, 1.4));
        string[] cohort = [.. Open(run).Cohort];
        Assert.Equal(5, cohort.Length);
        foreach (string site in cohort[2..]) run.Contribute(site);
        Transition late = run.Contribute(cohort[0]);
        Assert.Equal(Refusal.Late, late.Refused);
        Assert.Contains("More sites are asked than updates are wanted", late.Reason, StringComparison.Ordinal);
        run.Sum();
        Assert.Equal(2, run.State.Round);
    }

    [Fact] // two of the five fail, so the three that were wanted are all that can come
    public void Draw_MoreThanWantedAndSomeFail_ClosesWithTheOthers()
    {
        Scenario run = Drawing(new DrawSpec(4, null, 1.25));
        string[] cohort = [.. Open(run).Cohort];
        foreach (string site in cohort[..2]) run.Apply(new SiteFailed(site, 1, "no disk"));
        foreach (string site in cohort[2..]) run.Contribute(site);
        Assert.Equal(cohort[2..], Assert.IsType<Aggregating>(run.State.Phase).Contributions.Keys);
    }

    [Fact]
    public void Draw_SitesThatAreAway_AreNotDrawn()
    {
        Scenario run = Drawing(new DrawSpec(4, null));
        foreach (string site in Ten[..7]) run.Leave(site);
        run.PlayRound();
        Assert.Equal(Ten[7..], Open(run).Cohort);
        run.Leave(Ten[7]);
        run.Leave(Ten[8]);
        run.PlayRound();
        Assert.Equal("waiting", run.State.PhaseName);
        run.Come(Ten[0]);
        Assert.Equal([Ten[0], Ten[9]], Open(run).Cohort);
    }

    [Fact]
    public void Labels_OfARun_AskOnlySitesThatSayThemOfThemselves()
    {
        var run = new Scenario(least: 2, with: plan => plan with { Labels = new Dictionary<string, string> { ["region"] = "eu" } });
        run.Label("a", "region", "eu");
        run.Label("b", "region", "us");
        run.Apply(new Tick());
        Assert.Equal(["a"], run.State.Sites.Keys);
        run.Ready("a");
        run.Wait(TimeSpan.FromMinutes(10));
        Assert.Equal("1 of 2 needed sites with region: eu are ready and connected.", Assert.IsType<Waiting>(run.State.Phase).Reason);
        run.Label("c", "region", "eu");
        run.Ready("c");
        Assert.Equal(["a", "c"], Open(run).Cohort);
        run.Label("c", "region", "us"); // it has moved: its update of this round counts, and it is asked for no other
        run.PlayRound();
        Assert.Equal("waiting", run.State.PhaseName);
    }

    [Theory]
    [InlineData("accuracy", 3, 0.0, null, new[] { 0.5, 0.6, 0.6, 0.55, 0.6 }, 5)]
    [InlineData("accuracy", 2, 0.05, null, new[] { 0.5, 0.54, 0.549, 0.9 }, 3)] // better by minDelta is no better
    [InlineData("accuracy", 2, 0.0, null, new[] { 0.5, 0.4, 0.6, 0.5, 0.5 }, 5)]
    [InlineData("accuracy", null, 0.0, 0.6, new[] { 0.5, 0.4, 0.6 }, 3)]
    [InlineData("log-loss", null, 0.0, 0.4, new[] { 0.5, 0.45, 0.4 }, 3)] // less is better
    [InlineData("brier", 2, 0.0, null, new[] { 0.2, 0.3, 0.25 }, 3)]
    [InlineData("accuracy", 3, 0.0, 0.99, new[] { 0.5, 0.6, 0.7, 0.8, 0.9, 0.91, 0.92, 0.93 }, 0)]
    [InlineData("auc", 1, 0.0, 0.1, new[] { 0.5, 0.5, 0.5 }, 0)] // no site has histograms: there is no AUC to look at
    public void Stop_ByWhatEvaluationsShow_EndsTheRunThere(string metric, int? patience, double minDelta, double? target, double[] figures, int stopsAfter)
    {
        var run = new Scenario(rounds: 8, least: 1, sites: ["a"], evaluateEvery: 1, with: plan => plan with { Stop = new StopSpec(metric, patience, minDelta, target) });
        run.Ready("a");
        for (int round = 1; round <= (stopsAfter == 0 ? figures.Length : stopsAfter); round++)
        {
            run.PlayRound();
            ulong correct = (ulong)Math.Round(figures[round - 1] * 1000);
            run.Apply(new EvaluationArrived("a", round, new EvaluationSums { Examples = 1000, Correct = correct, LogLossSum = figures[round - 1] * 1000, BrierSum = figures[round - 1] * 1000 }));
            Assert.Equal(round == stopsAfter || round == 8 ? "completed" : "training", run.State.PhaseName);
            run.Restart();
        }

        if (stopsAfter == 0) return;
        Ended ended = Assert.IsType<Ended>(run.State.Phase);
        Assert.StartsWith($"Stopped after {stopsAfter} of 8 rounds: {metric} ", ended.Reason, StringComparison.Ordinal);
        Assert.Equal((RunEnd.Completed, stopsAfter, Scenario.Model(stopsAfter)), (ended.How, run.State.CompletedRounds, run.State.ModelSha256));
    }

    private static Scenario Drawing(DrawSpec draw, ulong seed = 7, int rounds = 3)
    {
        var run = new Scenario(rounds, least: 2, sites: Ten, with: plan => plan with { Draw = draw, Seed = seed });
        run.Ready(Ten);
        return run;
    }

    private static RoundOpen Open(Scenario run) => Assert.IsType<RoundOpen>(run.State.Phase);
}
