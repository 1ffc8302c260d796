using Federation.Privacy.SecureAggregation;

namespace Federation.Privacy.Tests.SecureAggregation;

/// <summary>Sums of one run over almost the same sites: refused where a member's policy asks for that.</summary>
public sealed class ContributorSetsRuleTests : IDisposable
{
    private readonly TestFederation _federation = new(6, 4);
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("fed-sets-rule");

    public void Dispose()
    {
        _federation.Dispose();
        _folder.Delete(recursive: true);
    }

    [Fact] // on disk: after a restart, too; another purpose and another run are other figures
    public void Answer_OfOneSiteLess_IsRefusedByAPolicyThatKeepsSetsApart()
    {
        string path = Path.Combine(_folder.FullName, "secagg.db");
        byte[] key = new byte[32];
        (EpochCertificate certificate, CommitteeShare[] shares) = _federation.MakeEpoch();
        TestRound all = new(_federation, certificate, 6), fewer = new(_federation, certificate, 5, round: 2, model: 8), again = new(_federation, certificate, 6, round: 2, model: 8), three = new(_federation, certificate, 3, round: 3, model: 9);
        TestRound evaluation = new(_federation, certificate, 5, round: 2, purpose: Opening.Evaluation, model: 8);
        using (CommitteeStore store = new(path, key)) Member(store, isApart: false).Answer(all.Request(1, 2, 3, 4), all.Seconds); // noted before the policy asks for it
        using (CommitteeStore store = new(path, key))
        {
            OpeningMember member = Member(store, isApart: true);
            ProtocolException near = Assert.Throws<ProtocolException>(() => member.Answer(fewer.Request(1, 2, 3, 4), fewer.Seconds));
            Assert.Equal(Refusal.NearbySet, near.Reason);
            Assert.Contains("with 5 sites after a sum of 6 sites was opened in this run, and only 'site-6' is in one of the two sets alone", near.Message, StringComparison.Ordinal);
            member.Answer(evaluation.Request(1, 2, 3, 4), evaluation.Seconds);
            member.Answer(again.Request(1, 2, 3, 4), again.Seconds);
            member.Answer(three.Request(1, 2, 3, 4), three.Seconds);
            Assert.Equal([(Opening.Evaluation, 5), (Opening.Update, 3), (Opening.Update, 6)], store.Sets(all.Opening.Run).Select(set => (set.Purpose, set.Sites.Count)));
            Assert.Empty(store.Sets("another"));
        }

        foreach (CommitteeShare share in shares) share.Dispose();

        OpeningMember Member(CommitteeStore store, bool isApart) => new(certificate, shares[0], _federation.Roster, new CommitteePolicy(lyingOrRestored: 0) { AreSetsApart = isApart }, _federation.Identity(1), _federation.Random, store.Record(), entry => store.Append(all.Opening.Run, entry), store.Statistics(), store.Sets(all.Opening.Run));
    }
}
