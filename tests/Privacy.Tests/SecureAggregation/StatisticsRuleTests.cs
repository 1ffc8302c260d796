using Federation.Privacy.SecureAggregation;

namespace Federation.Privacy.Tests.SecureAggregation;

/// <summary>Statistics by difference: of sets that are almost the same a member answers one.</summary>
public sealed class StatisticsRuleTests : IDisposable
{
    private static readonly string s_purpose = Opening.StatisticsPrefix + new string('1', 64), s_another = Opening.StatisticsPrefix + new string('2', 64);

    private readonly TestFederation _federation = new(6, 4);
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("fed-statistics-rule");

    public void Dispose()
    {
        _federation.Dispose();
        _folder.Delete(recursive: true);
    }

    [Theory]
    [InlineData("abcd", "", true)]
    [InlineData("abcd", "abcd", true)]
    [InlineData("dcba", "abcd", true)]
    [InlineData("abc", "abcd", false)]
    [InlineData("abcde", "abcd", false)]
    [InlineData("abce", "abcd", false)] // d − e
    [InlineData("abcde", "abc", false)] // two more
    [InlineData("abcdef", "abc", true)]
    [InlineData("abef", "abc", true)] // c against e and f
    [InlineData("abc", "abcd abcdefg", false)]
    [InlineData("abcd", "abcdefg abcd", true)]
    public void Check_ASet_IsAnsweredIfItIsOneOfTheOthersOrFarFromEach(string sites, string answered, bool isAnswered)
    {
        string[][] earlier = [.. answered.Split(' ', StringSplitOptions.RemoveEmptyEntries).Select(Set)];
        if (isAnswered) StatisticsRule.Check(Set(sites), earlier, least: 3);
        else Assert.Equal(Refusal.NearbySet, Assert.Throws<ProtocolException>(() => StatisticsRule.Check(Set(sites), earlier, least: 3)).Reason);

        static string[] Set(string names) => [.. names.Select(name => name.ToString())];
    }

    [Fact]
    public void Check_ASiteLess_NamesTheSiteAndWhatMayBeAsked()
    {
        string message = Assert.Throws<ProtocolException>(() => StatisticsRule.Check(["a", "b", "c"], [["d", "a", "b", "c"]], least: 3)).Message;
        Assert.Equal("Statistics of 3 sites are asked for after those of 4 sites were opened, and only 'd' is in one of the two sets alone: their difference would show figures of fewer than 3 sites. Ask the same sites as before (a, b, c, d), or at least 3 more or fewer.", message);
    }

    [Fact] // in a file, with the answer: another question in another epoch after a restart
    public void Answer_OfOneSiteLess_IsRefusedAfterARestart()
    {
        string path = Path.Combine(_folder.FullName, "secagg.db");
        byte[] key = new byte[32];
        (EpochCertificate certificate, CommitteeShare[] shares) = _federation.MakeEpoch();
        TestRound all = new(_federation, certificate, 6, purpose: s_purpose), again = new(_federation, certificate, 6, round: 2, purpose: s_another, model: 8), fewer = new(_federation, certificate, 4, round: 3, purpose: s_another, model: 9), three = new(_federation, certificate, 3, round: 4, purpose: s_another, model: 10);
        using (CommitteeStore store = new(path, key)) Member(store).Answer(all.Request(1, 2, 3, 4), all.Seconds);
        using (CommitteeStore store = new(path, key))
        {
            OpeningMember member = Member(store);
            Assert.Equal(Refusal.NearbySet, Assert.Throws<ProtocolException>(() => member.Answer(fewer.Request(1, 2, 3, 4), fewer.Seconds)).Reason);
            member.Answer(again.Request(1, 2, 3, 4), again.Seconds);
            member.Answer(three.Request(1, 2, 3, 4), three.Seconds); // 4, 5 and 6 together
            Assert.Equal(Refusal.NearbySet, Assert.Throws<ProtocolException>(() => member.Answer(fewer.Request(1, 2, 3, 4), fewer.Seconds)).Reason);
            Assert.Equal(3, member.Record.Count);
            Assert.Equal(2, store.Statistics().Count);
        }

        foreach (CommitteeShare share in shares) share.Dispose();

        OpeningMember Member(CommitteeStore store) => new(certificate, shares[0], _federation.Roster, _federation.Policy, _federation.Identity(1), _federation.Random, store.Record(), entry => store.Append("heart", entry), store.Statistics());
    }

    [Fact] // sums of updates are another matter: their sets may differ as they like
    public void Answer_OfUpdates_IsNotBoundByStatistics()
    {
        (EpochCertificate certificate, CommitteeShare[] shares) = _federation.MakeEpoch();
        TestRound statistics = new(_federation, certificate, 6, purpose: s_purpose), update = new(_federation, certificate, 5, round: 2, model: 8);
        OpeningMember member = _federation.Opener(certificate, shares[0]);
        member.Answer(statistics.Request(1, 2, 3, 4), statistics.Seconds);
        member.Answer(update.Request(1, 2, 3, 4), update.Seconds);
        foreach (CommitteeShare share in shares) share.Dispose();
    }
}
