using Federation.Client;
using Federation.Formats.Configuration;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Privacy.Accounting;
using Federation.Privacy.Ledger;
using Federation.Server.Runs;
using Federation.V1;

namespace Federation.EndToEnd.Tests;

/// <summary>Private runs in which something goes wrong: no ledger holds less than was released, and no budget is overdrawn.</summary>
public sealed class PrivateFaultTests
{
    private const int Rounds = 3;

    private static readonly string[] s_sites = ["a", "b", "c", "d"];

    private static readonly string s_yaml = SyntheticSites.Spec(Rounds, least: 3, secure: "threshold-bfv", extra: "privacy: { unit: record, noise: own, steps: 10, clip: 0.5, samplingRate: 0.2, delta: 1e-5, noiseMultiplier: 1, maxEpsilon: 1000 }")
        .Replace("kind: adam, learningRate: 0.1 }, batchSize: 16, epochs: 2", "kind: sgd, learningRate: 1 }, batchSize: 16", StringComparison.Ordinal);

    private static readonly PrivacyEvent s_round = PrivacyCost.OfRound(RunSpec.Parse(s_yaml, "x"), values: 4, cohort: 4);

    [Fact] // what it had reserved is lost; it pays again, and nothing is counted twice in the model
    public async Task Node_StoppedBetweenReservationAndUpload_PaysTwiceAndSendsOnce()
    {
        await using TestFederation federation = await TestFederation.StartAsync();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        await EnrollAsync(federation);
        Task<NodeOutcome>[] others = [.. s_sites[1..].Select(site => RunAsync(federation, site))];
        using ILocalLearner stopping = new Stopping(SyntheticSites.Learner(SyntheticSites.Write(federation.Folder, "a")), stop);
        Task<NodeOutcome> first = federation.RunNodeAsync("a", stopping, data: [SyntheticSites.Write(federation.Folder, "a")], cancellationToken: stop.Token);
        string run = await SubmitAsync(federation);
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        NodeOutcome outcome = await RunAsync(federation, "a");
        await Task.WhenAll(others);
        Assert.Equal(("completed", Rounds), (outcome.State, outcome.Rounds));
        RunDetails details = await federation.ShowAsync(run);
        Assert.Equal(s_sites, details.Rounds[0].Contributors);
        ReservedRecord[] reserved = [.. Records(federation, "a").OfType<ReservedRecord>()];
        Assert.Equal([1, 1, 2, 3], reserved.Select(record => record.Release.Round));
        Assert.Equal(Rounds, Records(federation, "a").OfType<CommittedRecord>().Count());
        Assert.Equal(Cost(Rounds + 1), Spent(federation, "a"), 1e-3 * Cost(Rounds + 1));
        Assert.Equal(Cost(Rounds), Spent(federation, "b"), 1e-3 * Cost(Rounds));
    }

