using Federation.Formats.Runs;
using Federation.Protocol;
using Federation.Server.Runs;

namespace Federation.Server.Tests.Runs;

/// <summary>Sites that wait for a signature: the run waits with them, is not given up, and asks them again with each.</summary>
public sealed class ApprovalRulesTests
{
    private static readonly SignedSubmission s_submission = new(Scenario.Initial, new byte[SignedSubmission.NonceBytes], null, []);

    [Fact]
    public void Start_SitesWaitForApproval_TheRunIsNotGivenUpAndGoesOnWhenItCame()
    {
        var run = new Scenario(least: 3, submission: s_submission);
        run.Ready("a");
        foreach (string site in new[] { "b", "c" }) run.Apply(new SiteAnswered(site, ["0 of 1 are there."], AwaitsApproval: true));
        Assert.Equal((SiteStanding.Awaiting, "0 of 1 are there."), (run.State.Sites["b"].Standing, run.State.Sites["b"].Reasons.Single()));
        run.Wait(TimeSpan.FromMinutes(11));
        Assert.Contains("b, c wait for approval", Assert.IsType<Waiting>(run.State.Phase).Reason, StringComparison.Ordinal);

        run.Apply(new ApprovalSigned(Key(1)));
        Assert.Equal((SiteStanding.Checking, SiteStanding.Ready), (run.State.Sites["b"].Standing, run.State.Sites["a"].Standing));
        run.Ready("b", "c");
        Assert.Equal(["a", "b", "c"], Assert.IsType<RoundOpen>(run.State.Phase).Cohort);
        Assert.Equal(["site-ready", "site-waits", "site-waits", "waiting", "approved", "waiting", "site-ready", "waiting", "site-ready", "round-opened"], run.Said);
    }

    [Fact] // otherwise it would wait for a signature that is there
    public void Answer_JudgedBeforeTheLatestSignature_LeavesTheQuestionOpen()
    {
        var run = new Scenario(least: 3, submission: s_submission);
        run.Ready("a", "b");
        run.Apply(new ApprovalSigned(Key(1)));
        run.Apply(new SiteAnswered("c", ["0 of 1 are there."], AwaitsApproval: true, Approvals: 0));
        Assert.Equal(SiteStanding.Checking, run.State.Sites["c"].Standing);
        run.Ready("c");
        Assert.Equal(["a", "b", "c"], Assert.IsType<RoundOpen>(run.State.Phase).Cohort);
    }

    [Fact] // as one that has not answered; the others do not wait for ever
    public void Start_ASiteWaitsForApproval_IsWaitedForUntilTheDeadline()
    {
        var run = new Scenario(least: 2, submission: s_submission);
        run.Ready("a", "b");
        run.Apply(new SiteAnswered("c", ["Not yet."], AwaitsApproval: true));
        Assert.IsType<Preparing>(run.State.Phase);
        run.Wait(TimeSpan.FromMinutes(11));
        Assert.Equal(["a", "b"], Assert.IsType<RoundOpen>(run.State.Phase).Cohort);
        run.Apply(new ApprovalSigned(Key(1)));
        run.Ready("c");
        run.PlayRound();
        Assert.Equal(["a", "b", "c"], Assert.IsType<RoundOpen>(run.State.Phase).Cohort);
    }

    [Fact]
    public void Approve_AKeyTwice_OrTooMany_OrARunThatCannotBeSigned_ChangesNothing()
    {
        var run = new Scenario(submission: s_submission);
        Assert.Null(run.Apply(new ApprovalSigned(Key(0))).Refused);
        Assert.True(run.Apply(new ApprovalSigned(Key(0) with { Signature = [1] })).Duplicate);
        for (byte i = 1; i < SignedSubmission.MostApprovals; i++) run.Apply(new ApprovalSigned(Key(i)));
        Assert.Equal(Refusal.Invalid, run.Apply(new ApprovalSigned(Key(200))).Refused);
        Assert.Equal(SignedSubmission.MostApprovals, run.State.Submission!.Approvals.Count);
        run.Apply(new CancelRequested());
        Assert.Equal(Refusal.RunOver, run.Apply(new ApprovalSigned(Key(201))).Refused);
        Assert.Equal(Refusal.Invalid, new Scenario().Apply(new ApprovalSigned(Key(0))).Refused);
        Assert.Equal(Refusal.Invalid, new Scenario(submission: s_submission with { Nonce = [] }).Apply(new ApprovalSigned(Key(0))).Refused);
    }

