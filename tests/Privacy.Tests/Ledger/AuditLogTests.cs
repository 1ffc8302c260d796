using System.Text;
using Federation.Privacy.Ledger;
using Microsoft.Extensions.Time.Testing;

namespace Federation.Privacy.Tests.Ledger;

/// <summary>The log of what was refused: whole after a crash, told when it was meddled with, small under a flood.</summary>
public sealed class AuditLogTests : IDisposable
{
    private readonly DirectoryInfo _folder = Directory.CreateTempSubdirectory("fed-audit-tests-");
    private readonly FakeTimeProvider _time = new(new DateTimeOffset(2026, 5, 4, 3, 2, 1, TimeSpan.Zero));

    private string LogPath => Path.Combine(_folder.FullName, AuditLog.FileName);

    public void Dispose() => _folder.Delete(recursive: true);

    [Fact]
    public void Write_SeveralOpenings_MakesOneChain()
    {
        Fill(3);
        _time.Advance(TimeSpan.FromHours(1));
        using (AuditLog log = AuditLog.Open(LogPath, _time)) Assert.Equal(4, log.Write("opening-refused", "A sum of 2 \"sites\"\n was asked for.", "run-1", 7)!.Number);
        var found = AuditVerification.Of(LogPath);
        Assert.Empty(found.Problems);
        Assert.Equal((4, false), (found.Count, found.IsUnfinished));
        AuditEntry last = found.Entries[^1];
        Assert.Equal(("opening-refused", "run-1", 7, "A sum of 2 \"sites\"\n was asked for.", 1), (last.Kind, last.Run, last.Round, last.What, last.Times));
        Assert.Equal(new DateTimeOffset(2026, 5, 4, 4, 2, 1, TimeSpan.Zero), last.Time);
        Assert.Equal((AuditEntry.Beginning, found.Hash), (found.Entries[0].Previous, last.Hash));
        if (!OperatingSystem.IsWindows()) Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(LogPath));
    }

    [Fact]
    public void Record_TheSameActManyTimes_HasALineEachTime()
    {
        using (AuditLog log = AuditLog.Open(LogPath, _time))
        {
            for (int i = 1; i <= 200; i++) Assert.Equal(i, log.Record("run-cancelled", "ann cancelled it.", "run-1").Number);
        }

        var found = AuditVerification.Of(LogPath);
        Assert.Equal((0, 200), (found.Problems.Count, found.Entries.Count));
    }

    [Fact] // the bytes that are hashed are part of the format
    public void Hash_OfAKnownLine_IsThatOfItsCanonicalBytes()
    {
        using AuditLog log = AuditLog.Open(LogPath, _time);
        AuditEntry entry = log.Write("training-refused", "é", "run-1", 2)!;
        using MemoryStream bytes = new();
        bytes.Write(Encoding.ASCII.GetBytes("fed/v1/audit\0"));
        foreach (byte[] field in (byte[][])[BitConverter.GetBytes(1UL), "2026-05-04T03:02:01.000Z"u8.ToArray(), "training-refused"u8.ToArray(), "run-1"u8.ToArray(), BitConverter.GetBytes(2UL), "é"u8.ToArray(), BitConverter.GetBytes(1UL), new byte[32]])
        {
            bytes.Write(BitConverter.GetBytes(field.Length));
            bytes.Write(field);
        }

        Assert.Equal(Convert.ToHexStringLower(System.Security.Cryptography.SHA256.HashData(bytes.ToArray())), entry.Hash);
    }

    [Theory] // each is found, and its line named
    [InlineData("edited", "Line 3 was edited")]
    [InlineData("rehashed", "Line 4 does not follow")]
    [InlineData("removed", "Line 3 does not follow")]
    [InlineData("swapped", "Line 3 does not follow")]
    [InlineData("garbage", "Line 3 cannot be read")]
    [InlineData("field", "Line 3 cannot be read: it has other fields")]
    public void Verify_ALogThatWasMeddledWith_NamesTheLine(string how, string why)
    {
        Fill(6);
        List<string> lines = [.. File.ReadAllLines(LogPath)];
        switch (how)
        {
            case "edited": lines[2] = lines[2].Replace("attempt 3", "attempt 9", StringComparison.Ordinal); break;
            case "rehashed": lines[2] = Rehashed(lines[2]); break;
            case "removed": lines.RemoveAt(2); break;
            case "swapped": (lines[2], lines[3]) = (lines[3], lines[2]); break;
            case "garbage": lines[2] = "{}"; break;
            case "field": lines[2] = lines[2].Replace("\"number\"", "\"note\":1,\"number\"", StringComparison.Ordinal); break;
        }

        File.WriteAllText(LogPath, string.Concat(lines.Select(line => line + "\n")));
        Assert.Contains(AuditVerification.Of(LogPath).Problems, problem => problem.StartsWith(why, StringComparison.Ordinal));
        // The node goes on, and says what it found.
        using AuditLog log = AuditLog.Open(LogPath, _time);
        Assert.NotNull(log.Problem);
        Assert.Equal("log-broken", AuditVerification.Of(LogPath).Entries[^1].Kind);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(100)]
    public void Open_AfterACrashInALine_TakesItOffAndGoesOn(int cut)
    {
        Fill(3);
        string whole = File.ReadAllText(LogPath);
        File.WriteAllText(LogPath, whole + whole.Split('\n')[0][..cut]);
        Assert.Equal((3L, true, 0), (AuditVerification.Of(LogPath).Count, AuditVerification.Of(LogPath).IsUnfinished, AuditVerification.Of(LogPath).Problems.Count));
        using (AuditLog log = AuditLog.Open(LogPath, _time))
        {
            Assert.Null(log.Problem);
            log.Write("opening-refused", "after the crash");
        }

        var found = AuditVerification.Of(LogPath);
        Assert.Empty(found.Problems);
        Assert.Equal((4, "after the crash"), (found.Count, found.Entries[^1].What));
    }

    [Fact] // a piece of a line stays where there was no room for all of it
    public void Write_AfterALineThatDidNotFit_LeavesNothingOfIt()
    {
        using AuditLog log = AuditLog.Open(LogPath, _time);
        log.Write("opening-refused", "one");
        using (var meddler = new FileStream(LogPath, FileMode.Append, FileAccess.Write, FileShare.ReadWrite)) meddler.Write("{\"number\":2,"u8);
        log.Write("opening-refused", "two");
        var found = AuditVerification.Of(LogPath);
        Assert.Empty(found.Problems);
        Assert.Equal(["one", "two"], found.Entries.Select(entry => entry.What));
    }

    [Fact]
    public void Write_WithoutRoomOnTheDisk_SaysSoEachTime()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "/dev/full is Linux's.");
        File.CreateSymbolicLink(LogPath, "/dev/full");
        using AuditLog log = AuditLog.Open(LogPath, _time);
        Assert.Throws<IOException>(() => log.Write("opening-refused", "one"));
        Assert.Throws<IOException>(() => log.Write("opening-refused", "one"));
    }

    [Fact]
    public void Write_AFloodOfTheSame_IsCountedInFewLines()
    {
        using (AuditLog log = AuditLog.Open(LogPath, _time))
        {
            for (int i = 0; i < 1000; i++) log.Write("opening-refused", "again", "run-1", i);
            Assert.NotNull(log.Write("opening-refused", "again", "run-2"));
        }

        var found = AuditVerification.Of(LogPath);
        Assert.Equal([1, 2, 4, 8, 16, 32, 64, 128, 256, 512], found.Entries.Where(entry => entry.Run == "run-1").Select(entry => entry.Times));
        using AuditLog again = AuditLog.Open(LogPath, _time); // a restart does not begin to count anew
        Assert.Null(again.Write("opening-refused", "again", "run-1"));
    }

    [Fact] // ever new sentences, runs and lengths
    public void Write_AFloodOfInventedSentences_StaysSmall()
    {
        using AuditLog log = AuditLog.Open(LogPath, _time);
        for (int i = 0; i < 20_000; i++) log.Write("opening-refused", $"{i} {new string('x', 100_000)}", "run-1", i);
        Assert.InRange(new FileInfo(LogPath).Length, 1, 64 * 1500 + 20 * 1500);
        long before = new FileInfo(LogPath).Length;
        for (int i = 0; i < 5_000; i++) log.Write("opening-refused", "again", $"run-{i}");
        Assert.InRange(new FileInfo(LogPath).Length - before, 1, 1100 * 400);
        Assert.Empty(AuditVerification.Of(LogPath).Problems);
    }

    [Fact] // behind a curtain of harmless refusals, in this run and in invented ones
    public void Write_SomethingNewBehindAFlood_HasALine()
    {
        using (AuditLog log = AuditLog.Open(LogPath, _time))
        {
            for (int i = 0; i < 5_000; i++) log.Write("opening-refused", $"no share of epoch {i}", "run-1", i, "WrongEpoch");
            Assert.Equal("another set", log.Write("opening-refused", "another set", "run-1", 7, "AnotherSet")!.What);
            for (int i = 0; i < 5_000; i++) log.Write("opening-refused", $"no share of epoch {i}", $"invented-{i}", i, "WrongEpoch");
            Assert.Equal("too few", log.Write("opening-refused", "too few", "run-2", 7, "TooFewContributors")!.What);
            Assert.Equal("other keys", log.Write("key-epoch-refused", "other keys", "run-2", 7, "WrongEpoch")!.What);
        }

        var found = AuditVerification.Of(LogPath);
        Assert.Empty(found.Problems);
        Assert.InRange(found.Count, 1, 1200);
    }

    [Fact] // half a character at the cut, and alone
    public void Write_TextThatIsNoUnicode_IsKeptAndVerifies()
    {
        using AuditLog log = AuditLog.Open(LogPath, _time);
        log.Write("opening-refused", new string('x', 999) + "😀");
        log.Write("opening-refused", "\ud83d alone");
        Assert.Empty(AuditVerification.Of(LogPath).Problems);
    }

    [Fact]
    public void DifferenceFrom_AHeadThatWasKept_FindsACutOffEnd()
    {
        Fill(3);
        (long count, string hash) = (AuditVerification.Of(LogPath).Count, AuditVerification.Of(LogPath).Hash);
        Assert.Null(AuditVerification.Of(LogPath).DifferenceFrom(count, hash[..8]));
        string[] lines = File.ReadAllLines(LogPath);
        File.WriteAllText(LogPath, lines[0] + "\n" + lines[1] + "\n");
        Assert.Empty(AuditVerification.Of(LogPath).Problems);
        Assert.Contains("its end was cut off", AuditVerification.Of(LogPath).DifferenceFrom(count, hash[..8]), StringComparison.Ordinal);
        Assert.Contains("is another one", AuditVerification.Of(LogPath).DifferenceFrom(2, hash), StringComparison.Ordinal);
    }

    [Fact] // only the end is read: 400 kB of lines before it are not
    public void Open_ALongLog_GoesOnBehindItsLastLine()
    {
        using (AuditLog log = AuditLog.Open(LogPath, _time))
        {
            for (int i = 0; i < 400; i++) log.Write($"kind-{i}", new string('x', 1000));
        }

        using (AuditLog log = AuditLog.Open(LogPath, _time))
        {
            Assert.Null(log.Problem);
            log.Write("opening-refused", "last");
        }

        var found = AuditVerification.Of(LogPath);
        Assert.Empty(found.Problems);
        Assert.Equal(401, found.Count);
    }

    private void Fill(int lines)
    {
        using AuditLog log = AuditLog.Open(LogPath, _time);
        for (int i = 1; i <= lines; i++) log.Write("opening-refused", $"attempt {i}", "run-1", i);
    }

    private static string Rehashed(string line)
    {
        AuditEntry entry = AuditEntry.Read(line);
        return AuditEntry.Make(entry.Number, entry.Time, entry.Kind, entry.Run, entry.Round, "something harmless", entry.Times, entry.Previous).ToJson();
    }
}
