using CsCheck;
using Federation.Privacy.Accounting;
using Federation.Privacy.Ledger;

namespace Federation.Privacy.Tests.Ledger;

public sealed class LedgerExchangeTests : IDisposable
{
    private readonly LedgerFolder _folder = new LedgerFolder().With(3);

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void Export_ThenImport_IsTheSameLedgerAndGoesOnWithItsKey()
    {
        string lines = Export();
        using LedgerFolder other = new();
        LedgerVerification imported = LedgerExchange.Import(new StringReader(lines), other.Path);
        Assert.Equal(7, imported.Records.Count);
        Assert.Equal(_folder.Verify().Head!.Hash, other.Verify().Head!.Hash);
        Assert.Equal(LedgerFault.Key, Assert.Throws<LedgerException>(() => other.Open()).Fault);
        File.Copy(Path.ChangeExtension(_folder.Path, ".key"), Path.ChangeExtension(other.Path, ".key"));
        using (PrivacyLedger ledger = other.Open()) ledger.Reserve(LedgerFolder.Release(4));
        Assert.Empty(other.Verify().Problems);
        Assert.Contains("already", Assert.Throws<LedgerException>(() => LedgerExchange.Import(new StringReader(lines), other.Path)).Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Import_LinesMissingChangedOrMoved_IsRefused()
    {
        string[] lines = Export().Split('\n', StringSplitOptions.RemoveEmptyEntries);
        foreach ((string[] Lines, string Complaint) bad in (IEnumerable<(string[], string)>)[
            (lines[..^1], "signed head, is missing"), ([.. lines[..2], .. lines[3..]], "missing"), ([lines[0], lines[2], lines[1], .. lines[3..]], "missing"), ([.. lines, lines[1]], "behind the head"),
            ([.. lines[..3], lines[3].Replace("\"round\":2", "\"round\":3", StringComparison.Ordinal), .. lines[4..]], "edited"), (["{}"], "Line 1"), (["x"], "Line 1"), ([], "missing")])
        {
            using LedgerFolder other = new();
            LedgerException refused = Assert.Throws<LedgerException>(() => LedgerExchange.Import(new StringReader(string.Join('\n', bad.Lines)), other.Path));
            Assert.Contains(bad.Complaint, refused.Message, StringComparison.Ordinal);
            Assert.False(File.Exists(other.Path));
        }
    }

    [Fact] // fuzz: damaged lines give a LedgerException, never another one, never a ledger
    public void Import_DamagedBytes_IsRefused()
    {
        string good = Export();
        Gen.Select(Gen.Int[0, good.Length - 1], Gen.Int[0, 40], Gen.Char[' ', '~'].Array[0, 6]).Sample((at, length, fresh) =>
        {
            string bad = good[..at] + new string(fresh) + good[Math.Min(good.Length, at + length)..];
            if (bad.ReplaceLineEndings("") == good.ReplaceLineEndings("")) return;
            try
            {
                (List<StoredRecord> records, LedgerHead head) = LedgerExchange.Read(new StringReader(bad));
                LedgerVerification verification = LedgerVerification.Of(head.DataSet, records, head);
                // What the damage left alone entirely (a key that nobody reads) may pass.
                if (verification.Valid) Assert.Equal(7, records.Count);
            }
            catch (LedgerException)
            {
                // refused
            }
        }, iter: 2000);
    }

    private string Export()
    {
        StringWriter lines = new();
        Assert.Equal(7, LedgerExchange.Export(_folder.Path, LedgerFolder.DataSet, lines));
        return lines.ToString();
    }
}
