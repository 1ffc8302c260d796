using System.Text.Json;
using Federation.Cli.Results;
using Federation.Cli.Verbs;
using Federation.Privacy.Accounting;
using Federation.Privacy.Ledger;

namespace Federation.Cli.Tests;

/// <summary>What a site's engineer sees before the first round, with everything right and with one thing after the other wrong.</summary>
public sealed class NodeCheckTests : IAsyncLifetime
{
    private const string Host = "coordinator.hospital.test"; // no name that anybody resolves (RFC 6761)
    private readonly Workspace _workspace = new();
    private Fed? _server;
    private string _nodes = "", _operators = "";

    private int Port => new Uri(_nodes).Port;

    public async ValueTask InitializeAsync()
    {
        await Fed.RunAsync(_workspace.Folder, ["server", "init", "--state", "coordinator"]);
        _server = Fed.Start(_workspace.Folder, ["server", "--state", "coordinator", "--nodes", "127.0.0.1:0", "--operators", "127.0.0.1:0", "--json"]);
        JsonElement started = JsonDocument.Parse(await _server.FirstLineAsync()).RootElement;
        (_nodes, _operators) = (started.GetProperty("nodes").GetString()!, started.GetProperty("operators").GetString()!);
        _workspace.WriteTable("alpha.csv", 0);
        Configure(_nodes);
        FedResult invited = await OperateAsync("site", "invite", "alpha");
        Assert.Equal(0, (await Fed.RunAsync(_workspace.Folder, ["node", "enroll", "--config", "alpha.yaml"], input: invited.Output)).ExitCode);
    }

    public async ValueTask DisposeAsync()
    {
        if (_server is not null) await _server.DisposeAsync();
        _workspace.Dispose();
    }

    [Fact]
    public async Task NodeCheck_EverythingRight_SaysSoLineByLine()
    {
        FedResult check = await CheckAsync();

        Assert.Equal((0, ""), (check.ExitCode, check.Error));
        await OutputSchema.AssertValidAsync("node-check", check.Output);
        Assert.Equal("alpha", check.Json.GetProperty("site").GetString());
        Assert.Equal(["certificate", "connection", "clock", "data", "device", "disk", "budget"], Lines(check).Select(line => line.Check));
        FedResult list = await OperateAsync("site", "list", "--json"); // nothing was joined
        Assert.Equal(JsonValueKind.Null, list.Json.GetProperty("sites")[0].GetProperty("role").ValueKind);
        Assert.Contains("Nothing is wrong", (await Fed.RunAsync(_workspace.Folder, ["node", "check", "--config", "alpha.yaml"])).OutputLines[^1], StringComparison.Ordinal);
    }

    [Fact]
    public async Task Node_BehindAProxyThatAsksForAPassword_IsCheckedAndTrains()
    {
        using ConnectProxy proxy = new("hospital:s3cret");
        (string, string)[] variables = [("HTTPS_PROXY", $"http://hospital:s3cret@{proxy.Authority}")];
        Configure($"https://{Host}:{Port}");

        FedResult check = await CheckAsync(variables);
        Assert.Equal((0, ""), (check.ExitCode, check.Error));
        Assert.Contains($"through the proxy http://{proxy.Authority}", Line(check, "connection").Message, StringComparison.Ordinal);
        Assert.DoesNotContain("s3cret", check.Output, StringComparison.Ordinal);

        await using Fed node = Fed.Start(_workspace.Folder, ["node", "--config", "alpha.yaml", "--exit-after-run"], variables: variables);
        _workspace.Write("one.yaml", File.ReadAllText(_workspace["run.yaml"]).Replace("minContributors: 2", "minContributors: 1", StringComparison.Ordinal));
        Assert.Equal(0, (await OperateAsync("run", "submit", "one.yaml")).ExitCode);
        Assert.Equal(0, (await node.EndAsync()).ExitCode);
        Assert.All(proxy.Asked, target => Assert.Equal($"{Host}:{Port}", target));

        // the coordinator has now seen a ledger: a check tells when it is gone
        File.Delete(_workspace["alpha-state/ledger.db"]);
        CheckLine gone = Line(await CheckAsync(variables), "budget");
        Assert.False(gone.Ok);
        Assert.Contains("--accept-loss", gone.Repair, StringComparison.Ordinal);
    }

    [Fact]
    public async Task NodeCheck_WrongPasswordAtTheProxy_NamesTheProxy()
    {
        using ConnectProxy proxy = new("hospital:s3cret");
        Configure($"https://{Host}:{Port}");

        FedResult check = await CheckAsync(("HTTPS_PROXY", $"http://hospital:wr0ng@{proxy.Authority}"));

        Assert.Equal(1, check.ExitCode);
        CheckLine connection = Line(check, "connection");
        Assert.Contains("407", connection.Message, StringComparison.Ordinal);
        Assert.DoesNotContain("\"", connection.Message, StringComparison.Ordinal);
        Assert.Contains("HTTPS_PROXY", connection.Repair, StringComparison.Ordinal);
        Assert.DoesNotContain("wr0ng", check.Output, StringComparison.Ordinal);
        Assert.Empty(proxy.Asked);
    }

