using Federation.Privacy.SecureAggregation;

namespace Federation.Privacy.Tests.SecureAggregation;

public sealed class ContributionRuleTests
{
    private const string First = "m1", Second = "m2";

    [Fact] // what an honest coordinator asks for
    public void Check_NewModelsAndAbandonedRounds_AreTaken()
    {
        Check(1, First);
        Check(2, Second, Past(1, First));
        Check(2, First, Past(1, First)); // round 1 was abandoned: nothing says that it was opened
        Check(3, First, Past(1, First), Past(2, First));
        Check(2, Second, Past(1, First), Past(1, Second, Opening.Evaluation));
        Check(1, First, Past(1, First)); // what was stored is lost here
    }

    [Fact]
    public void Check_AModelThatTheRunHasGoneOnFrom_IsRefused()
    {
        Refused("has gone on from that model", 3, First, Past(1, First), Past(2, Second));
        Refused("has gone on from that model", 2, First, Past(1, First), Past(1, Second, Opening.Evaluation));
    }

    [Fact] // this site was a member
    public void Check_ARoundThatThisSiteHelpedToOpen_IsRefused()
    {
        ProtocolException refused = Assert.Throws<ProtocolException>(() => ContributionRule.Check("run", 2, Opening.Update, First, [Past(1, First)], round => round == 1));
        Assert.Equal(Refusal.ContributedBefore, refused.Reason);
        Assert.Contains("helped to open round 1", refused.Message, StringComparison.Ordinal);
        Assert.Throws<ProtocolException>(() => ContributionRule.Check("run", 1, Opening.Update, First, [Past(1, First)], round => round == 1));
        ContributionRule.Check("run", 2, Opening.Update, Second, [Past(1, First)], _ => true);
    }

    [Fact]
    public void Check_RoundsThatGoBackOrHaveTwoModels_AreRefused()
    {
        Refused("rounds only go forward", 1, First, Past(2, Second));
        Refused("from another model already", 2, First, Past(2, Second));
    }

    [Fact] // counts have no rounding to draw anew
    public void Check_OneModelEvaluatedInTwoRounds_IsRefused() =>
        Assert.Contains("not encrypted twice", Assert.Throws<ProtocolException>(() => ContributionRule.Check("run", 2, Opening.Evaluation, First, [Past(1, First, Opening.Evaluation)], _ => false)).Message, StringComparison.Ordinal);

    private static PastContribution Past(int round, string model, string purpose = Opening.Update) => new(round, purpose, model, "");

    private static void Check(int round, string model, params PastContribution[] earlier) => ContributionRule.Check("run", round, Opening.Update, model, earlier, _ => false);

    private static void Refused(string why, int round, string model, params PastContribution[] earlier) =>
        Assert.Contains(why, Assert.Throws<ProtocolException>(() => Check(round, model, earlier)).Message, StringComparison.Ordinal);
}
