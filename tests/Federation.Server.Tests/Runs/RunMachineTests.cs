using Federation.Formats.Evaluation;
using Federation.Protocol;
using Federation.Server.Runs;

namespace Federation.Server.Tests.Runs;

public sealed class RunMachineTests
{
    private static readonly TimeSpan Deadline = TimeSpan.FromMinutes(10);

    [Fact]
    public void Run_AllSitesContributeEveryRound_CompletesWithTheLastModel()
    {
        var run = new Scenario(rounds: 2);
        run.Ready("a", "b", "c");
        run.PlayRound();
        run.PlayRound();
        Assert.Equal("completed", run.State.PhaseName);
        Assert.Equal((2, 2, Scenario.Model(2)), (run.State.Round, run.State.CompletedRounds, run.State.ModelSha256));
        Assert.Equal([1, 2], run.Effects.OfType<KeepModel>().Select(model => model.Round));
    }

    [Fact] // It fell out, joined again as an evaluator, and an upload from before still arrives
    public void Round_SiteBecameAnEvaluator_IsNotWaitedForAndItsUpdateRefused()
    {
        var run = new Scenario(least: 2);
        run.Ready("a", "b", "c");
        run.Apply(new SiteFailed("c", 0, "It lost its record of the run."));
        run.BecomeEvaluator("c");
        run.Apply(new SiteJoined("c"));
        Assert.DoesNotContain("c", run.State.Sites.Keys);
        Assert.Equal(Refusal.NotInCohort, run.Contribute("c").Refused);
        run.Contribute("a");
        run.Contribute("b");
        Assert.Equal(["a", "b"], Assert.IsType<Aggregating>(run.State.Phase).Contributions.Keys);
    }

    [Fact]
    public void Start_ASiteHasNotAnswered_WaitsForItUntilTheDeadline()
    {
        var run = new Scenario(least: 2);
        run.Ready("a", "b");
        Assert.IsType<Preparing>(run.State.Phase);
        run.Wait(Deadline);
        Assert.Equal(["a", "b"], Assert.IsType<RoundOpen>(run.State.Phase).Cohort);
    }

    [Fact]
    public void Start_ASiteOfTheSpecIsNotEnrolled_DoesNotWaitForIt()
    {
        var run = new Scenario(least: 2, asked: ["a", "b", "nobody"]);
        run.Ready("a", "b");
        Assert.Equal(["a", "b"], Assert.IsType<RoundOpen>(run.State.Phase).Cohort);
    }

    [Fact]
    public void Start_SiteNotInTheSpec_IsNotAsked()
    {
        var run = new Scenario(least: 1, asked: ["a"]);
        Assert.Equal(Refusal.NotInCohort, run.Apply(new SiteAnswered("b", [])).Refused);
        run.Ready("a");
        Assert.Equal(Refusal.NotInCohort, run.Contribute("b").Refused);
    }

    [Fact]
    public void Start_SomeDataDoesNotFit_ThatSiteIsLeftOut()
    {
        var run = new Scenario(least: 2);
        run.Ready("a", "b");
        run.Apply(new SiteAnswered("c", ["No column 'age'.", "No column 'sex'."]));
        Assert.Equal(["a", "b"], Assert.IsType<RoundOpen>(run.State.Phase).Cohort);
        Assert.Equal(["No column 'age'.", "No column 'sex'."], run.State.Sites["c"].Reasons);
    }

    [Fact]
    public void Start_TooFewSitesCanEverBeReady_FailsAndNamesTheirReasons()
    {
        var run = new Scenario(least: 3);
        run.Ready("a", "b");
        run.Apply(new SiteAnswered("c", ["No column 'age'."]));
        Ended ended = Assert.IsType<Ended>(run.State.Phase);
        Assert.Equal(RunEnd.Failed, ended.How);
        // What one site says is the operator's to read, and no other site's.
        Assert.Equal("2 of 3 needed sites can take part.", ended.Reason);
        Assert.Equal("2 of 3 needed sites can take part. c: No column 'age'.", run.Effects.OfType<Announce>().Last().Message);
    }

    [Fact]
    public void Start_RefusedSiteComesBackMended_IsAskedAgain()
    {
        var run = new Scenario(least: 2);
        run.Ready("a", "b");
        run.Apply(new SiteAnswered("c", ["No column 'age'."]));
        run.Apply(new SiteJoined("c"));
        Assert.Equal(SiteStanding.Checking, run.State.Sites["c"].Standing);
        run.Ready("c");
        run.PlayRound();
        Assert.Equal(["a", "b", "c"], Assert.IsType<RoundOpen>(run.State.Phase).Cohort);
    }

