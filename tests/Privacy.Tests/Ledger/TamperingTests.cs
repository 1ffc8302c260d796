using Federation.Privacy.Ledger;

namespace Federation.Privacy.Tests.Ledger;

/// <summary>Somebody with the file and without the key. Records 0 … 10: opening, then five reservations and commits.</summary>
public sealed class TamperingTests : IDisposable
{
    private readonly LedgerFolder _folder = new LedgerFolder().With(5);

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("UPDATE record SET content = replace(content, '\"round\":2', '\"round\":9') WHERE number = 3", "Record 3 was edited")]
    [InlineData("UPDATE record SET content = replace(content, '\"noiseMultiplier\":1', '\"noiseMultiplier\":5') WHERE number = 5", "Record 5 was edited")]
    [InlineData("UPDATE record SET content = '{}' WHERE number = 4", "Record 4 cannot be read")]
    [InlineData("UPDATE record SET hash = replace(hash, 'a', 'b') WHERE number = 6", "Record 6 was edited")]
    [InlineData("UPDATE record SET signature = zeroblob(64) WHERE number = 6", "Record 6 is not signed")]
    [InlineData("DELETE FROM record WHERE number = 4", "Record 4 is missing")]
    [InlineData("DELETE FROM record WHERE number IN (4, 5)", "Records 4 to 5 are missing")]
    [InlineData("DELETE FROM record WHERE number = 0", "Record 0, which opens the ledger, is missing")]
    [InlineData("DELETE FROM record WHERE number >= 8", "The last 3 records are missing: they were cut off. The signed head counts 11, 8 are here.")]
    [InlineData("DELETE FROM record WHERE number = 4; UPDATE record SET number = number - 1 WHERE number > 4", "Record 5 stands in the place of record 4")]
    [InlineData("UPDATE record SET number = 99 WHERE number = 3; UPDATE record SET number = 3 WHERE number = 5; UPDATE record SET number = 5 WHERE number = 99", "Record 5 stands in the place of record 3")]
    [InlineData("DELETE FROM head", "The signed head is missing")]
    [InlineData("UPDATE head SET distance = 0.5", "The head is not signed")]
    [InlineData("UPDATE head SET divergences = zeroblob(length(divergences))", "The head is not signed")]
    [InlineData("UPDATE head SET count = 9, hash = (SELECT hash FROM record WHERE number = 8); DELETE FROM record WHERE number > 8", "The head is not signed")]
    public void Meddling_IsNamedByTheCheckAndStopsTheLedger(string sql, string expected)
    {
        _folder.Meddle(sql);

        LedgerVerification verification = _folder.Verify();

        Assert.Contains(verification.Problems, problem => problem.StartsWith(expected, StringComparison.Ordinal));
        if (expected.Contains("6 is not signed", StringComparison.Ordinal)) return; // the head's signature covers the record all the same
        Assert.Equal(LedgerFault.Broken, Assert.Throws<LedgerException>(() => _folder.Open()).Fault);
    }

    [Theory] // a file of two data sets, one of them made to vanish so that it could begin again
    [InlineData("DELETE FROM record WHERE data_set = 'heart-disease'; DELETE FROM head WHERE data_set = 'heart-disease'", "All of its records are missing")]
    [InlineData("UPDATE record SET data_set = 'third' WHERE data_set = 'heart-disease'; UPDATE head SET data_set = 'third' WHERE data_set = 'heart-disease'", "All of its records are missing")]
    [InlineData("DELETE FROM record WHERE data_set = 'heart-disease'; DELETE FROM head WHERE data_set = 'heart-disease'; UPDATE directory SET ledgers = '{}'", "not signed by its key")]
    [InlineData("DELETE FROM record WHERE data_set = 'heart-disease'; DELETE FROM head WHERE data_set = 'heart-disease'; DELETE FROM directory", "no signed list")]
    public void Meddling_OneOfTwoLedgersTakenAway_IsNotMadeAnew(string sql, string expected)
    {
        using (PrivacyLedger other = _folder.Open("cancer")) other.Reserve(LedgerFolder.Release(1));
        _folder.Meddle(sql);

        LedgerException refused = Assert.Throws<LedgerException>(() => _folder.Open());

        Assert.Equal(LedgerFault.Broken, refused.Fault);
        Assert.Contains(expected, refused.Message, StringComparison.Ordinal);
        if (!sql.Contains("FROM directory", StringComparison.Ordinal) && !sql.Contains("UPDATE directory", StringComparison.Ordinal)) Assert.Contains("All of its records, or the first, are missing", _folder.Verify().Problems[0], StringComparison.Ordinal);
    }

    [Theory] // a database that forgets, or shows something else
    [InlineData("CREATE TRIGGER forget BEFORE INSERT ON record BEGIN SELECT RAISE(IGNORE); END")]
    [InlineData("CREATE VIEW other AS SELECT 1")]
    public void Meddling_TriggersAndViews_AreRefused(string sql)
    {
        _folder.Meddle(sql);
        Assert.Contains("altered", Assert.Throws<LedgerException>(() => _folder.Open()).Message, StringComparison.Ordinal);
        Assert.Contains("altered", Assert.Throws<LedgerException>(() => _folder.Verify()).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Meddling_TriggerWhileOpen_IsNoticedBeforeAnythingIsReleased()
    {
        using PrivacyLedger ledger = _folder.Open();
        _folder.Meddle("CREATE TRIGGER forget BEFORE INSERT ON record BEGIN SELECT RAISE(IGNORE); END");
        Assert.Equal(LedgerFault.Broken, Assert.Throws<LedgerException>(() => ledger.Reserve(LedgerFolder.Release(9))).Fault);
    }

    [Theory]
    [InlineData("-5")]
    [InlineData("9223372036854775807")]
    public void Meddling_ImpossibleNumbers_AreNamed(string number)
    {
        _folder.Meddle($"INSERT INTO record SELECT data_set, {number}, content, hash, signature FROM record WHERE number = 1");
        Assert.Contains($"A record has the impossible number {number}: it was inserted.", _folder.Verify().Problems);
    }

    [Fact] // the whole chain rewritten without the key: consistent hashes, no signatures
    public void Meddling_ForgedChain_IsNotSigned()
    {
        using LedgerFolder forged = new LedgerFolder().With(2);
        _folder.Meddle($"ATTACH '{forged.Path}' AS forged; DELETE FROM record WHERE number BETWEEN 1 AND 2; INSERT INTO record SELECT * FROM forged.record WHERE number BETWEEN 1 AND 2");

        LedgerVerification verification = _folder.Verify();

        Assert.Contains("Record 1 is not signed by this ledger's key.", verification.Problems);
        Assert.Contains("Record 1 does not follow the record before it: one of the two was exchanged.", verification.Problems);
    }

    [Fact]
    public void Meddling_WhileTheLedgerIsOpen_StopsItForGood()
    {
        using PrivacyLedger ledger = _folder.Open(), other = _folder.Open();
        other.Reserve(LedgerFolder.Release(6));
        _folder.Meddle("UPDATE record SET content = replace(content, '\"round\":6', '\"round\":7') WHERE number = 11");

        for (int i = 0; i < 2; i++) Assert.Contains("Record 11 was edited", Assert.Throws<LedgerException>(() => ledger.Reserve(LedgerFolder.Release(7))).Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0)]
    [InlineData(1)]
    [InlineData(100)]
    [InlineData(4096)]
    [InlineData(10_000)]
    public void FileCutShort_IsALedgerException(int length)
    {
        using (FileStream file = File.OpenWrite(_folder.Path)) file.SetLength(length);

        Assert.Throws<LedgerException>(() => _folder.Verify());
        Assert.Throws<LedgerException>(() => _folder.Open());
    }

    [Fact]
    public void FileOfSomethingElse_IsALedgerException()
    {
        File.WriteAllText(_folder.Path, new string('x', 10_000));
        Assert.Throws<LedgerException>(() => _folder.Verify());
        Assert.Throws<LedgerException>(() => _folder.Open());
        Assert.Throws<LedgerException>(() => LedgerVerification.Of(Path.Combine(_folder.Folder, "gone.db"), "x"));
    }

    [Fact] // any byte of the file: never another exception, never a valid ledger with other content
    public void AnyByteFlipped_IsNoticedOrHarmless()
    {
        byte[] good = File.ReadAllBytes(_folder.Path);
        LedgerVerification before = _folder.Verify();
        CsCheck.Check.Sample(CsCheck.Gen.Select(CsCheck.Gen.Int[0, good.Length - 1], CsCheck.Gen.Byte[1, 255]), ((int At, byte By) flip) =>
        {
            byte[] bad = [.. good];
            bad[flip.At] ^= flip.By;
            string path = Path.Combine(_folder.Folder, Guid.NewGuid().ToString("N") + ".db");
            File.WriteAllBytes(path, bad);
            try
            {
                LedgerVerification after = LedgerVerification.Of(path, LedgerFolder.DataSet);
                if (after.Valid) Assert.Equal(before.Head!.Hash, after.Head!.Hash);
            }
            catch (LedgerException)
            {
                // refused as a whole
            }
            finally
            {
                File.Delete(path);
            }
        }, iter: 400);
    }
}
