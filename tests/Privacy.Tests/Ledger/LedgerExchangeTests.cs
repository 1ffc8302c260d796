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
        Assert.Contains("imported copy", Assert.Throws<LedgerException>(() => other.Open()).Message, StringComparison.Ordinal);
        Assert.Contains("already", Assert.Throws<LedgerException>(() => LedgerExchange.Import(new StringReader(lines), other.Path)).Message, StringComparison.Ordinal);
        File.Delete(other.Path);
        LedgerExchange.Import(new StringReader(lines), other.Path);
        using (PrivacyLedger ledger = other.Open()) ledger.Reserve(LedgerFolder.Release(4));
        Assert.Empty(other.Verify().Problems);
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

    [Theory] // public keys that are none, or of another kind
    [InlineData("")]
    [InlineData("00")]
    [InlineData("3059301306072a8648ce3d020106082a8648ce3d03010703420004")]
    [InlineData("3059301306072a8643ce3d020106082a8648ce3d030107034200046b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c2964fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5")]
    [InlineData("3056301006072a8648ce3d020106052b8104000a0342000479be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8")]
    public void IsAuthentic_StrangeKey_IsFalse(string key)
    {
        using PrivacyLedger ledger = _folder.Open();
        Assert.False((ledger.Head with { PublicKey = Convert.FromHexString(key) }).IsAuthentic());
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
