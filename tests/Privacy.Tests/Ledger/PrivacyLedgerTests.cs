using Federation.Privacy.Accounting;
using Federation.Privacy.Ledger;
using Microsoft.Data.Sqlite;

namespace Federation.Privacy.Tests.Ledger;

public sealed class PrivacyLedgerTests : IDisposable
{
    private readonly LedgerFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Reserve_ThenReopen_SpendsWhatTheAccountantSays()
    {
        using (PrivacyLedger ledger = _folder.Open()) LedgerFolder.Fill(ledger, 50);
        using PrivacyLedger again = _folder.Open();
        double expected = new PldAccountant().AtDelta([new RepeatedEvent(LedgerFolder.Step, 50)], 1e-5, NeighboringRelation.AddOrRemoveOne).Epsilon;
        Assert.Equal(expected, again.Spent(1e-5).Epsilon, 1e-9);
        Assert.Equal(101, again.Head.Count);
        Assert.True(again.Head.IsAuthentic());
        Assert.Equal(new RdpAccountant().AtDelta([new RepeatedEvent(LedgerFolder.Step, 50)], 1e-5, NeighboringRelation.AddOrRemoveOne).Epsilon, again.Head.Epsilon(1e-5), 1e-9);
        LedgerVerification verification = _folder.Verify();
        Assert.Empty(verification.Problems);
        Assert.Empty(verification.Uncommitted);
        Assert.Equal(101, verification.Records.Count);
    }

    [Fact]
    public void Reserve_NeverCommitted_StillCounts()
    {
        using (PrivacyLedger ledger = _folder.Open()) ledger.Reserve(LedgerFolder.Release(1, new GaussianEvent(1)));
        using PrivacyLedger again = _folder.Open();
        Assert.Equal(AnalyticGaussian.Epsilon(1, 1e-5), again.Spent(1e-5).Epsilon, 1e-9);
        Assert.Equal([1L], _folder.Verify().Uncommitted);
    }

    [Fact] // no budget: what a run said it would cost still holds, over restarts, and is that run's alone
    public void Reserve_BeyondWhatTheRunMayCost_IsRefusedAndRecordsNothing()
    {
        PrivacyLoss most = new(AnalyticGaussian.Epsilon(2 / Math.Sqrt(3), 1e-5) * 1.0001, 1e-5, NeighboringRelation.AddOrRemoveOne); // of three
        using (PrivacyLedger ledger = _folder.Open())
        {
            ledger.Reserve(LedgerFolder.Release(1, new GaussianEvent(2)) with { Run = "other" });
            ledger.Reserve(LedgerFolder.Release(1, new GaussianEvent(2)), most);
            ledger.Reserve(LedgerFolder.Release(1, new GaussianEvent(2)), most); // the round was asked for again
        }

        using PrivacyLedger again = _folder.Open();
        again.Reserve(LedgerFolder.Release(2, new GaussianEvent(2)), most);
        long count = again.Head.Count;
        BudgetExceededException refused = Assert.Throws<BudgetExceededException>(() => again.Reserve(LedgerFolder.Release(3, new GaussianEvent(2)), most));
        Assert.Contains("may cost 'heart-disease' is ε = ", refused.Message, StringComparison.Ordinal);
        Assert.Equal(most.Epsilon, refused.Before.Epsilon, 0.001 * most.Epsilon);
        Assert.Equal(AnalyticGaussian.Epsilon(1, 1e-5), refused.After.Epsilon, 0.001 * refused.After.Epsilon); // four, by the tighter accountant
        Assert.Throws<BudgetExceededException>(() => again.Reserve(LedgerFolder.Release(3, new NonPrivateEvent()), most));
        Assert.Equal(count, again.Head.Count);
        again.Reserve(LedgerFolder.Release(2, new GaussianEvent(2)) with { Run = "other" }, most);
    }

