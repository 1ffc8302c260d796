using System.Text.Json;
using Federation.Client;
using Federation.Formats.Configuration;
using Federation.Formats.Statistics;
using Federation.Learning;
using Federation.Privacy.Ledger;
using Federation.V1;
using Grpc.Core;
using Microsoft.Data.Sqlite;
using Microsoft.Extensions.Logging.Abstractions;

namespace Federation.EndToEnd.Tests;

/// <summary>Statistics over several sites' tables: only sums are opened, of sites that agree, once for a query and version of the data.</summary>
public sealed class StatisticsTests : IAsyncDisposable
{
    private static readonly string[] s_sites = ["a", "b", "c", "d"];
    private readonly List<IDisposable> _owned = [];
    private readonly CancellationTokenSource _stop = new();
    private readonly List<Task<NodeOutcome>> _nodes = [];
    private TestFederation _federation = null!;

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await Task.WhenAll(_nodes).ContinueWith(_ => { }, TaskScheduler.Default);
        foreach (IDisposable one in _owned) one.Dispose();
        await _federation.DisposeAsync();
        _stop.Dispose();
    }

    [Fact]
    public async Task Statistics_OfFourSites_AreThoseOfAllRowsAndAreGivenToEachSite()
    {
        await StartAsync(s_sites, agree: s_sites);
        string run = await SubmitAsync();
        await _federation.WaitForAsync(run, "completed");
        RunDetails details = await _federation.ShowAsync(run);
        FederatedStatistics statistics = await ReadAsync(details.StatisticsSha256);
        (int rows, double[] x, int red) = Plain(s_sites);
        Assert.Equal((ulong)rows, statistics.Rows);
        Assert.Equal(s_sites, statistics.Sites);
        Assert.Equal((ulong)x.Length, statistics.Columns[0].Count);
        Assert.Equal(x.Average(), statistics.Columns[0].Numbers!.Mean!.Value, 1e-8);
        Assert.Equal((ulong)red, statistics.Columns[1].Categories![0].Count);
        Assert.Equal(("", "direct"), (details.ModelSha256, details.SecureAggregation.Mode));
        Assert.All(await Task.WhenAll(_nodes), outcome => Assert.Equal("completed", outcome.State));
        Assert.True(File.Exists(Path.Combine(new NodeFolder(_federation.NodeState("a")).Run(run), "statistics.json")));
        // A release like any other: the ledger says what left.
        using PrivacyLedger ledger = PrivacyLedger.Open(new NodeFolder(_federation.NodeState("a")).Ledger, "synthetic", new LedgerTerms(PrivacyUnit.Record, Privacy.Accounting.NeighboringRelation.AddOrRemoveOne), TimeProvider.System);
        Assert.True(double.IsPositiveInfinity(ledger.Spent(1e-5).Epsilon));
    }

    [Theory] // a budget allows sums with noise, and what they cost is in the ledger
    [InlineData("shared", 2)]
    [InlineData("own", 4)]
    public async Task Statistics_WithNoise_AreOpenedWithinABudget(string noise, double moreNoise)
    {
        await StartAsync(s_sites, agree: s_sites, budget: new PrivacyBudget(1.1, 1e-5));
        string run = await SubmitAsync(privacy: $", privacy: {{ noise: {noise}, noiseMultiplier: auto, maxEpsilon: 1, delta: 1e-5 }}");
        await _federation.WaitForAsync(run, "completed");
        FederatedStatistics statistics = await ReadAsync((await _federation.ShowAsync(run)).StatisticsSha256);
        (int rows, double[] x, int red) = Plain(s_sites);
        // ε = 1 at δ = 1e-5: σ = 3.73 over √7 of what a row moves; parts of four sites where two or one are counted on.
        double deviation = 3.73 * Math.Sqrt(7 * moreNoise);
        Assert.InRange(statistics.NoiseDeviation!.Value, deviation, deviation * 1.01);
        Assert.InRange(statistics.Rows, rows - (8 * deviation), rows + (8 * deviation));
        Assert.InRange(statistics.Columns[1].Categories![0].Count, red - (8 * deviation), red + (8 * deviation));
        Assert.InRange(statistics.Columns[0].Numbers!.Mean!.Value, 0, 1);
        Assert.All(await Task.WhenAll(_nodes), outcome => Assert.Equal("completed", outcome.State));
        using PrivacyLedger ledger = PrivacyLedger.Open(new NodeFolder(_federation.NodeState("a")).Ledger, "synthetic", NodeLedgers.TermsOf(null), TimeProvider.System);
        Assert.InRange(ledger.Spent(1e-5).Epsilon, 0.99, 1);
    }

    [Fact] // consent is the site's: who gave none is left out and said so
    public async Task Statistics_OfASiteThatDoesNotAgree_AreNotAskedFor()
    {
        await StartAsync(s_sites, agree: ["a", "b", "c"]);
        string run = await SubmitAsync();
        await _federation.WaitForAsync(run, "completed");
        RunDetails details = await _federation.ShowAsync(run);
        Assert.Equal(["a", "b", "c"], (await ReadAsync(details.StatisticsSha256)).Sites);
        Assert.Contains("does not allow statistics", Assert.Single(details.Sites.Single(site => site.Name == "d").Mismatches), StringComparison.Ordinal);
    }

    [Fact] // one more site would show that site's table by difference: the coordinator does not ask, and members would not answer
    public async Task Statistics_AskedTwice_AreOpenedOnceUntilTheDataHaveANewVersion()
    {
        await StartAsync(s_sites, agree: s_sites, exit: false);
        string run = await SubmitAsync();
        await _federation.WaitForAsync(run, "completed");
        RpcException again = await Assert.ThrowsAsync<RpcException>(() => SubmitAsync(name: "again"));
        Assert.Contains($"were opened in run {run}", again.Status.Detail, StringComparison.Ordinal);
        string newer = await SubmitAsync(version: "2");
        await _federation.WaitForAsync(newer, "completed");
    }

    [Fact] // a coordinator that forgets what was opened: the members do not
    public async Task Statistics_AskedByACoordinatorThatForgot_AreRefusedByMembers()
    {
        await StartAsync(s_sites, agree: s_sites, exit: false);
        await _federation.WaitForAsync(await SubmitAsync(), "completed");
        await ForgetRunsAsync();
        string run = await SubmitAsync(sites: "[a, b, c]");
        RunEvent failed = await FailedAsync(run);
        Assert.Contains("Another set of contributors was answered for this query and version of the data", failed.Message, StringComparison.Ordinal);
    }

    [Fact] // another version of the data, another run: over one site less the difference of the two is that site's figures
    public async Task Statistics_OfFourSitesAndThenOfThree_AreRefusedByMembers()
    {
        await StartAsync(s_sites, agree: s_sites, exit: false);
        await _federation.WaitForAsync(await SubmitAsync(), "completed");
        await ForgetRunsAsync(); // the coordinator itself would not ask
        RunEvent failed = await FailedAsync(await SubmitAsync(version: "2", sites: "[a, b, c]"));
        Assert.Contains("only 'd' is in one of the two sets alone", failed.Message, StringComparison.Ordinal);
        Assert.Contains("Ask the same sites as before (a, b, c, d)", failed.Message, StringComparison.Ordinal);
        Assert.Contains(AuditVerification.Of(new NodeFolder(_federation.NodeState("a")).Audit).Entries, entry => entry.Kind == "opening-refused" && entry.What.Contains("'d' is in one of the two sets alone", StringComparison.Ordinal));
        await _federation.WaitForAsync(await SubmitAsync(version: "3"), "completed"); // the same four
    }

    [Fact] // before a member is asked that has no record yet: it would note an answer to a question that the others refuse, and refuse theirs from then on
    public async Task Statistics_TooNearEarlierOnes_AreNotAskedByTheCoordinator()
    {
        await StartAsync(s_sites, agree: s_sites, exit: false);
        await _federation.WaitForAsync(await SubmitAsync(), "completed");
        RpcException near = await Assert.ThrowsAsync<RpcException>(() => SubmitAsync(version: "2", sites: "[a, b, c]"));
        Assert.Contains("only 'd' is in one of the two sets alone", near.Status.Detail, StringComparison.Ordinal);
        RpcException unknown = await Assert.ThrowsAsync<RpcException>(() => SubmitAsync(version: "2", sites: "[a, b, c, zeta]"));
        Assert.Contains("No site 'zeta' is enrolled", unknown.Status.Detail, StringComparison.Ordinal);
        await StartSiteAsync("e", agrees: true, exit: false);
        string five = await SubmitAsync(version: "2", secure: "threshold-bfv"); // all that consent, and now there is one more
        RunEvent failed = await _federation.WaitForAsync(five, "failed");
        Assert.Contains("The members were not asked: Statistics of 5 sites are asked for after those of 4 sites were opened, and only 'e' is in one of the two sets alone", failed.Message, StringComparison.Ordinal);
        await _federation.WaitForAsync(await SubmitAsync(version: "3", sites: "[a, b, c, d]", secure: "threshold-bfv"), "completed");
        Assert.DoesNotContain(s_sites, site => File.Exists(new NodeFolder(_federation.NodeState(site)).Audit)); // nobody had anything to refuse
        using Privacy.SecureAggregation.CommitteeStore store = new NodeFolder(_federation.NodeState("e")).OpenCommitteeStore();
        Assert.DoesNotContain(store.Statistics(), set => set.Count == 5);
    }

    private async Task ForgetRunsAsync()
    {
        int port = _federation.Coordinator.NodesAddress.Port;
        await _federation.Coordinator.DisposeAsync();
        await using (var state = new SqliteConnection($"Data Source={Path.Combine(_federation.State, "state.db")};Foreign Keys=False;Pooling=False"))
        {
            await state.OpenAsync();
            await using SqliteCommand forget = state.CreateCommand();
            forget.CommandText = "DELETE FROM runs";
            await forget.ExecuteNonQueryAsync();
        }

        await _federation.StartCoordinatorAsync($"127.0.0.1:{port}");
    }

    private async Task<RunEvent> FailedAsync(string run)
    {
        using AsyncServerStreamingCall<RunEvent> watch = _federation.Operator.WatchRun(new WatchRunRequest { RunId = run });
        List<RunEvent> events = [];
        await foreach (RunEvent happened in watch.ResponseStream.ReadAllAsync(TestContext.Current.CancellationToken)) events.Add(happened);
        Assert.Equal("failed", events[^1].Kind);
        return events.First(happened => happened.Kind == "refused");
    }

    private async Task StartAsync(string[] sites, string[] agree, bool exit = true, PrivacyBudget? budget = null)
    {
        _federation = await TestFederation.StartAsync();
        foreach (string site in sites) await _federation.EnrollAsync(site);
        foreach (string site in sites) await StartSiteAsync(site, agree.Contains(site), exit, isEnrolled: true, budget);
    }

    private async Task StartSiteAsync(string site, bool agrees, bool exit, bool isEnrolled = false, PrivacyBudget? budget = null)
    {
        if (!isEnrolled) await _federation.EnrollAsync(site);
        DataSource data = SyntheticSites.Write(_federation.Folder, site) with { Budget = budget };
        TabularLearner learner = SyntheticSites.Learner(data);
        _owned.Add(learner);
        var configuration = new NodeConfiguration { Coordinator = _federation.Coordinator.NodesAddress, State = _federation.NodeState(site), Data = [data], Policy = new NodePolicy(AllowStatistics: agrees) };
        _nodes.Add(FederatedNode.RunAsync(new NodeOptions { Configuration = configuration, ExitAfterRun = exit }, learner, NullLoggerFactory.Instance, _stop.Token));
    }

    private async Task<string> SubmitAsync(string name = "statistics", string? version = null, string sites = "all", string secure = "{ kind: threshold-bfv, threshold: 3 }", string privacy = "")
    {
        string spec = $"name: {name}\ndata: {{ schema: s }}\nstatistics: {{ bins: 10{privacy} }}\ncohort: {{ sites: {sites}, minContributors: 3, deadline: 60s }}\nsecureAggregation: {secure}\n";
        string schema = version is null ? SyntheticSites.SchemaYaml : $"version: {version}\n{SyntheticSites.SchemaYaml}";
        return (await _federation.Operator.SubmitRunAsync(new SubmitRunRequest { SpecYaml = spec, SchemaYaml = schema })).RunId;
    }

    private async Task<FederatedStatistics> ReadAsync(string sha256)
    {
        var bytes = new MemoryStream();
        using AsyncServerStreamingCall<Chunk> call = _federation.Operator.DownloadModel(new DownloadRequest { Sha256 = sha256 });
        await foreach (Chunk chunk in call.ResponseStream.ReadAllAsync(TestContext.Current.CancellationToken)) bytes.Write(chunk.Data.Span);
        return JsonSerializer.Deserialize<FederatedStatistics>(bytes.ToArray(), JsonSerializerOptions.Web)!;
    }

    private (int Rows, double[] X, int Red) Plain(string[] sites)
    {
        string[][] rows = [.. sites.SelectMany(site => File.ReadLines(Path.Combine(_federation.Folder, $"{site}.csv")).Skip(1)).Select(line => line.Split(','))];
        return (rows.Length, [.. rows.Where(row => row[0] != "?").Select(row => double.Parse(row[0], System.Globalization.CultureInfo.InvariantCulture))], rows.Count(row => row[1] == "red"));
    }
}