    [Fact] // there is no budget, and the run still costs no more than its spec says: a round that is paid for twice is the last one's
    public async Task Run_WhoseRoundIsPaidForTwice_CostsNoMoreThanItsSpecSays()
    {
        await using TestFederation federation = await TestFederation.StartAsync();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        await EnrollAsync(federation);
        Task<NodeOutcome>[] others = [.. s_sites[1..].Select(site => RunAsync(federation, site))];
        using ILocalLearner stopping = new Stopping(SyntheticSites.Learner(SyntheticSites.Write(federation.Folder, "a")), stop);
        Task<NodeOutcome> first = federation.RunNodeAsync("a", stopping, data: [SyntheticSites.Write(federation.Folder, "a")], cancellationToken: stop.Token);
        string spec = s_yaml.Replace("maxEpsilon: 1000", FormattableString.Invariant($"maxEpsilon: {Cost(Rounds) * 1.01}"), StringComparison.Ordinal);
        string run = await federation.SubmitAsync(spec, SyntheticSites.SchemaYaml, SyntheticSites.Initial(spec));
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => first);
        NodeOutcome outcome = await RunAsync(federation, "a");
        await Task.WhenAll(others);
        Assert.Equal("completed", outcome.State);
        RunDetails details = await federation.ShowAsync(run);
        Assert.Equal([4, 4, 3], details.Rounds.Select(round => round.Contributors.Count));
        Assert.Equal([1, 1, 2], Records(federation, "a").OfType<ReservedRecord>().Select(record => record.Release.Round));
        Assert.InRange(Spent(federation, "a"), 0.99 * Cost(Rounds), 1.01 * Cost(Rounds));
    }

    [Fact] // a private run's schema is its operator's to choose: that a site holds a certain record is no answer to it
    public async Task Run_WhoseSchemaFitsNotAllRows_LearnsNothingOfThem()
    {
        await using TestFederation federation = await TestFederation.StartAsync();
        const string Table = "x,colour,y\n0.1,red,0\n0.9,green,1\n0.7,green,1\n", Planted = Table + "0.123,mauve,7\n";
        await EnrollAsync(federation);
        Task<NodeOutcome>[] nodes = [.. s_sites.Select(site =>
        {
            DataSource data = SyntheticSites.Write(federation.Folder, site, text: site == "a" ? Planted : site == "b" ? "x,colour,y\n" : Table);
            return federation.RunNodeAsync(site, SyntheticSites.Learner(data), data: [data]);
        })];
        string run = await SubmitAsync(federation);
        await Task.WhenAll(nodes);
        RunDetails details = await federation.ShowAsync(run);
        Assert.Equal("completed", details.Summary.State);
        Assert.All(details.Rounds, round => Assert.Equal(s_sites, round.Contributors));
        Assert.All(details.Sites, site => Assert.Empty(site.Mismatches));
    }

    [Fact] // each alone would fit the site's budget; together they may not go beyond it
    public async Task Runs_TwoAtOnceOnOneDataSet_ShareItsBudget()
    {
        const int Allowed = 4;
        await using TestFederation federation = await TestFederation.StartAsync();
        await EnrollAsync(federation);
        var budget = new PrivacyBudget(Cost(Allowed) * 1.001, 1e-5);
        string[] runs = [await SubmitAsync(federation), await SubmitAsync(federation)];
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        Task<NodeOutcome>[] nodes = [.. s_sites.Select(site => RunAsync(federation, site, site == "d" ? budget : null, stop.Token))];
        List<string> contributors = [];
        foreach (string run in runs)
        {
            await federation.WaitForAsync(run, RunLog.Completed);
            RunDetails details = await federation.ShowAsync(run);
            Assert.Equal(Rounds, details.Rounds.Count);
            contributors.AddRange(details.Rounds.SelectMany(round => round.Contributors));
        }

        await stop.CancelAsync();
        foreach (Task<NodeOutcome> node in nodes) await Assert.ThrowsAnyAsync<OperationCanceledException>(() => node);
        Assert.Equal(Allowed, contributors.Count(site => site == "d"));
        Assert.Equal(2 * Rounds, contributors.Count(site => site == "a"));
        Assert.Equal(Cost(Allowed), Spent(federation, "d"), 1e-3 * Cost(Allowed));
        Assert.Equal(2, Records(federation, "d").OfType<ReservedRecord>().Select(record => record.Release.Run).Distinct().Count());
        Assert.Equal(Cost(2 * Rounds), Spent(federation, "a"), 1e-3 * Cost(2 * Rounds));
    }

    private static async Task EnrollAsync(TestFederation federation)
    {
        foreach (string site in s_sites) await federation.EnrollAsync(site);
    }

    private static async Task<NodeOutcome> RunAsync(TestFederation federation, string site, PrivacyBudget? budget = null, CancellationToken? untilStopped = null)
    {
        DataSource data = SyntheticSites.Write(federation.Folder, site) with { Budget = budget };
        using ILocalLearner learner = SyntheticSites.Learner(data);
        return await federation.RunNodeAsync(site, learner, data: [data], cancellationToken: untilStopped, exitAfterRun: untilStopped is null);
    }

    private static Task<string> SubmitAsync(TestFederation federation) => federation.SubmitAsync(s_yaml, SyntheticSites.SchemaYaml, SyntheticSites.Initial(s_yaml));

    private static IReadOnlyList<LedgerRecord> Records(TestFederation federation, string site) => LedgerVerification.Of(new NodeFolder(federation.NodeState(site)).Ledger, "synthetic").Records;

    private static double Spent(TestFederation federation, string site)
    {
        using PrivacyLedger ledger = PrivacyLedger.Open(new NodeFolder(federation.NodeState(site)).Ledger, "synthetic", new(PrivacyUnit.Record, NeighboringRelation.AddOrRemoveOne), TimeProvider.System);
        return ledger.Spent(1e-5).Epsilon;
    }

    private static double Cost(int rounds) => PrivacyCost.Epsilon([new RepeatedEvent(s_round, rounds)], 1e-5);

    /// <summary>Its node is stopped while it trains for the first time.</summary>
    private sealed class Stopping(ILocalLearner inner, CancellationTokenSource stop) : ILocalLearner
    {
        public IReadOnlyList<string> Check(LearningTask task, ModelState initial) => inner.Check(task, initial);

        public TrainingResult Train(LearningTask task, int round, ModelState start, CancellationToken cancellationToken)
        {
            stop.Cancel();
            cancellationToken.ThrowIfCancellationRequested();
            throw new InvalidOperationException("The node went on.");
        }

        public Federation.Formats.Evaluation.EvaluationSums Evaluate(LearningTask task, ModelState model, CancellationToken cancellationToken) => inner.Evaluate(task, model, cancellationToken);

        public void Dispose() => inner.Dispose();
    }
}