    [Fact] // two processes, of which one has reserved most; each purpose and each run by itself
    public void Reserve_BeyondTheRunsRounds_IsRefusedAndRecordsNothing()
    {
        using PrivacyLedger ledger = _folder.Open(), other = _folder.Open();
        for (int time = 0; time < 5; time++) other.Reserve(LedgerFolder.Release(time == 4 ? 1 : time), rounds: 4);
        long count = other.Head.Count;
        Assert.Contains("round 7 gets none", Assert.Throws<RoundsExceededException>(() => ledger.Reserve(LedgerFolder.Release(7), rounds: 4)).Message, StringComparison.Ordinal);
        for (int time = 0; time < 3; time++) ledger.Reserve(LedgerFolder.Release(2), rounds: 4);
        Assert.Contains("8 times", Assert.Throws<RoundsExceededException>(() => ledger.Reserve(LedgerFolder.Release(2), rounds: 4)).Message, StringComparison.Ordinal);
        Assert.Equal(count + 3, ledger.Head.Count);
        ledger.Reserve(LedgerFolder.Release(7) with { Purpose = "evaluation" }, rounds: 4);
        ledger.Reserve(LedgerFolder.Release(7) with { Run = "other" }, rounds: 4);
        ledger.Reserve(LedgerFolder.Release(7)); // an ε bounds it
    }

    [Fact]
    public void Reserve_BeyondTheBudget_IsRefusedAndRecordsNothing()
    {
        using PrivacyLedger ledger = _folder.Open();
        ledger.SetBudget(new(3, 1e-5));
        ledger.SetBudget(new(3, 1e-5)); // the same again
        Assert.Equal(2, ledger.Head.Count);
        // By PLD the most that fit; by RDP fewer would.
        long most = Calibration.Steps(new PldAccountant(), new(3, 1e-5, NeighboringRelation.AddOrRemoveOne), new GaussianEvent(2, 0.1)), accepted = 0;
        Assert.True(new RdpAccountant().AtDelta([new RepeatedEvent(new GaussianEvent(2, 0.1), most)], 1e-5, NeighboringRelation.AddOrRemoveOne).Epsilon > 3);
        BudgetExceededException? refused = null;
        while (refused is null)
        {
            try
            {
                ledger.Reserve(LedgerFolder.Release(1, new GaussianEvent(2, 0.1)));
                accepted++;
            }
            catch (BudgetExceededException error)
            {
                refused = error;
            }
        }

        Assert.Equal(most, accepted);
        Assert.Equal(2 + most, ledger.Head.Count);
        Assert.InRange(ledger.Spent(1e-5).Epsilon, 2.9, 3);
        Assert.Contains("The budget of 'heart-disease' is ε = 3 at δ = 1E-05; 2.9", refused.Message, StringComparison.Ordinal);
        Assert.Throws<BudgetExceededException>(() => ledger.Reserve(LedgerFolder.Release(1, new NonPrivateEvent())));
        Assert.False(ledger.Fits([new GaussianEvent(2, 0.1)]));
        Assert.True(ledger.Fits([new GaussianEvent(1000)]));
        ledger.SetBudget(new(4, 1e-5));
        ledger.Reserve(LedgerFolder.Release(1, new GaussianEvent(2, 0.1)));
        Assert.Equal(2, _folder.Verify().Records.OfType<BudgetRecord>().Count());
    }

    [Fact] // 4 connections, each as another process has one: none can spend what another has spent
    public async Task Reserve_ManyAtOnce_TogetherStayWithinTheBudget()
    {
        using (PrivacyLedger ledger = _folder.Open()) ledger.SetBudget(new(2, 1e-6));
        GaussianEvent step = new(20);
        long most = Calibration.Steps(new PldAccountant(), new(2, 1e-6, NeighboringRelation.AddOrRemoveOne), step);
        long[] accepted = await Task.WhenAll(Enumerable.Range(0, 4).Select(_ => Task.Run(() =>
        {
            using PrivacyLedger ledger = _folder.Open(patience: TimeSpan.FromMinutes(1));
            for (long count = 0; ; count++)
            {
                try
                {
                    ledger.Reserve(LedgerFolder.Release(1, step));
                }
                catch (BudgetExceededException)
                {
                    return count;
                }
            }
        }, TestContext.Current.CancellationToken)));
        Assert.Equal(most, accepted.Sum());
        Assert.Empty(_folder.Verify().Problems);
    }

