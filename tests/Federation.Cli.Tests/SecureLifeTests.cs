using System.Text.Json;
using Federation.Formats;
using Federation.Privacy.SecureAggregation;

namespace Federation.Cli.Tests;

[Collection(SecureFederation.Name)]
public sealed class SecureLifeTests(SecureFederation life)
{
    private string Folder => life.Workspace.Folder;

    private string[] Transcripts => [.. Directory.GetFiles(life.Workspace["transcript"]).Order(StringComparer.Ordinal)];

    [Fact]
    public async Task RunWatch_SecureRun_PrintsItsKeysAndCompletes()
    {
        Assert.True(life.Watched.ExitCode == 0, life.Watched.Error);
        foreach (string line in life.Watched.OutputLines) await OutputSchema.AssertValidAsync("run-watch", line);
    }

    [Fact]
    public async Task RunRotateKeys_MidRun_RetiresTheKeysAndANewEpochFollows()
    {
        Assert.True(life.Rotated.ExitCode == 0, life.Rotated.Error);
        await OutputSchema.AssertValidAsync("run-show", life.Rotated.Output);
        JsonElement secure = life.Rotated.Json.GetProperty("secureAggregation");
        Assert.Equal((1, true), (secure.GetProperty("epoch").GetInt32(), secure.GetProperty("retired").GetBoolean()));
        Assert.Equal(2, life.Verified.Json.GetProperty("epochs").GetArrayLength());
    }

    [Fact]
    public async Task RunRotateKeys_EndedRun_IsRefusedWithItsState()
    {
        FedResult rotate = await life.OperateAsync("run", "rotate-keys", life.Run);

        Assert.Equal(2, rotate.ExitCode);
        Assert.Contains("completed", Assert.Single(rotate.ErrorLines), StringComparison.Ordinal);
    }