    [Fact]
    public void Round_TooFewSitesConnected_WaitsAndSaysSoAndGoesOn()
    {
        var run = new Scenario(least: 3);
        run.Ready("a", "b");
        run.Leave("b");
        run.Ready("c");
        Assert.Equal("2 of 3 needed sites are ready and connected.", Assert.IsType<Waiting>(run.State.Phase).Reason);
        run.Wait(TimeSpan.FromDays(30)); // never fails by itself
        Assert.Single(run.Said, kind => kind == RunLog.Waiting);
        run.Come("b");
        Assert.IsType<RoundOpen>(run.State.Phase);
    }

    [Fact]
    public void Round_SiteEnrolsInIt_JoinsTheNext()
    {
        var run = new Scenario(least: 2);
        run.Ready("a", "b", "c");
        run.Enrol("d");
        Assert.Equal(SiteStanding.Checking, run.State.Sites["d"].Standing);
        run.Ready("d");
        Assert.DoesNotContain("d", Assert.IsType<RoundOpen>(run.State.Phase).Cohort);
        Assert.Equal(Refusal.NotInCohort, run.Contribute("d").Refused);
        run.PlayRound();
        Assert.Contains("d", Assert.IsType<RoundOpen>(run.State.Phase).Cohort);
    }

    [Fact]
    public void Round_ASiteNeverReturns_IsPassedOverAtTheDeadline()
    {
        var run = new Scenario(least: 2);
        run.Ready("a", "b", "c");
        run.Contribute("a");
        run.Contribute("b");
        run.Leave("c");
        run.Wait(Deadline - TimeSpan.FromSeconds(1));
        Assert.IsType<RoundOpen>(run.State.Phase);
        run.Wait(TimeSpan.FromSeconds(1));
        Assert.Equal(["a", "b"], Assert.IsType<Aggregating>(run.State.Phase).Contributions.Keys);
        run.Sum();
        Assert.Equal(["a", "b"], Assert.IsType<RoundOpen>(run.State.Phase).Cohort);
    }

    [Fact]
    public void Round_TooFewUpdatesAtTheDeadline_IsAbandonedAndTheModelStays()
    {
        var run = new Scenario(least: 2);
        run.Ready("a", "b", "c");
        run.Contribute("a");
        run.Wait(Deadline);
        Assert.Equal((2, 0, Scenario.Initial), (run.State.Round, run.State.CompletedRounds, run.State.ModelSha256));
        Assert.Contains(new DropUploads(1), run.Effects);
        Assert.DoesNotContain(run.Effects, effect => effect is Aggregate);
        Assert.Equal(Refusal.Late, run.Contribute("b", round: 1).Refused);
    }

    [Fact]
    public void Round_GivenUpAgain_SaysHowManyMoreTheSitesAllow()
    {
        var run = new Scenario(rounds: 40, least: 2);
        run.Ready("a", "b", "c");
        for (int i = 0; i < 3; i++) run.Wait(Deadline);
        string[] said = [.. run.Effects.OfType<Announce>().Where(line => line.Kind == RunLog.RoundAbandoned).Select(line => line.Message)];
        Assert.EndsWith("The model stays.", said[0], StringComparison.Ordinal); // 4 of 40 rounds may be repeated
        Assert.EndsWith("3 rounds were given up; sites that sent an update in each take no part after the 4th.", said[2], StringComparison.Ordinal);
    }

    [Fact]
    public void Update_SentTwice_CountsOnce()
    {
        var run = new Scenario(least: 2);
        run.Ready("a", "b", "c");
        run.Contribute("a", weight: 5, update: "first");
        Assert.True(run.Contribute("a", weight: 5, update: "first").Duplicate);
        Assert.Equal(Refusal.AlreadyContributed, run.Contribute("a", weight: 9, update: "second").Refused);
        Assert.Equal([new Contribution("first", 5)], Assert.IsType<RoundOpen>(run.State.Phase).Contributions.Values);
    }

    [Fact]
    public void Update_SentAgainWhileTheRoundIsSummed_IsADuplicate()
    {
        var run = new Scenario(least: 2, sites: ["a", "b"]);
        run.Ready("a", "b");
        run.Contribute("a");
        run.Contribute("b");
        Assert.True(run.Contribute("b").Duplicate);
        Assert.Equal(Refusal.AlreadyContributed, run.Contribute("b", update: "another").Refused);
    }

