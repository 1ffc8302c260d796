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

    [Fact] // maintenance takes longer than ten attempts, and the sites' nodes may be stopped for it
    public void Keys_OfAPausedRun_AreNotMadeUntilItGoesOn()
    {
        Start(new RunPlan(2, 3, TimeSpan.FromMinutes(1), s_sites, null, Secure: true, MaxOpenings: 100));
        Assert.Equal(1, Assert.IsType<MakingKeys>(_state.Phase).Epoch);
        Transition paused = RunMachine.Apply(_state, new PauseRequested(Pause.WithAll), s_roster, Scenario.Start);
        _state = paused.State;
        Assert.Equal("paused", _state.PhaseName);
        Assert.Single(paused.Effects.OfType<StopKeys>());
        for (int attempt = 0; attempt < 2 * SecureRules.MostAttempts; attempt++)
        {
            Transition failed = RunMachine.Apply(_state, new EpochFailed(1, attempt, "Nobody answered.", s_sites), s_roster, Scenario.Start + TimeSpan.FromDays(attempt));
            _state = failed.State;
            Assert.Empty(failed.Effects);
        }

        Assert.Equal("paused", _state.PhaseName);
        Apply(new ResumeRequested(WithAll: true));
        Assert.Equal(2, Assert.IsType<MakingKeys>(_state.Phase).Epoch);
        MakeKeysAndContribute();
        Assert.Equal((2, 1), (_state.Keys!.Epoch, _state.Round));
    }

    [Fact] // as another version of the coordinator may have stored it
    public void Keys_OfAPausedRunThatIsFoundMakingThem_AreNotMade()
    {
        Start(new RunPlan(2, 3, TimeSpan.FromMinutes(1), s_sites, null, Secure: true, MaxOpenings: 100));
        MakeKeysAndContribute();
        EpochKeys former = _state.Keys!;
        _state = _state with { Paused = Pause.ByName, Keys = null, Phase = new MakingKeys(2, 9, [], Former: former) };
        Apply(new EpochFailed(2, 9, "The coordinator restarted.", [], Restarted: true));
        Assert.Equal(("paused", former), (_state.PhaseName, _state.Keys));
        Assert.IsType<Waiting>(_state.Phase);
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

    [Fact] // one refuses the roster, and behind its back another spoils each attempt: that one is left out, or its failures count
    public void Keys_SpoiltBesideASiteThatRefusesTheRoster_DoNotFailForEver()
    {
        Start(new RunPlan(1, 3, TimeSpan.FromMinutes(1), s_sites, null, Secure: true, MaxOpenings: 100));
        Apply(new EpochFailed(1, 0, "Not yet.", ["a", "d"], RosterRefusedBy: ["a"]));
        Assert.Equal(["d"], Assert.IsType<MakingKeys>(_state.Phase).Dropped);
        for (int attempt = 1; attempt < SecureRules.MostAttempts; attempt++) Apply(new EpochFailed(1, attempt, "The self-test failed.", ["a"], InTest: true, RosterRefusedBy: ["a"]));
        Assert.Equal(RunEnd.Failed, Assert.IsType<Ended>(_state.Phase).How);
    }

    [Fact] // as with a threshold in the spec that is too low for the members' policies once a site more is enrolled
    public void Keys_ForChangedSitesCannotBeMade_GoesOnWithThoseThatServe()
    {
        Start(new RunPlan(4, 3, TimeSpan.FromMinutes(1), s_sites, null, Secure: true, MaxOpenings: 3));
        MakeKeysAndContribute();
        Roster five = new(s_sites.Append("e").ToHashSet(), s_sites.Append("e").ToHashSet(), "another");
        Apply(new Aggregated(1, Scenario.Model(1)), five);
        for (int attempt = 0; attempt < SecureRules.MostAttempts; attempt++) Apply(new EpochFailed(2, attempt, "a refuses a threshold of 3.", ["a"]), five);
        Assert.Equal((1, 2), (_state.Keys!.Epoch, _state.Round));
        Assert.Equal(s_sites, Assert.IsType<RoundOpen>(_state.Phase).Cohort);
        MakeKeysAndContribute(five);
        Apply(new Aggregated(2, Scenario.Model(2)), five);
        Assert.Equal((1, 3), (_state.Keys!.Epoch, _state.Round)); // not tried again for the same sites
        MakeKeysAndContribute(five);
        Apply(new Aggregated(3, Scenario.Model(3)), five);
        Assert.Null(Assert.IsType<MakingKeys>(_state.Phase).Former); // used up
        for (int attempt = 0; attempt < SecureRules.MostAttempts; attempt++) Apply(new EpochFailed(3, attempt, "a refuses a threshold of 3.", ["a"]), five);
        Assert.Equal("No keys after 10 attempts. a refuses a threshold of 3.", Assert.IsType<Ended>(_state.Phase).Reason);
    }

    [Fact] // sites accept a new roster one after the other: none of them fails, rounds go on without those that have accepted, and the last one brings keys for all
    public void Roster_AcceptedOneAfterTheOther_CountsAsNobodysFailure()
    {
        _state = RunState.Submitted(new RunPlan(50, 3, TimeSpan.FromMinutes(1), null, null, Secure: true, MaxOpenings: 100), Scenario.Initial, Scenario.Start);
        Apply(new Tick());
        foreach (string site in s_sites) Apply(new SiteAnswered(site, []));
        MakeKeysAndContribute();
        Roster five = new(s_sites.Append("e").ToHashSet(), s_sites.Append("e").ToHashSet(), "another");
        Apply(new Aggregated(1, Scenario.Model(1)), five);
        Apply(new SiteAnswered("e", []), five);
        Refused(2, 0, ["a", "b", "c", "d"]);
        for (int round = 2; round < 12; round++) // beyond what a site may fail
        {
            Assert.Equal((1, round), (_state.Keys!.Epoch, _state.Round));
            Assert.Equal(round == 2 ? s_sites : ["b", "c", "d"], Assert.IsType<RoundOpen>(_state.Phase).Cohort);
            if (round == 2) Apply(new SiteFailed("a", round, "It pins another.", RosterRefused: true), five);
            foreach (string site in s_sites[1..]) Apply(new UpdateArrived(site, _state.Round, _state.ModelSha256, new Contribution(site, 0)), five);
            Apply(new Aggregated(round, Scenario.Model(round)), five);
        }

        Assert.Equal(new RunSite(SiteStanding.Ready, []).Standing, _state.Sites["a"].Standing);
        Apply(new SiteJoined("b"), five); // the next round tries keys for today's roster
        Apply(new SiteFailed("b", 12, "It pins another.", RosterRefused: true), five);
        foreach (string site in new[] { "c", "d" }) Apply(new UpdateArrived(site, 12, _state.ModelSha256, new Contribution(site, 0)), five);
        Refused(3, 0, ["c", "d"]);
        Assert.Equal("2 of 3 needed sites are ready and connected. a, b pin another roster than that of the run's keys; new keys are made when all sites have accepted today's (`fed roster accept`).", Assert.IsType<Waiting>(_state.Phase).Reason);
        Apply(new SiteJoined("c"), five);
        Refused(4, 0, ["d"]);
        Apply(new SiteJoined("d"), five);
        Apply(new EpochMade(0, new EpochKeys(5, new string('c', 64), "", "", "another", 0, Sites: [.. s_sites, "e"]), 5, 4), five);
        Assert.Equal([.. s_sites, "e"], Assert.IsType<RoundOpen>(_state.Phase).Cohort);

        void Refused(int epoch, int attempt, string[] by)
        {
            Assert.Equal(epoch, Assert.IsType<MakingKeys>(_state.Phase).Epoch);
            Apply(new EpochFailed(epoch, attempt, "Not yet.", by, RosterRefusedBy: by), five);
        }
    }

    [Fact] // its node joins again and again, and is asked each time
    public void Roster_RefusedInManyRounds_IsNoFailureOfTheSite()
    {
        Start(new RunPlan(50, 3, TimeSpan.FromMinutes(1), s_sites, null, Secure: true, MaxOpenings: 100));
        Apply(new EpochMade(0, new EpochKeys(1, new string('c', 64), "", "", "same", 0, Sites: s_sites), 4, 3));
        for (int round = 1; round <= 2 * RunMachine.MostFailures; round++)
        {
            Assert.Equal(s_sites, Assert.IsType<RoundOpen>(_state.Phase).Cohort);
            Apply(new SiteFailed("a", round, "It pins another.", RosterRefused: true));
            Apply(new SiteJoined("a"));
            foreach (string site in s_sites[1..]) Apply(new UpdateArrived(site, round, _state.ModelSha256, new Contribution(site, 0)));
            Apply(new Aggregated(round, Scenario.Model(round)));
        }

        Assert.Equal((SiteStanding.Ready, 0), (_state.Sites["a"].Standing, _state.Sites["a"].Failures));
    }

    [Fact] // of five members four open a sum: with two that pin another roster no round is begun whose sum nobody could open, and one that comes back to the old roster is asked again
    public void Roster_AcceptedByTooManyMembers_WaitsBeforeTheRound()
    {
        string[] sites = [.. s_sites, "e"];
        Roster five = new(sites.ToHashSet(), sites.ToHashSet(), "same");
        _state = RunState.Submitted(new RunPlan(50, 3, TimeSpan.FromMinutes(1), null, null, Secure: true, MaxOpenings: 100), Scenario.Initial, Scenario.Start);
        Apply(new Tick(), five);
        foreach (string site in sites) Apply(new SiteAnswered(site, []), five);
        Apply(new EpochMade(0, new EpochKeys(1, new string('c', 64), "", "", "same", 0, Sites: sites, Members: sites, Threshold: 4), 5, 4), five);
        foreach (string site in new[] { "a", "b" }) Apply(new SiteFailed(site, 1, "It pins another.", RosterRefused: true), five);
        foreach (string site in sites[2..]) Apply(new UpdateArrived(site, 1, _state.ModelSha256, new Contribution(site, 0)), five);
        Apply(new Aggregated(1, Scenario.Model(1)), five);
        Assert.StartsWith("3 of 4 members that open a sum accept the roster of the run's keys. a, b pin another roster", Assert.IsType<Waiting>(_state.Phase).Reason, StringComparison.Ordinal);
        Apply(new SiteJoined("b"), five);
        Assert.Equal(["b", "c", "d", "e"], Assert.IsType<RoundOpen>(_state.Phase).Cohort);
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
