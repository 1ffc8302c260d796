using Federation.Privacy.Ledger;

namespace Federation.Cli.Tests;

public sealed class AuditVerbTests : IDisposable
{
    private readonly Workspace _workspace = new();

    public AuditVerbTests()
    {
        Directory.CreateDirectory(_workspace["state"]);
        using AuditLog log = AuditLog.Open(Log, TimeProvider.System);
        log.Write("opening-refused", "a sum of 2 was asked for", "run-1", 3);
        log.Write("training-refused", "an update in the clear was asked for", "run-2", 1);
        log.Write("restored-record", "this site's record was put back");
    }

    private string Log => _workspace["state/audit.jsonl"];

    public void Dispose() => _workspace.Dispose();

    [Fact]
    public async Task AuditShow_ALog_ShowsWhatWasTried()
    {
        FedResult all = await RunAsync("show", "--json"), one = await RunAsync("show", "--run", "run-2", "--kind", "training-refused"), none = await RunAsync("show", "--run", "run-9");

        Assert.Equal((0, ""), (all.ExitCode, all.Error));
        await OutputSchema.AssertValidAsync("audit-show", all.Output);
        Assert.Equal(["opening-refused", "training-refused", "restored-record"], all.Json.GetProperty("entries").EnumerateArray().Select(entry => entry.GetProperty("kind").GetString()));
        Assert.Contains("an update in the clear was asked for", Assert.Single(one.OutputLines[1..]), StringComparison.Ordinal);
        Assert.Equal("Nothing was refused.", Assert.Single(none.OutputLines));
    }

    [Fact]
    public async Task AuditVerify_ALineThatWasEdited_ExitsWith1AndNamesIt()
    {
        FedResult before = await RunAsync("verify", "--json");
        Assert.Equal((0, ""), (before.ExitCode, before.Error));
        await OutputSchema.AssertValidAsync("audit-verify", before.Output);
        Assert.Equal(3, before.Json.GetProperty("count").GetInt32());
        File.WriteAllText(Log, File.ReadAllText(Log).Replace("in the clear", "as agreed", StringComparison.Ordinal));

        FedResult after = await RunAsync("verify", "--json"), text = await RunAsync("verify"), shown = await RunAsync("show");

        Assert.Equal((1, 1, 1), (after.ExitCode, text.ExitCode, shown.ExitCode));
        await OutputSchema.AssertValidAsync("audit-verify", after.Output);
        Assert.Contains("Line 2 was edited", text.Output, StringComparison.Ordinal);
        Assert.Contains("does NOT hold", shown.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task AuditVerify_AgainstAHeadThatWasKept_FindsTheEndCutOff()
    {
        string hash = (await RunAsync("verify", "--json")).Json.GetProperty("hash").GetString()!;
        Assert.Equal(0, (await RunAsync("verify", "--known", $"3:{hash[..8]}")).ExitCode);
        File.WriteAllText(Log, File.ReadAllLines(Log)[0] + "\n");

        FedResult cut = await RunAsync("verify", "--known", $"3:{hash[..8]}");

        Assert.Equal(1, cut.ExitCode);
        Assert.Contains("its end was cut off", cut.Output, StringComparison.Ordinal);
        Assert.Equal(2, (await RunAsync("verify", "--known", "3")).ExitCode);
    }

    [Fact]
    public async Task AuditShow_NoLog_ExitsWith2AndNamesIt()
    {
        FedResult result = await Fed.RunAsync(_workspace.Folder, ["audit", "show", "--state", "elsewhere"]);
        Assert.Equal(2, result.ExitCode);
        Assert.Contains("elsewhere/audit.jsonl: There is no audit log.", Assert.Single(result.ErrorLines), StringComparison.Ordinal);
    }

    private Task<FedResult> RunAsync(string verb, params string[] args) => Fed.RunAsync(_workspace.Folder, ["audit", verb, "--state", "state", .. args]);
}
