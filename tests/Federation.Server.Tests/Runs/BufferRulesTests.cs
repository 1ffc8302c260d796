using System.Collections.Immutable;
using CsCheck;
using Federation.Protocol;
using Federation.Server.Runs;

namespace Federation.Server.Tests.Runs;

/// <summary>Asynchronous runs: buffers of updates that start from models of different rounds.</summary>
public sealed class BufferRulesTests
{
    private static readonly string[] Sites = ["a", "b", "c", "d"];

    [Fact]
    public void Step_OfUpdatesFromDifferentModels_IsMadeWhenTheBufferIsFull()
    {
        Scenario run = Buffered(size: 2);
        string first = run.State.ModelSha256;
        run.Contribute("a");
        run.Contribute("b");
        Assert.Equal([("a", 1), ("b", 1)], Parts(run));
        run.Sum();
        Assert.Equal((2, 1), (run.State.Round, run.State.CompletedRounds));
        Assert.Null(run.Contribute("c", round: 1, model: first).Refused); // slow: from the model before
        Assert.Null(run.Contribute("a").Refused);
        Assert.Equal([("a", 2), ("c", 1)], Parts(run));
    }

    [Fact]
    public void Update_WhileAStepIsMade_IsTheFirstInTheNextBuffer()
    {
        Scenario run = Buffered(size: 2);
        string first = run.State.ModelSha256;
        run.Contribute("a");
        run.Contribute("b");
        Assert.IsType<Aggregating>(run.State.Phase);
        Assert.Null(run.Contribute("c").Refused);
        Assert.Equal([("a", 1), ("b", 1)], Parts(run));
        run.Restart();
        run.Sum();
        Assert.Equal(["c"], Assert.IsType<RoundOpen>(run.State.Phase).Contributions.Keys);
        run.Contribute("d", round: 1, model: first);
        Assert.Equal([("c", 1), ("d", 1)], Parts(run));
    }

    [Fact]
    public void Update_OfOneSite_CountsOnceAndOnceABuffer()
    {
        Scenario run = Buffered(size: 3);
        string first = run.State.ModelSha256;
        run.Contribute("a", update: "x");
        Assert.True(run.Contribute("a", update: "x").Duplicate);
        Assert.Equal(Refusal.AlreadyContributed, run.Contribute("a", update: "y").Refused);
        run.Contribute("b");
        run.Contribute("c");
        run.Sum();
        Assert.True(run.Contribute("a", update: "x", round: 1, model: first).Duplicate); // the reply was lost: it was used, once
        Assert.Equal(Refusal.AlreadyContributed, run.Contribute("a", update: "y", round: 1, model: first).Refused); // the first is in a model, this one nowhere
        run.Contribute("d", round: 1, model: first);
        Assert.Equal(Refusal.AlreadyContributed, run.Contribute("d").Refused); // one of it waits
        Assert.Equal(Refusal.WrongModel, run.Contribute("b", model: first).Refused);
        Assert.Equal(Refusal.WrongRound, run.Contribute("b", round: 3).Refused);
        Assert.Equal(Refusal.NotInCohort, run.Contribute("e").Refused);
        Assert.Equal(["d"], Assert.IsType<RoundOpen>(run.State.Phase).Contributions.Keys);
    }

    [Fact]
    public void Update_FromAModelTooManyStepsOld_IsLate()
    {
        Scenario run = Buffered(size: 1, rounds: 6, staleness: 2);
        string first = run.State.ModelSha256;
        for (int round = 1; round <= 3; round++)
        {
            run.Contribute("a");
            run.Sum();
        }

        Assert.Equal(Refusal.Late, run.Contribute("b", round: 1, model: first).Refused);
        Assert.Null(run.Contribute("b", round: 2, model: Scenario.Model(1)).Refused);
        Assert.Equal([("b", 2)], Parts(run));
        Assert.Empty(run.Effects.OfType<DropUploads>()); // nothing that could still be used
        run.Sum();
        Assert.Equal([1], run.Effects.OfType<DropUploads>().Select(drop => drop.Round));
    }

    [Fact] // what came was paid for
    public void Deadline_WithTooFew_KeepsThemAndAsksTheOthersAgain()
    {
        Scenario run = Buffered(size: 3, least: 2);
        run.Contribute("a");
        foreach (string site in Sites[1..]) run.Apply(new SiteFailed(site, 1, "no disk"));
        Assert.IsType<RoundOpen>(run.State.Phase);
        run.Wait(TimeSpan.FromMinutes(10));
        RoundOpen open = Assert.IsType<RoundOpen>(run.State.Phase);
        Assert.Equal((1, 0, run.Now + TimeSpan.FromMinutes(10)), (open.Contributions.Count, open.Failed.Count, open.Deadline));
        run.Contribute("b");
        Assert.IsType<RoundOpen>(run.State.Phase);
        run.Wait(TimeSpan.FromMinutes(10));
        Assert.Equal([("a", 1), ("b", 1)], Parts(run)); // fewer than the buffer holds, and enough
    }