    [Fact]
    public void Reserve_NoNoise_IsRecordedAsInfinite()
    {
        using PrivacyLedger ledger = _folder.Open();
        ledger.Reserve(LedgerFolder.Release(1, new NonPrivateEvent()));
        Assert.Equal(double.PositiveInfinity, ledger.Spent(1e-5).Epsilon);
        Assert.Equal(double.PositiveInfinity, ledger.Head.Epsilon(1e-5));
        Assert.Empty(_folder.Verify().Problems);
    }

    [Fact]
    public void Reserve_ReplaceOneSampled_IsAccountedByPldAlone()
    {
        LedgerTerms terms = new(PrivacyUnit.Record, NeighboringRelation.ReplaceOne);
        using PrivacyLedger ledger = PrivacyLedger.Open(_folder.Path, "other", terms, _folder.Time);
        ledger.SetBudget(new(1, 1e-5));
        ledger.Reserve(LedgerFolder.Release(1, new RepeatedEvent(new GaussianEvent(2, 0.01), 100)));
        double expected = new PldAccountant().AtDelta([new RepeatedEvent(new GaussianEvent(2, 0.01), 100)], 1e-5, NeighboringRelation.ReplaceOne).Epsilon;
        Assert.Equal(expected, ledger.Spent(1e-5).Epsilon, 1e-9);
        Assert.Equal("under replace-one", Assert.Throws<LedgerException>(() => PrivacyLedger.Open(_folder.Path, "other", LedgerFolder.Terms, _folder.Time)).Message.Split(", not")[0][^17..]);
    }

    [Fact]
    public void Reserve_UnfitEvent_RecordsNothing()
    {
        using PrivacyLedger ledger = _folder.Open();
        Assert.Throws<UnsupportedEventException>(() => ledger.Reserve(LedgerFolder.Release(1, new RandomizedResponseEvent(0.5))));
        Assert.Throws<ArgumentException>(() => ledger.Reserve(new Release("run", 1, "update", "x", [])));
        Assert.Throws<ArgumentException>(() => ledger.Reserve(new Release("run\n", 1, "update", "x", [LedgerFolder.Step])));
        Assert.Throws<InvalidOperationException>(() => LedgerFolder.Commit(ledger, 7));
        Assert.Equal(1, ledger.Head.Count);
        long once = ledger.Reserve(LedgerFolder.Release(1));
        Assert.True(ledger.IsOpen(once));
        LedgerFolder.Commit(ledger, once);
        Assert.False(ledger.IsOpen(once));
        Assert.Throws<InvalidOperationException>(() => LedgerFolder.Commit(ledger, once));
        PrivacyEvent huge = new RepeatedEvent(LedgerFolder.Step, long.MaxValue);
        Assert.Throws<OverflowException>(() => ledger.Reserve(LedgerFolder.Release(1, huge, huge)));
        Assert.Empty(_folder.Verify().Problems);
    }

    [Fact]
    public void Reserve_FullDisk_IsNamedAndTheLedgerStaysIntact()
    {
        _folder.With(3);
        using (PrivacyLedger ledger = _folder.Open())
        {
            LedgerFile file = (LedgerFile)typeof(PrivacyLedger).GetField("_file", System.Reflection.BindingFlags.NonPublic | System.Reflection.BindingFlags.Instance)!.GetValue(ledger)!;
            file.Limit(1); // as many pages as there are
            LedgerException? full = null;
            for (int i = 0; i < 200 && full is null; i++) full = Record.Exception(() => ledger.Reserve(LedgerFolder.Release(1))) as LedgerException;
            Assert.Equal(LedgerFault.DiskFull, full!.Fault);
            file.Limit(100_000);
            ledger.Reserve(LedgerFolder.Release(1)); // room again
        }

        Assert.Empty(_folder.Verify().Problems);
    }

    [Fact]
    public void Reserve_LockedByAnother_IsNamed()
    {
        _folder.With(1);
        using PrivacyLedger ledger = _folder.Open(patience: TimeSpan.FromSeconds(1));
        using SqliteConnection other = new($"Data Source={_folder.Path};Pooling=False");
        other.Open();
        using SqliteTransaction held = other.BeginTransaction(deferred: false);
        Assert.Equal(LedgerFault.Locked, Assert.Throws<LedgerException>(() => ledger.Reserve(LedgerFolder.Release(1))).Fault);
        held.Rollback();
        ledger.Reserve(LedgerFolder.Release(1));
    }

