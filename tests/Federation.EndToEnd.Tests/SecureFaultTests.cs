using Federation.Client;
using Federation.Learning;
using Federation.Privacy.Ledger;
using Federation.V1;

namespace Federation.EndToEnd.Tests;

/// <summary>Secure runs whose parties vanish, lose their disks, or are restarted.</summary>
public sealed class SecureFaultTests : IAsyncDisposable
{
    private static readonly string[] s_sites = ["a", "b", "c", "d"];

    private readonly List<IDisposable> _owned = [];
    private readonly Dictionary<string, (Task<NodeOutcome> Task, CancellationTokenSource Stop)> _nodes = [];
    private TestFederation _federation = null!;

    public async ValueTask DisposeAsync()
    {
        foreach (string site in _nodes.Keys.ToArray()) await StopAsync(site);
        foreach (IDisposable one in _owned) one.Dispose();
        await _federation.DisposeAsync();
    }

    [Fact] // gone while it trains: the others' sum is opened, by those that are left
    public async Task Contributor_GoneInTheRound_IsPassedOverAndOthersOpen()
    {
        await StartAsync();
        GatedLearner gate = Own(new GatedLearner(Learner("d"), heldRound: 2));
        foreach (string site in s_sites[..3]) Run(site);
        Run("d", gate);
        string run = await SubmitAsync(rounds: 3, deadline: "5s");
        await gate.Started;
        await StopAsync("d");
        Assert.All(await Task.WhenAll(s_sites[..3].Select(site => _nodes[site].Task)), outcome => Assert.Equal("completed", outcome.State));
        RunDetails details = await _federation.ShowAsync(run);
        Assert.Equal(["a", "b", "c"], details.Rounds[1].Contributors);
    }

    [Fact] // a member that contributed and left before the opening: others are named
    public async Task Member_GoneBeforeTheOpening_IsReplaced()
    {
        await StartAsync();
        GatedLearner gate = Own(new GatedLearner(Learner("d"), heldRound: 1));
        foreach (string site in s_sites[..3]) Run(site);
        Run("d", gate);
        string run = await SubmitAsync(rounds: 1);
        await gate.Started;
        await _federation.WaitForAsync(run, "contributed", happened => happened.Site == "a");
        await StopAsync("a"); // t = 3: b, c and d are left
        gate.Release();
        RunEvent opened = await _federation.WaitForAsync(run, "opened");
        Assert.Contains("opened by b, c, d: the sum of 4 updates", opened.Message, StringComparison.Ordinal);
    }