    [Theory]
    [InlineData(0, Refusal.WrongRound)]
    [InlineData(2, Refusal.WrongRound)]
    [InlineData(int.MaxValue, Refusal.WrongRound)]
    public void Update_ForARoundThatIsNotOpen_IsRefused(int round, Refusal expected)
    {
        var run = new Scenario();
        run.Ready("a", "b", "c");
        Assert.Equal(expected, run.Contribute("a", round: round).Refused);
    }

    [Fact]
    public void Update_FromAnotherModel_IsRefused()
    {
        var run = new Scenario();
        run.Ready("a", "b", "c");
        Assert.Equal(Refusal.WrongModel, run.Contribute("a", model: Scenario.Model(77)).Refused);
    }

    [Fact]
    public void Update_AfterTheRun_IsRefused()
    {
        var run = new Scenario(rounds: 1);
        run.Ready("a", "b", "c");
        run.PlayRound();
        Assert.Equal(Refusal.RunOver, run.Contribute("a").Refused);
    }

    [Fact]
    public void Failure_OfASite_TheRoundDoesNotWaitForIt()
    {
        var run = new Scenario(least: 2);
        run.Ready("a", "b", "c");
        run.Contribute("a");
        run.Contribute("b");
        run.Apply(new SiteFailed("c", 1, "Out of memory."));
        Assert.IsType<Aggregating>(run.State.Phase);
        run.Sum();
        Assert.Contains("c", Assert.IsType<RoundOpen>(run.State.Phase).Cohort); // once is forgiven
    }

    [Fact]
    public void Failure_ThreeRoundsInARow_LeavesTheSiteOut()
    {
        var run = new Scenario(rounds: 5, least: 2);
        run.Ready("a", "b", "c");
        for (int round = 1; round <= RunMachine.MostFailures; round++)
        {
            run.Apply(new SiteFailed("c", round, "Out of memory."));
            run.Contribute("a");
            run.Contribute("b");
            run.Sum();
        }

        Assert.Equal(SiteStanding.Failed, run.State.Sites["c"].Standing);
        Assert.Equal(["a", "b"], Assert.IsType<RoundOpen>(run.State.Phase).Cohort);
    }

