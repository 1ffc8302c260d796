using Federation.Privacy.Accounting;
using Federation.Privacy.Ledger;

namespace Federation.Privacy.Tests.Ledger;

/// <summary>The database copied away, used further, and copied back: what the recipient has seen tells.</summary>
public sealed class RollbackTests : IDisposable
{
    private const double Delta = 1e-5;
    private readonly LedgerFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void RequireNotBehind_CopiedBack_SaysFromWhereToWhereAndAcceptLossChargesExactlyTheMissing()
    {
        LedgerHead known = RollBack(before: 10, after: 15);
        using (PrivacyLedger ledger = _folder.Open())
        {
            LedgerException stopped = Assert.Throws<LedgerException>(() => ledger.RequireNotBehind(known));
            Assert.Equal(LedgerFault.RolledBack, stopped.Fault);
            Assert.Equal("The ledger of 'heart-disease' was rolled back from 51 to 21.", stopped.Message);
            Assert.Equal(Rdp(10), ledger.Head.Epsilon(Delta), 1e-9);

            Assert.True(ledger.AcceptLoss(known, LedgerFolder.Recipient));

            Assert.Equal(Rdp(25), ledger.Head.Epsilon(Delta), 1e-6);
            Assert.True(ledger.Head.Epsilon(Delta) >= Rdp(25));
            ledger.RequireNotBehind(known); // the loss takes the number after the lost ones
            Assert.False(ledger.AcceptLoss(known, LedgerFolder.Recipient));
            Assert.Equal(52, ledger.Head.Count);
            Assert.Equal(52, ledger.Reserve(LedgerFolder.Release(26)));
        }

        LedgerVerification verification = _folder.Verify();
        Assert.Empty(verification.Problems);
        Assert.Equal(51, Assert.IsType<LostRecord>(verification.Records[^2]).LostCount);
    }

    [Fact] // reservations that the recipient never acknowledged may be in the lost chain or not: they are charged again
    public void AcceptLoss_UnacknowledgedBeforeTheCopy_ChargesNeverTooLittle()
    {
        using (PrivacyLedger ledger = _folder.Open())
        {
            LedgerFolder.Fill(ledger, 4);
            ledger.Reserve(LedgerFolder.Release(5));
        }

        LedgerHead known = RollBack(before: 0, after: 3);
        using PrivacyLedger back = _folder.Open();
        back.AcceptLoss(known, LedgerFolder.Recipient);
        Assert.Equal(Rdp(9), back.Head.Epsilon(Delta), 1e-6); // 8 were spent, the open one counts twice
    }

    [Fact]
    public void AcceptLoss_ToAnotherRecipient_ChargesEverythingItKnew()
    {
        LedgerHead known = RollBack(before: 3, after: 3);
        using PrivacyLedger ledger = _folder.Open();
        ledger.AcceptLoss(known, "elsewhere:8443");
        Assert.Equal(Rdp(9), ledger.Head.Epsilon(Delta), 1e-6);
    }

    [Fact]
    public void RequireNotBehind_WentAnotherWay_IsSeenThoughItIsLonger()
    {
        LedgerHead known = RollBack(before: 2, after: 2);
        using PrivacyLedger ledger = _folder.Open();
        LedgerFolder.Fill(ledger, 10);
        Assert.Contains("went another way", Assert.Throws<LedgerException>(() => ledger.RequireNotBehind(known)).Message, StringComparison.Ordinal);
        ledger.AcceptLoss(known, LedgerFolder.Recipient);
        ledger.RequireNotBehind(ledger.Head);
        Assert.True(ledger.Head.Epsilon(Delta) >= Rdp(14));
    }

    [Fact]
    public void RequireNotBehind_DeletedAndMadeAnew_IsSeenAndChargedWhole()
    {
        LedgerHead known;
        using (PrivacyLedger ledger = _folder.Open())
        {
            LedgerFolder.Fill(ledger, 7);
            known = ledger.Head;
        }

        File.Delete(_folder.Path);
        Assert.Contains("the records that it signed are gone", Assert.Throws<LedgerException>(() => _folder.Open()).Message, StringComparison.Ordinal);
        File.Delete(Path.ChangeExtension(_folder.Path, ".key"));
        using PrivacyLedger anew = _folder.Open();
        Assert.Contains("was replaced: 15 records of another one are known", Assert.Throws<LedgerException>(() => anew.RequireNotBehind(known)).Message, StringComparison.Ordinal);
        anew.AcceptLoss(known, LedgerFolder.Recipient);
        Assert.Equal(Rdp(7), anew.Head.Epsilon(Delta), 1e-6);
        Assert.Equal(16, anew.Head.Count);
        Assert.Empty(_folder.Verify().Problems);
    }