    [Fact] // t − 1 are left: nothing is opened until one is back, and then the same sum
    public async Task Committee_BelowTheThreshold_WaitsUntilOneIsBack()
    {
        await StartAsync();
        GatedLearner gate = Own(new GatedLearner(Learner("d"), heldRound: 1));
        foreach (string site in s_sites[..3]) Run(site);
        Run("d", gate);
        string run = await SubmitAsync(rounds: 1);
        await gate.Started;
        foreach (string site in new[] { "a", "b" })
        {
            await _federation.WaitForAsync(run, "contributed", happened => happened.Site == site);
            await StopAsync(site);
        }

        gate.Release();
        await _federation.WaitForAsync(run, "round-closed");
        Assert.Equal("aggregating", (await _federation.ShowAsync(run)).Summary.State);
        Run("a");
        Assert.Contains("opened by a, c, d: the sum of 4 updates", (await _federation.WaitForAsync(run, "opened")).Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Coordinator_RestartedInEveryPhase_GoesOn()
    {
        await StartAsync();
        GatedLearner gate = Own(new GatedLearner(Learner("d"), heldRound: 2));
        foreach (string site in s_sites[..3]) Run(site);
        string run = await SubmitAsync(rounds: 3); // three of four: keys cannot be finished before all are known to be there or gone
        await _federation.RestartCoordinatorAsync();
        Run("d", gate);
        await gate.Started;
        await _federation.WaitForAsync(run, "contributed", happened => happened.Round == 2 && happened.Site == "a");
        await _federation.RestartCoordinatorAsync(); // in an open round
        gate.Release();
        await _federation.WaitForAsync(run, "round-closed", happened => happened.Round == 2);
        await _federation.RestartCoordinatorAsync(); // in an opening, or after it
        Assert.All(await Task.WhenAll(_nodes.Values.Select(node => node.Task)), outcome => Assert.Equal(("completed", 3), (outcome.State, outcome.Rounds)));
        Assert.All((await _federation.ShowAsync(run)).Rounds, round => Assert.Equal("completed", round.State));
    }

    [Fact] // two of four lose their disks, t = 3: the round is lost, the run is not
    public async Task Members_ThatLoseTheirDisks_GetANewEpoch()
    {
        await StartAsync();
        GatedLearner gate = Own(new GatedLearner(Learner("d"), heldRound: 2));
        foreach (string site in s_sites[..3]) Run(site);
        Run("d", gate);
        string run = await SubmitAsync(rounds: 3);
        await gate.Started;
        foreach (string site in new[] { "a", "b" })
        {
            await _federation.WaitForAsync(run, "contributed", happened => happened.Round == 2 && happened.Site == site);
            await StopAsync(site);
            File.Delete(Path.Combine(_federation.NodeState(site), "secagg.db"));
            Run(site);
        }

        gate.Release();
        RunEvent lost = await _federation.WaitForAsync(run, "round-abandoned");
        Assert.Contains("2 members hold shares of epoch 1; 3 are needed (a, b lost theirs)", lost.Message, StringComparison.Ordinal);
        Assert.Contains("Key epoch 2", (await _federation.WaitForAsync(run, "keys-made", happened => happened.Round == 2)).Message, StringComparison.Ordinal);
        Assert.All(await Task.WhenAll(_nodes.Values.Select(node => node.Task)), outcome => Assert.Equal(("completed", 3), (outcome.State, outcome.Rounds)));
    }

    [Fact] // a node's committee store put back to an earlier copy: it is shown its own signed answer, and erases its shares
    public async Task Member_RestoredFromABackup_ErasesItsShares()
    {
        await StartAsync();
        GatedLearner gate = Own(new GatedLearner(Learner("d"), heldRound: 2));
        foreach (string site in s_sites[..3]) Run(site);
        Run("d", gate);
        string run = await SubmitAsync(rounds: 3);
        await _federation.WaitForAsync(run, "keys-made");
        string store = Path.Combine(_federation.NodeState("a"), "secagg.db"), copy = store + ".copy";
        File.Copy(store, copy);
        await _federation.WaitForAsync(run, "contributed", happened => happened.Round == 2 && happened.Site == "a"); // round 1 was opened
        await StopAsync("a");
        File.Copy(copy, store, overwrite: true);
        Run("a");
        gate.Release();
        RunEvent opened = await _federation.WaitForAsync(run, "opened", happened => happened.Round == 2);
        Assert.Contains("opened by b, c, d", opened.Message, StringComparison.Ordinal);
        Assert.Contains(AuditVerification.Of(new NodeFolder(_federation.NodeState("a")).Audit).Entries, entry => entry.Kind == "restored-record" && entry.What.Contains("that do not continue them. It was restored from a copy: its share is to be erased", StringComparison.Ordinal));
        Assert.All(await Task.WhenAll(_nodes.Values.Select(node => node.Task)), outcome => Assert.Equal("completed", outcome.State));
    }

    [Fact] // a threshold that one lying member of four could get round: every site refuses, the reason is shown, and nothing is trained
    public async Task Keys_BelowEverySitesPolicy_AreRefusedAndSayWhy()
    {
        await StartAsync();
        foreach (string site in s_sites) Run(site);
        string spec = SyntheticSites.Spec(1, least: 3, secure: "{ kind: threshold-bfv, threshold: 2 }");
        string run = await _federation.SubmitAsync(spec, SyntheticSites.SchemaYaml, SyntheticSites.Initial(spec));
        RunEvent failed = await _federation.WaitForAsync(run, "keys-failed");
        Assert.Contains("a: Threshold 2 of 4 possible members resists 0 lying or restored members; this site's policy asks for 1: a threshold of 3 at least.", failed.Message, StringComparison.Ordinal);
        Assert.Equal("making-keys", (await _federation.ShowAsync(run)).Summary.State);
        await _federation.Operator.CancelRunAsync(new CancelRunRequest { RunId = run });
    }

    [Fact] // the committee is of all sites that could be members, also of one that the run does not ask for updates
    public async Task Keys_OfARunThatNamesThreeOfFourSites_AreMadeByAllFour()
    {
        await StartAsync();
        foreach (string site in s_sites) Run(site);
        string spec = SyntheticSites.Spec(1, least: 3, secure: "threshold-bfv").Replace("sites: all", "sites: [a, b, c]", StringComparison.Ordinal);
        string run = await _federation.SubmitAsync(spec, SyntheticSites.SchemaYaml, SyntheticSites.Initial(spec));
        Assert.Contains("4 members hold shares", (await _federation.WaitForAsync(run, "keys-made")).Message, StringComparison.Ordinal);
        await _federation.WaitForAsync(run, "completed");
        Assert.Equal(["a", "b", "c"], (await _federation.ShowAsync(run)).Rounds.Single().Contributors);
    }

    [Fact]
    public async Task Keys_WithTooFewSitesConnected_WaitAndSayWhy()
    {
        await StartAsync();
        foreach (string more in new[] { "e", "f" }) await _federation.EnrollAsync(more); // six enrolled: four must hold shares
        foreach (string site in s_sites[..3]) Run(site);
        string spec = SyntheticSites.Spec(1, least: 3, deadline: "2s", secure: "threshold-bfv");
        string run = await _federation.SubmitAsync(spec, SyntheticSites.SchemaYaml, SyntheticSites.Initial(spec));
        await _federation.WaitForAsync(run, "waiting", happened => happened.Message.Contains("Keys need 4 members to be connected", StringComparison.Ordinal));
        Run("d");
        await _federation.WaitForAsync(run, "completed");
    }

    [Fact] // nobody has to be waited for: there are not so many
    public async Task Keys_WithAThresholdAboveTheNumberOfSites_SayWhatToDo()
    {
        await StartAsync();
        foreach (string site in s_sites) Run(site);
        string spec = SyntheticSites.Spec(1, least: 3, secure: "{ kind: threshold-bfv, threshold: 5 }");
        string run = await _federation.SubmitAsync(spec, SyntheticSites.SchemaYaml, SyntheticSites.Initial(spec));
        RunEvent waiting = await _federation.WaitForAsync(run, "waiting", happened => happened.Message.StartsWith("Keys need", StringComparison.Ordinal));
        Assert.Equal("Keys need 5 members, and 4 sites are enrolled that train: enrol more, or cancel the run and submit it with a lower `threshold`.", waiting.Message);
        await _federation.Operator.CancelRunAsync(new CancelRunRequest { RunId = run });
    }

    private async Task StartAsync()
    {
        _federation = await TestFederation.StartAsync();
        foreach (string site in s_sites) await _federation.EnrollAsync(site);
    }

    private TabularLearner Learner(string site) => SyntheticSites.Learner(SyntheticSites.Write(_federation.Folder, site));

    private T Own<T>(T one)
        where T : IDisposable
    {
        _owned.Add(one);
        return one;
    }

    private void Run(string site, ILocalLearner? learner = null)
    {
        var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        learner ??= Own(Learner(site));
        Task<NodeOutcome> task = _federation.RunNodeAsync(site, learner, data: [SyntheticSites.Write(_federation.Folder, site)], cancellationToken: stop.Token);
        _nodes[site] = (task, stop);
    }

    private async Task StopAsync(string site)
    {
        (Task<NodeOutcome> task, CancellationTokenSource stop) = _nodes[site];
        await stop.CancelAsync();
        await task.ContinueWith(_ => { }, TaskScheduler.Default);
        stop.Dispose();
        _nodes.Remove(site);
    }

    private Task<string> SubmitAsync(int rounds, string deadline = "60s")
    {
        string spec = SyntheticSites.Spec(rounds, least: 3, deadline, secure: "{ kind: threshold-bfv, threshold: 3 }");
        return _federation.SubmitAsync(spec, SyntheticSites.SchemaYaml, SyntheticSites.Initial(spec));
    }
}