    [Fact]
    public void Failure_EveryRoundOfTooManySites_FailsTheRunWithTheReasons()
    {
        var run = new Scenario(rounds: 5, least: 3);
        run.Ready("a", "b", "c");
        for (int round = 1; round <= RunMachine.MostFailures; round++)
        {
            foreach (string site in new[] { "a", "b", "c" }) run.Apply(new SiteFailed(site, round, "Out of memory."));
        }

        Ended ended = Assert.IsType<Ended>(run.State.Phase);
        Assert.Equal(RunEnd.Failed, ended.How);
        Assert.Contains("b: Out of memory.", run.Effects.OfType<Announce>().Last().Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Failure_ThenTheUpdateInTheSameRound_CountsAfterAll()
    {
        var run = new Scenario(least: 2);
        run.Ready("a", "b", "c");
        run.Apply(new SiteFailed("a", 1, "Cut off."));
        Assert.Null(run.Contribute("a").Refused);
        Assert.Empty(Assert.IsType<RoundOpen>(run.State.Phase).Failed);
        Assert.Equal(0, run.State.Sites["a"].Failures);
    }

    [Fact]
    public void Failure_OfACheckInAnOpenRound_DoesNotHoldTheRoundUp()
    {
        var run = new Scenario(least: 2);
        run.Ready("a", "b", "c");
        run.Contribute("a");
        run.Contribute("b");
        run.Apply(new SiteFailed("c", 0, "The data file is gone."));
        Assert.IsType<Aggregating>(run.State.Phase);
    }

    [Fact]
    public void Aggregation_Fails_TheRunFailsWithTheReason()
    {
        var run = new Scenario(least: 2, sites: ["a", "b"]);
        run.Ready("a", "b");
        run.Contribute("a");
        run.Contribute("b");
        run.Apply(new AggregationFailed(1, "Coordinate 3 is infinite."));
        Assert.Contains("Coordinate 3 is infinite.", Assert.IsType<Ended>(run.State.Phase).Reason, StringComparison.Ordinal);
    }

    [Fact]
    public void Aggregation_OfUpdatesThatMakeNoModel_GivesUpTheRoundAndNotTheRun()
    {
        var run = new Scenario(rounds: 40, least: 2, sites: ["a", "b"]);
        run.Ready("a", "b");
        for (int i = 1; i <= SecureRules.MostLostOpenings; i++)
        {
            Assert.Equal((i, 0, Scenario.Initial), (run.State.Round, run.State.CompletedRounds, run.State.ModelSha256));
            run.Contribute("a");
            run.Contribute("b");
            run.Apply(new AggregationFailed(i, "Coordinate 3 is infinite.", IsOfUpdates: true));
            Assert.Contains(new DropUploads(i), run.Effects);
        }

        Assert.Equal("10 rounds in a row made no model. Coordinate 3 is infinite.", Assert.IsType<Ended>(run.State.Phase).Reason);
        run = new Scenario(rounds: 2, least: 2, sites: ["a", "b"]);
        run.Ready("a", "b");
        run.Contribute("a");
        run.Contribute("b");
        run.Apply(new AggregationFailed(1, "Coordinate 3 is infinite.", IsOfUpdates: true));
        run.PlayRound();
        Assert.Equal((1, 0), (run.State.CompletedRounds, run.State.LostOpenings));
    }

    [Fact]
    public void Aggregation_FailureOfAnEarlierRound_ChangesNothing()
    {
        var run = new Scenario(least: 2);
        run.Ready("a", "b", "c");
        run.PlayRound();
        Assert.True(run.Apply(new AggregationFailed(1, "late news")).Duplicate);
        Assert.True(run.Apply(new AggregationFailed(2, "not being summed")).Duplicate);
        Assert.IsType<RoundOpen>(run.State.Phase);
    }

    [Fact]
    public void Evaluation_AllAnswer_SumsAreKeptAndTheNextRoundOpens()
    {
        var run = new Scenario(rounds: 2, evaluateEvery: 1);
        run.Ready("a", "b", "c");
        run.PlayRound();
        Assert.IsType<Evaluating>(run.State.Phase);
        foreach (string site in new[] { "c", "a", "b" }) run.Apply(new EvaluationArrived(site, 1, Sums(10, 7)));
        KeepEvaluation kept = Assert.Single(run.Effects.OfType<KeepEvaluation>());
        Assert.Equal((30UL, 21UL), (kept.Sums.Examples, kept.Sums.Correct));
        Assert.Equal(2, run.State.Round);
    }

    [Fact]
    public void Evaluation_ASiteNeverAnswers_EndsAtTheDeadline()
    {
        var run = new Scenario(rounds: 1, evaluateEvery: 5);
        run.Ready("a", "b", "c");
        run.PlayRound();
        run.Apply(new EvaluationArrived("a", 1, Sums(10, 7)));
        run.Apply(new SiteFailed("b", 1, "No test rows."));
        run.Wait(Deadline);
        Assert.Equal("completed", run.State.PhaseName); // evaluated after the last round, whatever `every` says
        Assert.Equal(10UL, Assert.Single(run.Effects.OfType<KeepEvaluation>()).Sums.Examples);
    }

    [Fact]
    public void Evaluation_ReportsWithAndWithoutHistograms_AreSummedWithoutThem()
    {
        var run = new Scenario(rounds: 1, evaluateEvery: 1);
        run.Ready("a", "b", "c");
        run.PlayRound();
        run.Apply(new EvaluationArrived("a", 1, Sums(10, 7) with { NegativeHistogram = new ulong[256], PositiveHistogram = new ulong[256] }));
        run.Apply(new EvaluationArrived("b", 1, Sums(10, 7)));
        run.Apply(new EvaluationArrived("c", 1, Sums(0, 0)));
        Assert.Equal("completed", run.State.PhaseName);
        Assert.Null(Assert.Single(run.Effects.OfType<KeepEvaluation>()).Sums.ToMetrics().Auc);
    }

    [Fact]
    public void Cancel_InAnOpenRound_DropsItsUploadsAndTakesNoMore()
    {
        var run = new Scenario();
        run.Ready("a", "b", "c");
        run.Contribute("a");
        run.Apply(new CancelRequested());
        Assert.Equal("cancelled", run.State.PhaseName);
        Assert.Contains(new DropUploads(1), run.Effects);
        Assert.Equal(Refusal.RunOver, run.Apply(new CancelRequested()).Refused);
        Assert.Equal(Refusal.RunOver, run.Contribute("b").Refused);
    }

    private static EvaluationSums Sums(ulong examples, ulong correct) => new() { Examples = examples, Correct = correct, LogLossSum = 1, BrierSum = 1 };
}
