using System.Text.Json;

namespace Federation.Cli.Tests;

public sealed class LifeTests(LiveFederation life) : IClassFixture<LiveFederation>
{
    private string Folder => life.Workspace.Folder;

    [Fact]
    public async Task Server_Started_SaysItsAddresses() => await OutputSchema.AssertValidAsync("server", life.Started);

    [Fact]
    public async Task NodeEnroll_TokenOnStdin_MakesTheSite()
    {
        FedResult enrolled = life.Enrolled["alpha"];

        Assert.Equal((0, ""), (enrolled.ExitCode, enrolled.Error));
        await OutputSchema.AssertValidAsync("node-enroll", enrolled.Output);
        Assert.Equal("alpha", enrolled.Json.GetProperty("site").GetString());
    }

    [Fact]
    public async Task NodeEnroll_UsedToken_IsRefusedInOneLine()
    {
        FedResult invited = await life.OperateAsync("site", "invite", "twice", "--json");
        await OutputSchema.AssertValidAsync("site-invite", invited.Output);
        life.Workspace.Write("token", invited.Json.GetProperty("token").GetString()!);
        string[] enroll = ["node", "enroll", "--coordinator", life.NodesUrl, "--token-file", "token", "--state"];

        FedResult first = await Fed.RunAsync(Folder, [.. enroll, "twice-1"]);
        FedResult second = await Fed.RunAsync(Folder, [.. enroll, "twice-2"]);

        Assert.Equal(0, first.ExitCode);
        Assert.Equal(2, second.ExitCode);
        Assert.Contains("used", Assert.Single(second.ErrorLines), StringComparison.Ordinal);
        Assert.False(File.Exists(Path.Combine(life.Workspace["twice-2"], "identity.pem")));
    }

    [Fact]
    public async Task SiteList_AfterEnrolment_ShowsEverySite()
    {
        FedResult list = await life.OperateAsync("site", "list", "--json");

        Assert.Equal(0, list.ExitCode);
        await OutputSchema.AssertValidAsync("site-list", list.Output);
        JsonElement alpha = list.Json.GetProperty("sites").EnumerateArray().Single(site => site.GetProperty("name").GetString() == "alpha");
        Assert.Equal("enrolled", alpha.GetProperty("state").GetString());
        Assert.Equal("trainer", alpha.GetProperty("role").GetString());
        Assert.Equal("demo", Assert.Single(alpha.GetProperty("dataIds").EnumerateArray()).GetString());
    }