    [Fact]
    public void RequireNotBehind_ForgedHead_IsRefused()
    {
        using PrivacyLedger ledger = _folder.Open();
        LedgerHead head = ledger.Head;
        foreach (LedgerHead forged in (LedgerHead[])[head with { Count = 9 }, head with { Hash = new string('0', 64) }, head with { Signature = new byte[64] }, head with { Signature = [1] }, head with { PublicKey = [1, 2] }, head with { Divergences = [] }, head with { DataSet = "x" }])
        {
            Assert.Equal(LedgerFault.Broken, Assert.Throws<LedgerException>(() => ledger.RequireNotBehind(forged)).Fault);
            Assert.Equal(LedgerFault.Broken, Assert.Throws<LedgerException>(() => ledger.AcceptLoss(forged, LedgerFolder.Recipient)).Fault);
        }

        ledger.RequireNotBehind(head);
    }

    [Fact] // with a key of one's own anybody can sign a head
    public void AcceptLoss_HeadOfAnotherKey_CannotPoseAsThisLedgerNorOverflowIt()
    {
        using LedgerFolder elsewhere = new LedgerFolder().With(1);
        using PrivacyLedger ledger = _folder.Open();
        using PrivacyLedger foreign = elsewhere.Open();
        using LedgerKey key = LedgerKey.Load(Path.ChangeExtension(elsewhere.Path, ".key"));
        LedgerHead Signed(string id, long count) => foreign.Head with
        {
            LedgerId = id, Count = count, PublicKey = key.PublicKey,
            Signature = key.Sign(LedgerHead.Digest(id, foreign.Head.DataSet, count, foreign.Head.Hash, foreign.Head.Divergences, foreign.Head.StatisticalDistance)),
        };
        Assert.Equal(LedgerFault.Broken, Assert.Throws<LedgerException>(() => ledger.AcceptLoss(Signed(ledger.Head.LedgerId, 50), LedgerFolder.Recipient)).Fault);
        Assert.Equal(LedgerFault.Broken, Assert.Throws<LedgerException>(() => ledger.AcceptLoss(Signed(foreign.Head.LedgerId, long.MaxValue), LedgerFolder.Recipient)).Fault);
        Assert.True(ledger.AcceptLoss(Signed(foreign.Head.LedgerId, 50), LedgerFolder.Recipient));
        Assert.Equal(52, ledger.Reserve(LedgerFolder.Release(1)) + 1);
    }

    [Fact] // a charge of unknown cost leaves no guarantee
    public void AcceptLoss_OfUnnoisedReleases_IsInfinite()
    {
        using (PrivacyLedger ledger = _folder.Open()) LedgerFolder.Fill(ledger, 1);
        string copy = _folder.Path + ".copy";
        File.Copy(_folder.Path, copy);
        LedgerHead known;
        using (PrivacyLedger ledger = _folder.Open()) 
        {
            ledger.Reserve(LedgerFolder.Release(2, new NonPrivateEvent()));
            known = ledger.Head;
        }


        File.Copy(copy, _folder.Path, overwrite: true);
        using PrivacyLedger back = _folder.Open();
        back.AcceptLoss(known, LedgerFolder.Recipient);
        Assert.Equal(double.PositiveInfinity, back.Spent(Delta).Epsilon);
    }

    private LedgerHead RollBack(int before, int after)
    {
        using (PrivacyLedger ledger = _folder.Open()) LedgerFolder.Fill(ledger, before);
        string copy = _folder.Path + ".copy";
        File.Copy(_folder.Path, copy);
        LedgerHead known;
        using (PrivacyLedger ledger = _folder.Open())
        {
            LedgerFolder.Fill(ledger, after);
            known = ledger.Head;
        }

        File.Copy(copy, _folder.Path, overwrite: true);
        return known;
    }

    private static double Rdp(int steps) => new RdpAccountant().AtDelta([new RepeatedEvent(LedgerFolder.Step, steps)], Delta, NeighboringRelation.AddOrRemoveOne).Epsilon;
}