    [Fact] // its administrator may have approved the spec in its policy
    public void Rejoin_OfASiteThatWaits_AsksItAgain()
    {
        var run = new Scenario(least: 3, submission: s_submission);
        run.Ready("a", "b");
        run.Apply(new SiteAnswered("c", ["Not approved."], AwaitsApproval: true));
        run.Apply(new SiteJoined("c"));
        Assert.Equal(SiteStanding.Checking, run.State.Sites["c"].Standing);
    }

    [Theory] // a policy that has become stricter while the run goes on, or a record that is lost
    [InlineData(1)]
    [InlineData(0)]
    public void Training_ASiteWaitsForApproval_TheOthersGoOnWithoutIt(int round)
    {
        var run = new Scenario(rounds: 3, least: 2, submission: s_submission);
        run.Ready("a", "b", "c");
        run.Apply(new SiteFailed("c", round, "0 of 1 are there.", AwaitsApproval: true));
        Assert.Equal(SiteStanding.Checking, run.State.Sites["c"].Standing); // the signature may be here already
        run.Apply(new SiteAnswered("c", ["0 of 1 are there."], AwaitsApproval: true));
        run.Contribute("a");
        run.Contribute("b");
        Assert.Equal(["a", "b"], Assert.IsType<Aggregating>(run.State.Phase).Contributions.Keys);
        run.Sum();
        run.Apply(new ApprovalSigned(Key(1)));
        run.Ready("c");
        run.PlayRound();
        run.PlayRound();
        Assert.Equal((3, "completed", 0), (run.State.Round, run.State.PhaseName, run.State.Sites["c"].Failures));
        Assert.Equal(["a", "b", "c"], run.Effects.OfType<Summarize>().Last().Contributions.Keys);
    }

    [Fact]
    public void Training_TooFewWithoutTheSiteThatWaits_WaitsForTheSignature()
    {
        var run = new Scenario(least: 3, submission: s_submission);
        run.Ready("a", "b", "c");
        run.Contribute("a");
        run.Apply(new SiteFailed("c", 1, "0 of 1 are there.", AwaitsApproval: true));
        run.Contribute("b");
        run.Apply(new SiteAnswered("c", ["0 of 1 are there."], AwaitsApproval: true));
        run.Wait(TimeSpan.FromDays(1));
        Assert.Contains("c waits for approval", Assert.IsType<Waiting>(run.State.Phase).Reason, StringComparison.Ordinal);
        run.Apply(new ApprovalSigned(Key(1)));
        run.Ready("c");
        run.PlayRound();
        Assert.Equal(1, run.State.CompletedRounds);
    }

    [Theory] // it would cost the others a round each time
    [InlineData(false)]
    [InlineData(true)]
    public void Training_ASiteThatSaysItWaitsAgainAndAgain_HasFailed(bool waitsBetween)
    {
        var run = new Scenario(least: 3, submission: s_submission);
        run.Ready("a", "b", "c");
        for (int round = 1; round <= RunMachine.MostFailures; round++)
        {
            Assert.Equal(round, run.State.Round);
            run.Contribute("a");
            run.Contribute("b");
            run.Apply(new SiteFailed("c", round, "Not yet.", AwaitsApproval: true));
            Assert.True(round == RunMachine.MostFailures || run.State.Phase is Waiting);
            if (waitsBetween && !run.State.IsOver)
            {
                run.Apply(new SiteAnswered("c", ["Not yet."], AwaitsApproval: true));
                if (round == 1) run.Apply(new SiteJoined("c"));
                else run.Apply(new ApprovalSigned(Key(1)));
            }

            run.Apply(new SiteAnswered("c", []));
        }

        Assert.Equal("2 of 3 needed sites can take part.", Assert.IsType<Ended>(run.State.Phase).Reason);
    }

    [Fact] // only a site that trains can stop
    public void Training_ASiteThatIsNotReadySaysItWaits_ChangesNothing()
    {
        var run = new Scenario(least: 2, submission: s_submission);
        run.Ready("a", "b");
        run.Apply(new SiteAnswered("c", ["no such column"]));
        Assert.True(run.Apply(new SiteFailed("c", 1, "Not yet.", AwaitsApproval: true)).Duplicate);
        Assert.Equal(SiteStanding.Refused, run.State.Sites["c"].Standing);
        Assert.Equal(Refusal.WrongRound, run.Apply(new SiteFailed("a", 7, "Not yet.", AwaitsApproval: true)).Refused);
    }

    private static RunSignature Key(byte number) => new([number], [0]);
}