    [Fact]
    public async Task SiteRevoke_NodeThatRuns_EndsItWithOneLineAndExitCode2()
    {
        life.Workspace.Write("gone.yaml", $"coordinator: {life.NodesUrl}\nstate: gone-state\ndata: [ {{ id: another, path: alpha.csv }} ]\n");
        FedResult invited = await life.OperateAsync("site", "invite", "gone");
        await Fed.RunAsync(Folder, ["node", "enroll", "--config", "gone.yaml"], input: invited.Output);
        await using Fed node = life.StartNode("gone");
        while (!await IsConnectedAsync("gone")) await Task.Delay(20, TestContext.Current.CancellationToken);

        FedResult revoked = await life.OperateAsync("site", "revoke", "gone", "--json"), again = await life.OperateAsync("site", "revoke", "gone"), unknown = await life.OperateAsync("site", "revoke", "gnoe");

        Assert.Equal(0, revoked.ExitCode);
        await OutputSchema.AssertValidAsync("site-revoke", revoked.Output);
        FedResult ended = await node.EndAsync();
        Assert.Equal(2, ended.ExitCode);
        Assert.Contains("was revoked by the operator", Assert.Single(ended.ErrorLines, line => !line.Contains("Joined", StringComparison.Ordinal)), StringComparison.Ordinal);
        Assert.Equal((0, true), (again.ExitCode, again.Output.Contains("never counts again", StringComparison.Ordinal)));
        Assert.Equal(2, unknown.ExitCode);
        Assert.Contains("'gone'", Assert.Single(unknown.ErrorLines), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Operator_IssuedByTokenAndCertificate_MayDoWhatItsRoleSays()
    {
        string[] at = ["--coordinator", life.OperatorsUrl, "--credential"];
        FedResult certificate = await life.OperateAsync("operator", "issue", "ann", "--role", "viewer", "-o", "ann.pem", "--json"), token = await life.OperateAsync("operator", "issue", "board", "--role", "viewer", "--token");
        Assert.Equal((0, 0), (certificate.ExitCode, token.ExitCode));
        await OutputSchema.AssertValidAsync("operator-issue", certificate.Output);
        life.Workspace.Write("board.token", token.Output);
        foreach (string credential in new[] { "ann.pem", "board.token" })
        {
            Assert.Equal(0, (await Fed.RunAsync(Folder, ["site", "list", .. at, credential])).ExitCode);
            FedResult refused = await Fed.RunAsync(Folder, ["site", "invite", "x", .. at, credential]);
            Assert.Equal(2, refused.ExitCode);
            Assert.Contains("needs the role operator", Assert.Single(refused.ErrorLines), StringComparison.Ordinal);
        }

        FedResult list = await life.OperateAsync("operator", "list", "--json"), revoked = await life.OperateAsync("operator", "revoke", "board", "--json");
        await OutputSchema.AssertValidAsync("operator-list", list.Output);
        await OutputSchema.AssertValidAsync("operator-revoke", revoked.Output);
        FedResult late = await Fed.RunAsync(Folder, ["site", "list", .. at, "board.token"]);
        Assert.Equal(2, late.ExitCode);
        Assert.Contains("was revoked", Assert.Single(late.ErrorLines), StringComparison.Ordinal);
        Assert.Equal(2, (await life.OperateAsync("operator", "issue", "bob", "--role", "viewer")).ExitCode); // no file for the certificate
    }

    [Fact]
    public async Task Audit_OfTheCoordinator_ShowsWhoDidWhatWhileItRuns()
    {
        FedResult show = await Fed.RunAsync(Folder, ["audit", "show", "--state", "coordinator", "--json"]), verify = await Fed.RunAsync(Folder, ["audit", "verify", "--state", "coordinator"]);

        Assert.Equal((0, 0), (show.ExitCode, verify.ExitCode));
        await OutputSchema.AssertValidAsync("audit-show", show.Output);
        Assert.Contains("admin (admin, by certificate) invited the site 'alpha'", show.Output, StringComparison.Ordinal);
        string[] kinds = [.. show.Json.GetProperty("entries").EnumerateArray().Select(entry => entry.GetProperty("kind").GetString()!)];
        Assert.Equal("federation-made", kinds[0]);
        Assert.Contains("run-submitted", kinds);
    }

    private async Task<bool> IsConnectedAsync(string site) =>
        (await life.OperateAsync("site", "list", "--json")).Json.GetProperty("sites").EnumerateArray().Any(one => one.GetProperty("name").GetString() == site && one.GetProperty("connected").GetBoolean());

    [Fact]
    public async Task RunSubmit_Watched_CompletesWithAtMost20LinesOfProgress()
    {
        Assert.True(life.Submitted.ExitCode == 0, life.Submitted.Error);
        await OutputSchema.AssertValidAsync("run-submit", life.Submitted.Output);
        Assert.Equal("completed", life.Submitted.Json.GetProperty("state").GetString());
        Assert.InRange(life.Submitted.ErrorLines.Length, 1, 20);
    }

    [Fact]
    public async Task RunWatch_EndedRun_PrintsEveryEventAsALine()
    {
        FedResult watch = await life.OperateAsync("run", "watch", "--json");

        Assert.Equal(0, watch.ExitCode);
        foreach (string line in watch.OutputLines) await OutputSchema.AssertValidAsync("run-watch", line);
        string[] kinds = [.. watch.OutputLines.Select(line => JsonDocument.Parse(line).RootElement.GetProperty("kind").GetString()!)];
        Assert.Contains("site-refused", kinds);
        Assert.Contains("evaluated", kinds);
        Assert.Equal("completed", kinds[^1]);
    }

    [Fact]
    public async Task RunWatch_EndedRunAsText_EndsWithAVerdict()
    {
        FedResult watch = await life.OperateAsync("run", "watch");

        Assert.Equal(0, watch.ExitCode);
        Assert.StartsWith("Completed: 4 of 4 rounds, model ", Assert.Single(watch.OutputLines), StringComparison.Ordinal);
        Assert.Contains(", AUC ", watch.Output, StringComparison.Ordinal);
        Assert.InRange(watch.ErrorLines.Length, 1, 19);
        Assert.Equal("round 4 of 4", watch.ErrorLines[^1][.."round 4 of 4".Length]);
    }

    [Fact]
    public async Task RunShow_SiteWithWrongFile_ListsItsMismatches()
    {
        FedResult json = await life.OperateAsync("run", "show", "--json"), text = await life.OperateAsync("run", "show", "latest");

        await OutputSchema.AssertValidAsync("run-show", json.Output);
        JsonElement broken = json.Json.GetProperty("sites").EnumerateArray().Single(site => site.GetProperty("site").GetString() == LiveFederation.Broken);
        Assert.Equal("refused", broken.GetProperty("state").GetString());
        Assert.Contains("chol", Assert.Single(broken.GetProperty("mismatches").EnumerateArray()).GetString()!, StringComparison.Ordinal);
        Assert.Equal(4, json.Json.GetProperty("rounds").GetArrayLength());
        Assert.Contains("chol", text.Output, StringComparison.Ordinal);
        Assert.DoesNotContain(Folder, text.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RunList_OneRun_ShowsIt()
    {
        FedResult list = await life.OperateAsync("run", "list", "--json");

        await OutputSchema.AssertValidAsync("run-list", list.Output);
        Assert.Contains(list.Json.GetProperty("runs").EnumerateArray(), run => run.GetProperty("run").GetString() == life.Submitted.Json.GetProperty("run").GetString());
    }

    [Fact]
    public async Task RunShow_UnknownRun_ExitsWith2()
    {
        FedResult show = await life.OperateAsync("run", "show", "no-such-run");

        Assert.Equal(2, show.ExitCode);
        Assert.Contains("no-such-run", Assert.Single(show.ErrorLines), StringComparison.Ordinal);
    }

    [Fact]
    public async Task RunCancel_EndedRun_IsRefusedWithItsState()
    {
        FedResult cancel = await life.OperateAsync("run", "cancel");

        Assert.Equal(2, cancel.ExitCode);
        Assert.Contains("completed", Assert.Single(cancel.ErrorLines), StringComparison.Ordinal);
    }

    [Fact]
    public async Task RunPause_NothingUnderWay_SaysSo()
    {
        FedResult ended = await life.OperateAsync("run", "pause"), all = await life.OperateAsync("run", "pause", "--all", "--wait", "--json"), resumed = await life.OperateAsync("run", "resume", "--all");

        Assert.Equal((2, 0, 0), (ended.ExitCode, all.ExitCode, resumed.ExitCode));
        Assert.Contains("completed", Assert.Single(ended.ErrorLines), StringComparison.Ordinal);
        await OutputSchema.AssertValidAsync("run-list", all.Output);
        Assert.Contains("No run was paused", resumed.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("rotate-keys")]
    [InlineData("verify-transcript")]
    public async Task Run_WithoutSecureAggregation_HasNeitherKeysNorTranscripts(string verb)
    {
        FedResult result = await life.OperateAsync("run", verb);

        Assert.Equal(2, result.ExitCode);
        Assert.Contains("secure aggregation", Assert.Single(result.ErrorLines), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Model_ListExportEvaluatePredict_FitTogether()
    {
        FedResult list = await life.OperateAsync("model", "list", "--best", "auc", "--json");
        await OutputSchema.AssertValidAsync("model-list", list.Output);
        JsonElement best = Assert.Single(list.Json.GetProperty("models").EnumerateArray());

        FedResult export = await life.OperateAsync("model", "export", best.GetProperty("sha256").GetString()![..12], "-o", "best.safetensors", "--json");
        await OutputSchema.AssertValidAsync("model-export", export.Output);
        Assert.Equal(best.GetProperty("sha256").GetString(), export.Json.GetProperty("sha256").GetString());

        FedResult evaluate = await Fed.RunAsync(Folder, ["model", "evaluate", "best.safetensors", "--spec", "run.yaml", "--data", "alpha.csv", "--json"]);
        Assert.Equal((0, ""), (evaluate.ExitCode, evaluate.Error));
        await OutputSchema.AssertValidAsync("model-evaluate", evaluate.Output);
        Assert.Equal(80, evaluate.Json.GetProperty("metrics").GetProperty("examples").GetInt32());

        FedResult predict = await Fed.RunAsync(Folder, ["model", "predict", "best.safetensors", "--spec", "run.yaml", "--data", "alpha.csv", "--json"]);
        await OutputSchema.AssertValidAsync("model-predict", predict.Output);
        Assert.Equal(80, predict.Json.GetProperty("predictions").GetArrayLength());
        Assert.Equal(2, predict.Json.GetProperty("predictions")[0].GetProperty("line").GetInt32());
    }

    [Fact]
    public async Task ModelExport_FileExists_OverwritesOnlyWithForce()
    {
        life.Workspace.Write("old.safetensors", "precious");

        FedResult refused = await life.OperateAsync("model", "export", "-o", "old.safetensors");
        Assert.Equal(2, refused.ExitCode);
        Assert.Contains("exists already", Assert.Single(refused.ErrorLines), StringComparison.Ordinal);
        Assert.Equal("precious", File.ReadAllText(life.Workspace["old.safetensors"]));

        FedResult forced = await life.OperateAsync("model", "export", "-o", "old.safetensors", "--force");
        Assert.Equal(0, forced.ExitCode);
        Assert.NotEqual("precious", File.ReadAllText(life.Workspace["old.safetensors"]));
    }

    [Fact]
    public async Task NodeCheck_EnrolledSite_FindsNothingWrong()
    {
        FedResult check = await Fed.RunAsync(Folder, ["node", "check", "--config", "alpha.yaml", "--json"]);

        Assert.Equal((0, ""), (check.ExitCode, check.Error));
        await OutputSchema.AssertValidAsync("node-check", check.Output);
        Assert.Equal("alpha", check.Json.GetProperty("site").GetString());
    }

    [Fact]
    public async Task Server_PortInUse_SaysWhichInOneLine()
    {
        string taken = new Uri(life.NodesUrl).Authority;
        await Fed.RunAsync(Folder, ["server", "init", "--state", "other"]);

        FedResult server = await Fed.RunAsync(Folder, ["server", "--state", "other", "--nodes", taken, "--operators", "127.0.0.1:0"]);

        Assert.Equal(2, server.ExitCode);
        Assert.Contains(taken, Assert.Single(server.ErrorLines), StringComparison.Ordinal);
    }

    [Fact]
    public async Task ServerInit_Twice_LeavesTheFirstAlone()
    {
        byte[] before = File.ReadAllBytes(life.Workspace["coordinator/ca/ca.pem"]);

        FedResult init = await Fed.RunAsync(Folder, ["server", "init", "--state", "coordinator"]);

        Assert.Equal(2, init.ExitCode);
        Assert.Single(init.ErrorLines);
        Assert.Equal(before, File.ReadAllBytes(life.Workspace["coordinator/ca/ca.pem"]));
    }

    [Theory]
    [InlineData("INT")]
    [InlineData("TERM")]
    public async Task Server_Signal_ExitsWith130(string signal)
    {
        string state = "signalled-" + signal;
        FedResult init = await Fed.RunAsync(Folder, ["server", "init", "--state", state, "--json"]);
        await OutputSchema.AssertValidAsync("server-init", init.Output);
        await using Fed server = Fed.Start(Folder, ["server", "--state", state, "--nodes", "127.0.0.1:0", "--operators", "127.0.0.1:0"]);
        Assert.Contains("nodes connect to https://127.0.0.1:", await server.FirstLineAsync(), StringComparison.Ordinal);

        await server.InterruptAsync(signal);

        Assert.Equal(130, (await server.EndAsync()).ExitCode);
    }
}
