using Federation.Formats.Evaluation;
using Federation.Server.Runs;

namespace Federation.Server.Tests.Runs;

/// <summary>Runs with secure aggregation: when keys are made anew, and by whom.</summary>
public sealed class SecureRulesTests
{
    private static readonly string[] s_sites = ["a", "b", "c", "d"];
    private static readonly Roster s_roster = new(s_sites.ToHashSet(), s_sites.ToHashSet(), "same");

    private RunState _state = RunState.Submitted(new RunPlan(1, 3, TimeSpan.FromMinutes(1), s_sites, null, Secure: true), Scenario.Initial, Scenario.Start);

    [Theory] // members refuse what is beyond: a round's update and its evaluation are opened with one key, or the round waits for new ones
    [InlineData(1, null, 3)]
    [InlineData(2, null, 2)]
    [InlineData(2, 1, 3)]
    [InlineData(3, 1, 3)]
    [InlineData(4, 1, 2)]
    [InlineData(3, 2, 2)] // round 2 and the last one are evaluated
    public void Keys_BeforeARoundThatWouldOpenMoreThanMembersAllow_AreMadeAnew(int maxOpenings, int? evaluateEvery, int epochs)
    {
        Start(new RunPlan(3, 3, TimeSpan.FromMinutes(1), s_sites, evaluateEvery, Secure: true, MaxOpenings: maxOpenings));
        List<int> openings = [0];
        for (int epoch = 0; !_state.IsOver;)
        {
            if (_state.Phase is MakingKeys making)
            {
                epoch = making.Epoch;
                openings.Add(0);
                Apply(new EpochMade(making.Attempt, new EpochKeys(epoch, new string('c', 64), "", "", "same", 0), 4, 3));
            }
            else if (_state.Phase is RoundOpen)
            {
                foreach (string site in s_sites) Apply(new UpdateArrived(site, _state.Round, _state.ModelSha256, new Contribution(site, 0)));
                openings[epoch]++;
                Apply(new Aggregated(_state.Round, Scenario.Model(_state.Round)));
            }
            else
            {
                foreach (string site in s_sites) Apply(new EvaluationSealed(site, _state.Round, new Contribution(site, 0)));
                openings[epoch]++;
                Apply(new EvaluationOpened(_state.Round, new EvaluationSums { Examples = 1, Correct = 1, LogLossSum = 0, BrierSum = 0 }));
            }
        }

        Assert.Equal(3, _state.CompletedRounds);
        Assert.All(openings, count => Assert.InRange(count, 0, Math.Max(maxOpenings, evaluateEvery is null ? 1 : 2)));
        Assert.Equal(epochs, openings.Count - 1);
    }

    [Theory] // whoever of them spoils the self-test: nobody can say, and within the attempts of one epoch keys are made without it
    [InlineData(4, 3)]
    [InlineData(5, 4)]
    [InlineData(7, 5)]
    [InlineData(10, 6)]
    [InlineData(32, 17)]
    public void Keys_OneMemberSpoilsTheSelfTest_AreMadeWithoutIt(int count, int threshold)
    {
        string[] sites = [.. Enumerable.Range(0, count).Select(i => $"site-{i:00}")];
        foreach (string liar in sites)
        {
            Start(new RunPlan(1, 3, TimeSpan.FromMinutes(1), s_sites, null, Secure: true, MaxOpenings: 100));
            MakeKeys wanted = new(1, 0, []);
            while (SecureRules.Committee(sites, wanted, threshold).Contains(liar))
            {
                Transition failed = RunMachine.Apply(_state, new EpochFailed(1, wanted.Attempt, "The self-test failed.", [], InTest: true), s_roster, Scenario.Start);
                _state = failed.State;
                Assert.IsType<MakingKeys>(_state.Phase);
                wanted = Assert.Single(failed.Effects.OfType<MakeKeys>());
                Assert.InRange(SecureRules.Committee(sites, wanted, threshold).Length, threshold, count - 1);
            }
        }
    }

