using Federation.Privacy.SecureAggregation;

namespace Federation.Privacy.Tests.SecureAggregation;

/// <summary>Transcripts of members that sign whatever they are asked to: the audit finds it.</summary>
public sealed class TranscriptAuditTests : IDisposable
{
    private static readonly int[] s_active = [1, 2, 3];
    private readonly TestFederation _federation = new(4, 3);
    private readonly EpochCertificate _certificate;
    private readonly CommitteeShare[] _shares;
    private readonly TranscriptAudit _audit = new();

    public TranscriptAuditTests()
    {
        (_certificate, _shares) = _federation.MakeEpoch();
        _audit.AddEpoch(_federation.Transcript);
    }

    public void Dispose()
    {
        foreach (CommitteeShare share in _shares) share.Dispose();
        _federation.Dispose();
    }

    [Fact]
    public void AddEpoch_Transcript_SaysWhoHoldsShares()
    {
        AuditedEpoch epoch = _audit.AddEpoch(_federation.Transcript);

        Assert.Equal((1UL, 3, _federation.Roster.Hash), (epoch.Epoch, epoch.Threshold, epoch.RosterSha256));
        Assert.Equal(_federation.Names, epoch.Members);
        Assert.True(TranscriptAudit.IsEpoch(_federation.Transcript));
    }

    [Fact] // the members of A answered for the same U in two active sets, or again after a restart
    public void AddOpening_SameSetAgain_Holds()
    {
        var round = new TestRound(_federation, _certificate, contributors: 3);
        _audit.AddOpening(Signed(round));

        AuditedOpening opened = _audit.AddOpening(Signed(round));

        Assert.Equal(("heart", 1UL, Opening.Update), (opened.Opening.Run, opened.Opening.Round, opened.Opening.Purpose));
        Assert.Equal(["site-1", "site-2", "site-3"], opened.Contributors);
        Assert.False(TranscriptAudit.IsEpoch(Signed(round)));
    }

    [Theory]
    [InlineData(1, 8)] // one round, another model
    [InlineData(2, 7)] // one model, another round
    public void AddOpening_TwoSetsForOneRoundOrModel_IsRefused(ulong round, byte model)
    {
        _audit.AddOpening(Signed(new TestRound(_federation, _certificate, contributors: 4)));

        Assert.Equal(Refusal.AnotherSet, Refused(new TestRound(_federation, _certificate, contributors: 3, round, model: model)));
    }

    [Fact]
    public void AddOpening_AnotherRoundModelAndPurpose_Holds()
    {
        _audit.AddOpening(Signed(new TestRound(_federation, _certificate, contributors: 4)));
        _audit.AddOpening(Signed(new TestRound(_federation, _certificate, contributors: 3, round: 2, model: 8)));
        _audit.AddOpening(Signed(new TestRound(_federation, _certificate, contributors: 3, purpose: Opening.Evaluation)));
    }

    [Fact]
    public void AddOpening_FewerContributorsOrMembersThanNeeded_IsRefused()
    {
        Assert.Equal(Refusal.TooFewContributors, Refused(new TestRound(_federation, _certificate, contributors: 2)));
        Assert.Equal(Refusal.WrongActiveSet, Refused(new TestRound(_federation, _certificate, contributors: 3), active: [1, 2]));
    }

    [Fact] // named in the descriptor, and left out of Q: its signature counts for nothing
    public void Verify_AnAnswerOfAMemberWithoutAShare_IsRefused()
    {
        var unsigned = new EpochCertificate(_certificate.Descriptor, _certificate.Transcript, s_active, _certificate.Key, []);
        EpochCertificate certificate = unsigned.Signed(s_active.Select(member => _federation.Sign(member, unsigned.Body)));
        certificate.Verify(_federation.Roster, new CommitteePolicy(lyingOrRestored: 0));
        var round = new TestRound(_federation, certificate, contributors: 3);
        OpeningTranscriptFile.Verify(Signed(round), certificate, _federation.Roster);

        Assert.Equal(Refusal.WrongActiveSet, Assert.Throws<ProtocolException>(() => OpeningTranscriptFile.Verify(Signed(round, [1, 2, 4]), certificate, _federation.Roster)).Reason);
    }

    [Theory] // one site's ciphertext, or half of it, under another's signature
    [InlineData(true)]
    [InlineData(false)]
    public void AddOpening_OneCiphertextForTwoSites_IsRefused(bool isWhole)
    {
        var round = new TestRound(_federation, _certificate, contributors: 4);
        round.Headers[3] = round.Headers[3] with { First = isWhole ? round.Headers[0].First : round.Headers[3].First, Second = round.Headers[0].Second };

        Assert.Equal(Refusal.ReplayedCiphertext, Refused(round));
    }

    private Refusal Refused(TestRound round, int[]? active = null) => Assert.Throws<ProtocolException>(() => _audit.AddOpening(Signed(round, active ?? s_active))).Reason;

    private byte[] Signed(TestRound round, int[]? active = null)
    {
        active ??= s_active;
        byte[] set = ContributionHeader.SetHash(round.Headers);
        return OpeningTranscriptFile.Encode(round.Request(active), [.. active.Select(member => _federation.Sign(member, new OpeningAnswer(round.Opening, round.Certificate.Hash, set, active, member, new byte[32], 1, new byte[32]).Encode()))]);
    }
}