    [Fact]
    public async Task RunShow_SecureRun_ShowsCommitteeKeysAndWhatHolds()
    {
        FedResult json = await life.OperateAsync("run", "show", life.Run, "--json"), text = await life.OperateAsync("run", "show", life.Run);

        await OutputSchema.AssertValidAsync("run-show", json.Output);
        JsonElement secure = json.Json.GetProperty("secureAggregation"), epoch = life.Verified.Json.GetProperty("epochs")[1];
        Assert.Equal(("threshold-bfv", "direct", 3, 2), (secure.GetProperty("kind").GetString(), secure.GetProperty("mode").GetString(), secure.GetProperty("threshold").GetInt32(), secure.GetProperty("epoch").GetInt32()));
        Assert.Equal(SecureFederation.Sites, Texts(secure.GetProperty("committee")));
        Assert.Equal(epoch.GetProperty("certificateSha256").GetString(), secure.GetProperty("certificateSha256").GetString());
        Assert.Equal(epoch.GetProperty("rosterSha256").GetString(), secure.GetProperty("rosterSha256").GetString());
        int openings = life.Verified.Json.GetProperty("openings").EnumerateArray().Count(opening => opening.GetProperty("epoch").GetInt32() == 2);
        Assert.Equal(openings, secure.GetProperty("openings").GetInt32());
        Assert.Contains("any 3 of alpha, beta, gamma open a sum", text.Output, StringComparison.Ordinal);
        Assert.Contains("The roster comes from the coordinator's CA", text.Output, StringComparison.Ordinal);
        Assert.Contains($"roster sha256:{epoch.GetProperty("rosterSha256").GetString()}", text.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RosterShow_Coordinator_IsTheRosterOfTheRunAndItsWords()
    {
        FedResult json = await life.OperateAsync("roster", "show", "--json"), text = await life.OperateAsync("roster", "show"), sites = await life.OperateAsync("site", "list", "--json");

        await OutputSchema.AssertValidAsync("roster-show", json.Output);
        JsonElement roster = json.Json.GetProperty("roster");
        string hash = roster.GetProperty("sha256").GetString()!;
        Assert.Equal(life.Verified.Json.GetProperty("epochs")[1].GetProperty("rosterSha256").GetString(), hash);
        Assert.Equal(12, roster.GetProperty("words").GetString()!.Split('-').Length);
        Assert.Equal(sites.Json.GetProperty("sites").EnumerateArray().Select(site => site.GetProperty("keySha256").GetString()), roster.GetProperty("sites").EnumerateArray().Select(site => site.GetProperty("keySha256").GetString()));
        Assert.Contains($"sha256:{hash}", text.Output, StringComparison.Ordinal);
        Assert.Contains(Proquint.OfHash(hash), text.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void RosterShow_NobodyEnrolled_SaysSo()
    {
        Assert.Equal(2, life.RosterOfNobody.ExitCode);
        Assert.Contains("No site that trains is enrolled yet", Assert.Single(life.RosterOfNobody.ErrorLines), StringComparison.Ordinal);
    }

    [Fact]
    public async Task RosterShow_SiteWithAKeyShare_ShowsTheRosterOfItsRun()
    {
        Assert.Equal((0, ""), (life.RosterAtSite.ExitCode, life.RosterAtSite.Error));
        await OutputSchema.AssertValidAsync("roster-show", life.RosterAtSite.Output);
        Assert.Equal(JsonValueKind.Null, life.RosterAtSite.Json.GetProperty("pinned").ValueKind);
        JsonElement run = Assert.Single(life.RosterAtSite.Json.GetProperty("runs").EnumerateArray());
        Assert.Equal(life.Run, run.GetProperty("run").GetString());
        Assert.Equal(life.Verified.Json.GetProperty("epochs")[0].GetProperty("rosterSha256").GetString(), run.GetProperty("roster").GetProperty("sha256").GetString());
    }

    [Fact]
    public async Task RunVerifyTranscript_HonestRun_EverySignatureHoldsOnlineAndOffline()
    {
        Assert.Equal((0, ""), (life.Verified.ExitCode, life.Verified.Error));
        await OutputSchema.AssertValidAsync("run-verify-transcript", life.Verified.Output);
        JsonElement[] openings = [.. life.Verified.Json.GetProperty("openings").EnumerateArray()];
        Assert.Equal(9, openings.Length);
        Assert.Equal("evaluation", openings[^1].GetProperty("purpose").GetString());
        Assert.All(openings, opening => Assert.Equal(SecureFederation.Sites, Texts(opening.GetProperty("contributors"))));

        FedResult offline = await Fed.RunAsync(Folder, ["run", "verify-transcript", "--from", "transcript"]), online = await life.OperateAsync("run", "verify-transcript", life.Run);
        Assert.Equal((0, ""), (offline.ExitCode, offline.Error));
        Assert.Equal("2 epochs, 9 openings: every signature holds, and none of the run's record is missing", offline.OutputLines[^1]);
        string[] rosters = [.. life.Verified.Json.GetProperty("epochs").EnumerateArray().Select(epoch => epoch.GetProperty("rosterSha256").GetString()!).Distinct()];
        Assert.Equal(2 + 9 + 2 + rosters.Length, offline.OutputLines.Length);
        Assert.All(rosters, roster => Assert.Contains(offline.OutputLines, line => line.EndsWith($"sha256:{roster}", StringComparison.Ordinal))); // whole: it is to be compared with the pinned one
        Assert.Equal(offline.Output, online.Output);
    }

    [Fact]
    public async Task RunVerifyTranscript_FlippedByte_FailsAndNamesTheFile()
    {
        string[] files = Transcripts;
        foreach (int i in new[] { 0, 1 })
        {
            using var copy = new Copy(files);
            byte[] bytes = File.ReadAllBytes(copy.Files[i]);
            bytes[bytes.Length / 2] ^= 1;
            File.WriteAllBytes(copy.Files[i], bytes);

            FedResult text = await Fed.RunAsync(Folder, ["run", "verify-transcript", "--from", copy.Folder]), json = await Fed.RunAsync(Folder, ["run", "verify-transcript", "--from", copy.Folder, "--json"]);

            Assert.Equal((1, 1), (text.ExitCode, json.ExitCode));
            Assert.Contains(Path.GetFileName(copy.Files[i]), Assert.Single(text.ErrorLines), StringComparison.Ordinal);
            Assert.DoesNotContain("every signature holds", text.Output, StringComparison.Ordinal);
            await OutputSchema.AssertValidAsync("run-verify-transcript", json.Output);
            Assert.False(json.Json.GetProperty("valid").GetBoolean());
        }
    }

    [Fact] // what the coordinator left out since, or somebody took away: the run's record still names it
    public async Task RunVerifyTranscript_OneFileMissing_Fails()
    {
        using var copy = new Copy(Transcripts);
        Assert.Equal(0, (await Fed.RunAsync(Folder, ["run", "verify-transcript", "--from", copy.Folder])).ExitCode);
        File.Delete(copy.Files.Last(file => file.EndsWith(".transcript", StringComparison.Ordinal)));
        FedResult result = await Fed.RunAsync(Folder, ["run", "verify-transcript", "--from", copy.Folder]);
        Assert.Equal(1, result.ExitCode);
        Assert.Contains("names 11 transcripts; 1 of them is not here", Assert.Single(result.ErrorLines), StringComparison.Ordinal);
    }

    [Fact]
    public void Audit_AnyByteChanged_IsRefused()
    {
        byte[] epoch = File.ReadAllBytes(Transcripts[0]), opening = File.ReadAllBytes(Transcripts[1]);
        var audit = new TranscriptAudit();
        audit.AddEpoch(epoch);
        foreach (int at in Places(epoch.Length, 60)) AssertRefused(() => new TranscriptAudit().AddEpoch(Changed(epoch, at)), at);
        foreach (int at in Places(opening.Length, 300)) AssertRefused(() => audit.AddOpening(Changed(opening, at)), at);
        audit.AddOpening(opening);
    }

    [Fact]
    public void Audit_OpeningWithoutItsEpochOrOfAnotherRun_IsRefused()
    {
        byte[][] files = [.. Transcripts.Select(File.ReadAllBytes)];
        var other = new TranscriptAudit("another-run");
        other.AddEpoch(files[0]);

        Assert.Equal(Refusal.WrongEpoch, Assert.Throws<ProtocolException>(() => new TranscriptAudit().AddOpening(files[1])).Reason);
        Assert.Equal(Refusal.AnotherOpening, Assert.Throws<ProtocolException>(() => other.AddOpening(files[1])).Reason);
    }

    [Fact]
    public async Task RunVerifyTranscript_FolderInUse_IsLeftAlone()
    {
        FedResult again = await life.OperateAsync("run", "verify-transcript", life.Run, "--out", "transcript");

        Assert.Equal(2, again.ExitCode);
        Assert.Contains("not an empty folder", Assert.Single(again.ErrorLines), StringComparison.Ordinal);
    }

    private static void AssertRefused(Func<object> check, int at)
    {
        Exception? error = Record.Exception(check);
        Assert.True(error is ProtocolException or FormatException, $"byte {at}: {error?.ToString() ?? "accepted"}");
    }

    private static IEnumerable<int> Places(int length, int count) => Enumerable.Range(0, count).Select(i => (int)((long)i * (length - 1) / (count - 1)));

    private static byte[] Changed(byte[] content, int at)
    {
        byte[] changed = [.. content];
        changed[at] ^= 0x10;
        return changed;
    }

    private static IEnumerable<string?> Texts(JsonElement array) => array.EnumerateArray().Select(item => item.GetString());

    private sealed class Copy : IDisposable
    {
        public Copy(string[] files)
        {
            foreach (string file in files) File.Copy(file, Path.Combine(Folder, Path.GetFileName(file)));
        }

        public string Folder { get; } = Directory.CreateTempSubdirectory("fed-transcript-copy-").FullName;

        public string[] Files => [.. Directory.GetFiles(Folder).Order(StringComparer.Ordinal)];

        public void Dispose() => Directory.Delete(Folder, recursive: true);
    }
}