    [Fact]
    public void Committee_OfThoseLeft_KeepsTheThreshold()
    {
        Assert.Equal(["a", "b", "d"], SecureRules.Committee(s_sites, new MakeKeys(1, 1, ["c"]), 3));
        Assert.Equal(["a", "b", "d"], SecureRules.Committee(s_sites, new MakeKeys(1, 2, ["c"], FailedTests: 1), 3)); // nobody can be spared
        Assert.Equal(s_sites, SecureRules.Committee(s_sites, new MakeKeys(1, 3, ["b", "c"]), 3));
        Assert.Equal(["b", "c", "d"], SecureRules.Committee(s_sites, new MakeKeys(1, 3, ["b", "c"], FailedTests: 1), 3));
    }

    [Fact] // administrators need longer than ten attempts take
    public void Keys_OfARosterThatSitesHaveNotAccepted_AreWaitedForOrDoneWithout()
    {
        Start(new RunPlan(3, 3, TimeSpan.FromMinutes(1), s_sites, null, Secure: true, MaxOpenings: 2));
        for (int attempt = 0; attempt < 50; attempt++) Apply(new EpochFailed(1, attempt, "Not yet.", ["a"], RosterRefusedBy: ["a"]));
        Assert.Equal((50, 50), _state.Phase is MakingKeys waiting ? (waiting.Attempt, waiting.Uncounted) : default);
        for (int attempt = 50; attempt < 70; attempt++) Apply(new EpochFailed(1, attempt, "The coordinator restarted.", [], Restarted: true));
        MakeKeysAndContribute();
        Roster five = new(s_sites.Append("e").ToHashSet(), s_sites.Append("e").ToHashSet(), "another");
        Apply(new SiteAnswered("e", []), five);
        Apply(new Aggregated(1, Scenario.Model(1)), five);
        MakingKeys making = Assert.IsType<MakingKeys>(_state.Phase);
        Apply(new EpochFailed(2, 0, "Not yet.", ["a"], RosterRefusedBy: ["a"]), five);
        Assert.Equal((1, 2), (_state.Keys!.Epoch, _state.Round)); // with the keys there are
        Assert.Equal(s_sites, Assert.IsType<RoundOpen>(_state.Phase).Cohort);
        MakeKeysAndContribute(five);
        Apply(new Aggregated(2, Scenario.Model(2)), five);
        Assert.Null(Assert.IsType<MakingKeys>(_state.Phase).Former); // used up: nothing to go on with
        Assert.Equal(1, making.Former!.Epoch);
    }

    [Fact] // somebody spoils the sums, and nobody can say who: not for ever; a round that completes begins the count anew
    public void Lost_TenRoundsInARow_EndTheRun()
    {
        Start(new RunPlan(3, 3, TimeSpan.FromMinutes(1), s_sites, null, Secure: true, MaxOpenings: 100));
        for (int round = 1; round <= SecureRules.MostLostOpenings; round++)
        {
            MakeKeysAndContribute();
            Apply(round == 2 ? new Aggregated(2, Scenario.Model(2)) : new OpeningLost(round, "The sums are wrong.", Scenario.Model(round)));
        }

        for (int round = SecureRules.MostLostOpenings + 1; round < SecureRules.MostLostOpenings + 3; round++)
        {
            Assert.False(_state.IsOver);
            MakeKeysAndContribute();
            Apply(new OpeningLost(round, "The sums are wrong.", Scenario.Model(round)));
        }

        Assert.Equal(new Ended(RunEnd.Failed, "10 rounds in a row could not be opened. The sums are wrong."), _state.Phase);
    }

    private void MakeKeysAndContribute(Roster? roster = null)
    {
        if (_state.Phase is Waiting) Apply(new Tick(), roster);
        if (_state.Phase is MakingKeys making) Apply(new EpochMade(making.Attempt, new EpochKeys(making.Epoch, new string('c', 64), "", "", (roster ?? s_roster).Identities, 0, Sites: s_sites), 4, 3), roster);
        foreach (string site in s_sites) Apply(new UpdateArrived(site, _state.Round, _state.ModelSha256, new Contribution(site, 0)), roster);
    }

    private void Start(RunPlan plan)
    {
        _state = RunState.Submitted(plan, Scenario.Initial, Scenario.Start);
        foreach (string site in s_sites) Apply(new SiteAnswered(site, []));
    }

    private void Apply(RunEvent happened, Roster? roster = null) => _state = RunMachine.Apply(_state, happened, roster ?? s_roster, Scenario.Start).State;
}