    [Fact]
    public async Task NodeCheck_NameInNoProxy_IsCalledWithout()
    {
        using ConnectProxy proxy = new();
        Configure($"https://{Host}:{Port}");

        FedResult check = await CheckAsync(("HTTPS_PROXY", $"http://{proxy.Authority}"), ("NO_PROXY", ".hospital.test"));

        Assert.Equal(1, check.ExitCode); // the name resolves nowhere
        Assert.DoesNotContain("proxy http", Line(check, "connection").Message, StringComparison.Ordinal);
        Assert.Empty(proxy.Asked);
    }

    [Fact]
    public async Task NodeCheck_CoordinatorIsNotThere_LooksAtTheRest()
    {
        await _server!.KillAsync();

        FedResult check = await CheckAsync();

        Assert.Equal(1, check.ExitCode);
        CheckLine connection = Line(check, "connection");
        Assert.False(connection.Ok);
        Assert.Contains("firewall", connection.Repair, StringComparison.Ordinal);
        Assert.All(Lines(check), line => Assert.Equal(line.Check != "connection", line.Ok));
    }

    [Fact]
    public async Task NodeCheck_SiteWasRevoked_IsAMatterOfTheCertificate()
    {
        await OperateAsync("site", "revoke", "alpha");

        FedResult check = await CheckAsync();

        Assert.Equal(1, check.ExitCode);
        Assert.Contains(Lines(check), line => line is { Check: "certificate", Ok: false } && line.Message.Contains("was revoked", StringComparison.Ordinal) && line.Repair!.Contains("new invitation", StringComparison.Ordinal));
    }

    [Fact]
    public async Task NodeCheck_NotEnrolledWrongDataNoRoom_SaysAllOfIt()
    {
        File.WriteAllText(_workspace["bad.csv"], "age,cholesterol\n1,2\n");
        _workspace.Write("bad.yaml", $"coordinator: {_nodes}\nstate: nowhere\ndata:\n  - {{ id: demo, path: bad.csv, schema: demo.schema.yaml, ledger: alpha.csv/x/ledger.db }}\n");

        FedResult check = await Fed.RunAsync(_workspace.Folder, ["node", "check", "--config", "bad.yaml", "--json"]);

        Assert.Equal(1, check.ExitCode);
        await OutputSchema.AssertValidAsync("node-check", check.Output);
        Assert.Equal(["certificate", "connection", "data", "disk"], Lines(check).Where(line => !line.Ok).Select(line => line.Check).Distinct());
        Assert.Contains("fed node enroll", Line(check, "certificate").Repair, StringComparison.Ordinal);
        Assert.All(Lines(check).Where(line => !line.Ok), line => Assert.False(string.IsNullOrEmpty(line.Message)));
    }

    [Fact]
    public async Task NodeCheck_BudgetIsSpent_SaysThatNothingMoreCanBeReleased()
    {
        Configure(_nodes, ", budget: { epsilon: 1, delta: 1e-5 }");
        using (var ledger = PrivacyLedger.Open(_workspace["alpha-state/ledger.db"], "demo", new LedgerTerms(PrivacyUnit.Record, NeighboringRelation.AddOrRemoveOne), TimeProvider.System))
        {
            ledger.Reserve(new Release("run", 1, "training", "coordinator", [new GaussianEvent(new NoiseMultiplier(1), new SamplingRate(1))]));
        }

        FedResult check = await CheckAsync();

        Assert.Equal(1, check.ExitCode);
        CheckLine budget = Line(check, "budget");
        Assert.False(budget.Ok);
        Assert.Contains("the budget is ε = 1", budget.Message, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(0, true, "less than 5 s apart", false)]
    [InlineData(-40, true, "is 40 s ahead of the coordinator's", true)]
    [InlineData(540, false, "is 9.0 minutes behind the coordinator's", true)]
    [InlineData(-86400 * 3, false, "is 3.0 days ahead of the coordinator's", true)]
    public void Clock_ByHowFarTheyAreApart_IsFineWorthSayingOrWrong(int coordinatorAheadSeconds, bool ok, string said, bool repaired)
    {
        CheckLine line = CoordinatorLines.Clock(TimeSpan.FromSeconds(coordinatorAheadSeconds));
        Assert.Equal((ok, repaired), (line.Ok, line.Repair is not null));
        Assert.Contains(said, line.Message, StringComparison.Ordinal);
    }

    private static CheckLine[] Lines(FedResult check) => check.Json.GetProperty("checks").Deserialize<CheckLine[]>(JsonSerializerOptions.Web)!;

    private static CheckLine Line(FedResult check, string name) => Assert.Single(Lines(check), line => line.Check == name);

    private void Configure(string coordinator, string more = "") =>
        _workspace.Write("alpha.yaml", $"coordinator: {coordinator}\nstate: alpha-state\ndata: [ {{ id: demo, path: alpha.csv, schema: demo.schema.yaml{more} }} ]\n");

    private Task<FedResult> CheckAsync(params (string, string)[] variables) => Fed.RunAsync(_workspace.Folder, ["node", "check", "--config", "alpha.yaml", "--json"], variables: variables);

    private Task<FedResult> OperateAsync(params string[] args) => Fed.RunAsync(_workspace.Folder, [.. args, "--coordinator", _operators, "--state", "coordinator"]);
}
