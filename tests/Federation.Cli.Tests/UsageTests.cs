using Federation.Protocol.Identity;
using Federation.Server.Identity;

namespace Federation.Cli.Tests;

public sealed class UsageTests : IDisposable
{
    private readonly Workspace _workspace = new();

    public void Dispose() => _workspace.Dispose();

    [Theory]
    [InlineData("fed' needs a verb")]
    [InlineData("fed' has no verb 'runn'. Did you mean 'run'?", "runn", "submit")]
    [InlineData("fed run' has no verb 'submitt'. Did you mean 'submit'?", "run", "submitt", "run.yaml")]
    [InlineData("--watchh: 'fed run submit' has no option '--watchh'. Did you mean '--watch'?", "run", "submit", "run.yaml", "--watchh")]
    [InlineData("--jsn: 'fed site list' has no option '--jsn'. Did you mean '--json'?", "site", "list", "--jsn")]
    [InlineData("'fed run submit' needs SPEC.", "run", "submit")]
    [InlineData("'fed model export' takes no argument 'b'.", "model", "export", "a", "b")]
    [InlineData("--log: 'fed audit verify' has no option '--log'.", "audit", "verify", "--log", "x")]
    [InlineData("--log: 'fed audit verify' has no option '--log'.", "audit", "verify", "--log")]
    [InlineData("--jsn: 'fed audit verify' has no option '--jsn'. Did you mean '--json'?", "audit", "verify", "--known", "--jsn")]
    [InlineData("--watchh: 'fed run submit' has no option '--watchh'.", "run", "submit", "--watchh")]
    [InlineData("--output: 'fed server backup' has no option '--output'.", "server", "backup", "--output=fed.tar")]
    [InlineData("--coordinator: '--coordinator' needs a value.", "run", "list", "--coordinator")]
    [InlineData("--coordinator: 'http://x' is no address of a coordinator. https://host:8444 is right.", "run", "list", "--coordinator", "http://x")]
    [InlineData("--best: 'auk' is no metric. Did you mean 'auc'?", "model", "list", "--best", "auk")]
    [InlineData("--threads: '0' is no number of threads", "node", "--threads", "0")]
    [InlineData("--nodes: 'localhost' is no listener.", "server", "--nodes", "localhost")]
    [InlineData("There is no operator's credential.", "run", "list")]
    [InlineData("NAME: 'St. Mary' is no name of a site.", "site", "invite", "St. Mary")]
    [InlineData("node.yaml: There is no such file.", "node")]
    [InlineData("--coordinator: The coordinator's address is missing.", "node", "enroll")]
    [InlineData("--schema: There is nothing to check the file against.", "data", "check", "a.csv")]
    [InlineData("gone.csv: There is no such file.", "data", "check", "gone.csv", "--spec", "run.yaml")]
    [InlineData("gone.yaml: There is no such file.", "run", "submit", "gone.yaml")]
    [InlineData("gone.safetensors: There is no such file.", "model", "evaluate", "gone.safetensors", "--spec", "run.yaml", "--data", "a.csv")]
    public async Task Fed_WrongUsage_SaysItInOneLineAndExitsWith2(string expected, params string[] args)
    {
        _workspace.WriteTable("a.csv", 1);

        FedResult result = await Fed.RunAsync(_workspace.Folder, args);

        Assert.Equal(2, result.ExitCode);
        Assert.Empty(result.Output);
        string line = Assert.Single(result.ErrorLines);
        Assert.StartsWith("error: ", line, StringComparison.Ordinal);
        Assert.Contains(expected, line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task RunSubmit_MisspeltSpecField_NamesLineFieldAndNearestName()
    {
        _workspace.Write("run.yaml", Workspace.Spec.Replace("rounds:", "roundz:", StringComparison.Ordinal));

        FedResult result = await Fed.RunAsync(_workspace.Folder, ["run", "submit", "run.yaml"]);

        Assert.Equal(2, result.ExitCode);
        Assert.Contains("error: run.yaml:5: roundz: is no known field. Did you mean 'rounds'?", result.ErrorLines);
    }

    [Fact]
    public async Task RunSubmit_LabelThatTheSchemaLacks_NamesTheSpecsLine()
    {
        _workspace.Write("run.yaml", Workspace.Spec.Replace("label: disease", "label: diseas", StringComparison.Ordinal));

        FedResult result = await Fed.RunAsync(_workspace.Folder, ["run", "submit", "run.yaml"]);

        Assert.Equal(2, result.ExitCode);
        Assert.Equal("error: run.yaml:4: task.label: The schema has no label 'diseas'. Did you mean 'disease'?", Assert.Single(result.ErrorLines));
    }

    [Fact]
    public async Task Json_WrongSpec_ErrorsAreJsonOnStderr()
    {
        _workspace.Write("run.yaml", Workspace.Spec.Replace("rounds: 4", "rounds: 0", StringComparison.Ordinal));

        FedResult result = await Fed.RunAsync(_workspace.Folder, ["run", "submit", "run.yaml", "--json"]);

        Assert.Equal(2, result.ExitCode);
        Assert.Empty(result.Output);
        var error = System.Text.Json.JsonDocument.Parse(Assert.Single(result.ErrorLines)).RootElement.GetProperty("error");
        Assert.Equal(["message", "file", "line", "field", "repair"], error.EnumerateObject().Select(property => property.Name));
        Assert.Equal("run.yaml", error.GetProperty("file").GetString());
        Assert.Equal(5, error.GetProperty("line").GetInt32());
        Assert.Equal("rounds", error.GetProperty("field").GetString());
    }

    [Fact]
    public async Task Node_UnknownDevice_NamesItAndExitsWith2()
    {
        _workspace.WriteTable("a.csv", 1);
        _workspace.Write("node.yaml", "coordinator: https://127.0.0.1:1\ndata: [ { id: demo, path: a.csv } ]\n");

        FedResult result = await Fed.RunAsync(_workspace.Folder, ["node", "--device", "cuda:99"]);

        Assert.Equal(2, result.ExitCode);
        Assert.Contains("cuda:99", Assert.Single(result.ErrorLines), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("xedop1.ann.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "does not begin with 'fedop1.'")]
    [InlineData("fedop1.ann.AAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "third part")]
    [InlineData("fedop1.ann.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA!", "last part")]
    [InlineData("fedop1.ann", "2 parts")]
    [InlineData("", "1 parts")]
    public async Task Operator_DamagedToken_SaysWhatIsWrongWithItAndNothingOfIt(string token, string says)
    {
        _workspace.Write("token", token + "\n");
        string line = Assert.Single((await Fed.RunAsync(_workspace.Folder, ["run", "list", "--credential", "token"])).ErrorLines);
        Assert.Contains("no whole token: it", line.Replace("its", "it", StringComparison.Ordinal), StringComparison.Ordinal);
        Assert.Contains(says, line, StringComparison.Ordinal);
        Assert.DoesNotContain("AAAA", line, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(29, true)]
    [InlineData(31, false)]
    public async Task Operator_CredentialThatEndsSoon_IsWarnedOf(int days, bool warned)
    {
        using (CertificateAuthority ca = CertificateAuthority.Create(DateTimeOffset.UtcNow))
        using (Credential ann = ca.Issue("ann", CertificateRole.Viewer, DateTimeOffset.UtcNow, TimeSpan.FromDays(days))) ann.Save(_workspace["ann.pem"]);
        string[] list = ["run", "list", "--credential", "ann.pem", "--coordinator", "https://127.0.0.1:1"];

        FedResult text = await Fed.RunAsync(_workspace.Folder, list), json = await Fed.RunAsync(_workspace.Folder, [.. list, "--json"]);

        Assert.Equal((1, 1), (text.ExitCode, json.ExitCode));
        Assert.Equal(warned, text.Error.Contains("warning: ann.pem: This credential ends at", StringComparison.Ordinal));
        Assert.Equal(warned, json.ErrorLines[0].StartsWith("{\"warning\":", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Operator_NobodyListens_ExitsWith1()
    {
        await Fed.RunAsync(_workspace.Folder, ["server", "init"]);

        FedResult result = await Fed.RunAsync(_workspace.Folder, ["run", "list", "--coordinator", "https://127.0.0.1:1"]);

        Assert.Equal(1, result.ExitCode);
        Assert.Contains("cannot be reached", Assert.Single(result.ErrorLines), StringComparison.Ordinal);
    }
}