    [Fact] // nothing may come that would close the buffer
    public void Pause_WithTooFewSites_ComesToRestAtTheDeadlineAndKeepsTheBuffer()
    {
        Scenario run = Buffered(size: 3, least: 2);
        run.Contribute("a");
        run.Apply(new PauseRequested(Pause.ByName));
        foreach (string site in Sites[1..]) run.Leave(site);
        Assert.Equal("pausing", run.State.PhaseName);
        run.Wait(TimeSpan.FromMinutes(10));
        Assert.Equal("paused", run.State.PhaseName);
        run.Restart();
        run.Come("b");
        Assert.Null(run.Contribute("b").Refused); // it had trained before: what came is kept, and no step is made of it
        run.Wait(TimeSpan.FromDays(3));
        Assert.Equal(("paused", 2, 0), (run.State.PhaseName, Assert.IsType<RoundOpen>(run.State.Phase).Contributions.Count, run.State.CompletedRounds));
        run.Apply(new ResumeRequested(WithAll: false));
        Assert.Equal([("a", 1), ("b", 1)], Parts(run));
        Assert.Equal(2, run.Said.Count(said => said == RunLog.Paused)); // asked for, and come to
    }

    [Fact]
    public void Resume_OfARoundAtRest_AsksTheSitesAgain()
    {
        Scenario run = Buffered(size: 3, least: 2);
        run.Contribute("a");
        run.Apply(new SiteFailed("b", 1, "no disk"));
        run.Apply(new PauseRequested(Pause.WithAll));
        run.Wait(TimeSpan.FromMinutes(10));
        Assert.Equal("paused", run.State.PhaseName);
        run.Apply(new ResumeRequested(WithAll: true));
        RoundOpen open = Assert.IsType<RoundOpen>(run.State.Phase);
        Assert.Equal(("training", 1, 0, run.Now + TimeSpan.FromMinutes(10)), (run.State.PhaseName, open.Contributions.Count, open.Failed.Count, open.Deadline));
    }

    [Fact]
    public void Site_ThatComesWhileARoundIsOpen_TakesPart()
    {
        Scenario run = Buffered(size: 3);
        run.Enrol("e");
        run.Ready("e");
        Assert.Contains("e", Assert.IsType<RoundOpen>(run.State.Phase).Cohort);
        Assert.Null(run.Contribute("e").Refused);
    }

    /// <summary>Sites of any speed, steps and restarts at any time: each update that was taken is in exactly one step, at most so old; no step is smaller than allowed.</summary>
    [Fact]
    public void AnySpeeds_OfSites_UseEachUpdateOnce() => Gen.Select(Gen.Int[1, 4], Gen.Int[0, 4], Gen.Select(Gen.Int[0, 6], Gen.Int[0, 3]).Array[10, 150]).Sample(
        (size, staleness, steps) =>
        {
            Scenario run = Buffered(size, rounds: 1000, staleness: staleness);
            Dictionary<string, (int Round, string Model)> trains = [];
            List<string> taken = [], used = [];
            int seen = 0;
            foreach ((int what, int who) in steps)
            {
                string site = Sites[who];
                if (what == 0 && run.State.Phase is RoundOpen open && !open.Contributions.ContainsKey(site)) trains[site] = (run.State.Round, run.State.ModelSha256);
                else if (what is 1 or 2 && trains.Remove(site, out (int Round, string Model) trained))
                {
                    Transition sent = run.Contribute(site, round: trained.Round, model: trained.Model, update: $"{site}{trained.Round}");
                    if (sent is { Refused: null, Duplicate: false }) taken.Add($"{site}{trained.Round}");
                    else if (sent.Refused is { } refused) Assert.True(refused is Refusal.Late or Refusal.AlreadyContributed);
                }
                else if (what == 3) run.Sum();
                else if (what == 4) run.Restart();
                else if (what == 5) run.Wait(TimeSpan.FromMinutes(4));
                else if (what == 6) run.Apply(who < 2 ? new PauseRequested(Pause.ByName) : new ResumeRequested(WithAll: false));

                foreach (Aggregate step in run.Effects.Skip(seen).OfType<Aggregate>())
                {
                    Assert.InRange(step.Contributions.Count, 1, Sites.Length);
                    Assert.All(step.Contributions.Values, part => Assert.InRange(step.Round - part.From, 0, staleness + 1));
                    used.AddRange(step.Contributions.Values.Select(part => part.UpdateSha256));
                }

                seen = run.Effects.Count;
                Assert.InRange(run.State.Round, 1, run.State.CompletedRounds + 1); // a site is asked for one update a step, and bounds its part in the run by that
            }

            string[] waiting = [.. (run.State.Phase as RoundOpen)?.Contributions.Values.Select(part => part.UpdateSha256) ?? [], .. run.State.Buffer!.Early.Values.Select(part => part.UpdateSha256)];
            Assert.Equal(taken.Order(StringComparer.Ordinal), used.Concat(waiting).Order(StringComparer.Ordinal));
        },
        iter: 500);

    private static Scenario Buffered(int size, int rounds = 4, int least = 1, int staleness = 10)
    {
        var run = new Scenario(rounds, least, Sites, with: plan => plan with { Buffer = new BufferPlan(size, staleness) });
        run.Ready(Sites);
        return run;
    }

    private static IEnumerable<(string Site, int From)> Parts(Scenario run) => Assert.IsType<Aggregating>(run.State.Phase).Contributions.Select(part => (part.Key, part.Value.From));
}