    [Fact]
    public void Open_SeveralDataSetsInOneFile_AreSeparate()
    {
        using PrivacyLedger one = _folder.Open(), other = _folder.Open("cancer");
        one.Reserve(LedgerFolder.Release(1));
        Assert.Equal(0, other.Spent(1e-5).Epsilon);
        Assert.NotEqual(one.Head.LedgerId, other.Head.LedgerId);
        Assert.Equal(["cancer", "heart-disease"], LedgerVerification.DataSets(_folder.Path));
    }

    [Fact] // killed between the key and the first record, or after the record and before the key had its name
    public void Open_AfterACrashAtTheFirstOpening_GoesOn()
    {
        string key = Path.Combine(_folder.Folder, "ledger.key");
        File.WriteAllText(key + ".new", "half a k");
        using (PrivacyLedger ledger = _folder.Open()) ledger.Reserve(LedgerFolder.Release(1));
        File.Move(key, key + ".new");
        using (PrivacyLedger ledger = _folder.Open()) Assert.Equal(2, ledger.Head.Count);
        Assert.True(File.Exists(key) && !File.Exists(key + ".new"));
    }

    [Fact]
    public void Holds_OnlyTheReservationOfThatVeryRelease()
    {
        using PrivacyLedger ledger = _folder.Open();
        long one = ledger.Reserve(LedgerFolder.Release(1)), two = ledger.Reserve(LedgerFolder.Release(2));
        LedgerFolder.Commit(ledger, one);
        Assert.True(ledger.Holds(one, "run-1", 1, "update") && ledger.Holds(two, "run-1", 2, "update"));
        Assert.False(ledger.Holds(one, "run-1", 2, "update"));
        Assert.False(ledger.Holds(0, "run-1", 1, "update"));
        Assert.False(ledger.Holds(99, "run-1", 1, "update"));
    }

    [Fact] // a reader sees one moment, whatever is written meanwhile
    public async Task Verify_WhileAnotherWrites_IsWhole()
    {
        using CancellationTokenSource stop = new();
        Task writing = Task.Run(() =>
        {
            using PrivacyLedger ledger = _folder.Open();
            while (!stop.IsCancellationRequested) ledger.Reserve(LedgerFolder.Release(1));
        }, TestContext.Current.CancellationToken);
        while (!File.Exists(_folder.Path) || Record.Exception(() => _folder.Verify()) is not null) await Task.Yield();
        for (int i = 0; i < 20; i++)
        {
            Assert.Empty(_folder.Verify().Problems);
            StringWriter lines = new();
            LedgerExchange.Export(_folder.Path, LedgerFolder.DataSet, lines);
            using LedgerFolder copy = new();
            Assert.True(LedgerExchange.Import(new StringReader(lines.ToString()), copy.Path).Valid);
        }

        await stop.CancelAsync();
        await writing;
    }

    [Fact]
    public void Key_IsPrivateAndItsAbsenceOrExchangeIsNamed()
    {
        if (OperatingSystem.IsWindows())
        {
            Assert.Skip("file modes are Unix's");
            return;
        }

        _folder.With(1);
        string key = Path.Combine(_folder.Folder, "ledger.key");
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(key));
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(_folder.Path));
        Assert.StartsWith("-----BEGIN PRIVATE KEY-----", File.ReadAllText(key), StringComparison.Ordinal);
        LedgerException Opening() => Assert.Throws<LedgerException>(() => _folder.Open());

        File.SetUnixFileMode(key, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.OtherRead);
        Assert.Contains("chmod 600", Opening().Message, StringComparison.Ordinal);
        File.Move(key, key + ".away");
        Assert.Contains("is missing", Opening().Message, StringComparison.Ordinal);
        Assert.False(File.Exists(key)); // no new one is made
        using (LedgerFolder other = new LedgerFolder().With(0)) File.Copy(Path.Combine(other.Folder, "ledger.key"), key);
        Assert.Equal(LedgerFault.Key, Opening().Fault);
        File.WriteAllText(key, "-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----\n");
        Assert.Equal(LedgerFault.Key, Opening().Fault);
        Assert.Empty(_folder.Verify().Problems); // reading needs no key
    }
}
