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

    [Fact] // there is no budget, and still the run ends at a site where its rounds come again and again
    public async Task Run_WhoseRoundsAreRepeated_CostsASiteNoMoreThanItsLimit()
    {
        await using TestFederation federation = await TestFederation.StartAsync();
        string spec = s_yaml.Replace(", maxEpsilon: 1000", "", StringComparison.Ordinal);
        await EnrollAsync(federation);
        Task<NodeOutcome>[] nodes = [.. s_sites.Select(site => RunAsync(federation, site))];
        string run = await federation.SubmitAsync(spec, SyntheticSites.SchemaYaml, SyntheticSites.Initial(spec));
        await Task.WhenAll(nodes);
        RunForecast forecast = Forecast(federation, run, spec);
        Assert.Equal(Cost(Rounds), forecast.EpsilonCharged, 1e-3 * Cost(Rounds));
        Assert.Equal(Cost(Rounds + 3), forecast.Limit!.Epsilon, 2e-3 * Cost(Rounds + 3));
        using PrivacyLedger ledger = PrivacyLedger.Open(new NodeFolder(federation.NodeState("a")).Ledger, "synthetic", new(PrivacyUnit.Record, NeighboringRelation.AddOrRemoveOne), TimeProvider.System);
        for (int again = 0; again < 3; again++) ledger.Reserve(new Release(run, Rounds, "update", "x", [s_round]), forecast.Limit);
        Assert.Throws<BudgetExceededException>(() => ledger.Reserve(new Release(run, Rounds, "update", "x", [s_round]), forecast.Limit));
        ledger.Reserve(new Release("another", 1, "update", "x", [s_round]), forecast.Limit);
    }

    [Fact] // an operator's weights can make the loss of some test rows no number: whether an update comes may not tell of it
    public async Task Run_WhoseModelCannotBeMeasured_GetsItsUpdatesAllTheSame()
    {
        await using TestFederation federation = await TestFederation.StartAsync();
        await EnrollAsync(federation);
        Task<NodeOutcome>[] nodes = [.. s_sites.Select(site =>
        {
            DataSource data = SyntheticSites.Write(federation.Folder, site);
            return federation.RunNodeAsync(site, site == "a" ? new Unmeasurable(SyntheticSites.Learner(data)) : SyntheticSites.Learner(data), data: [data]);
        })];
        string run = await SubmitAsync(federation);
        await Task.WhenAll(nodes);
        Assert.All((await federation.ShowAsync(run)).Rounds, round => Assert.Equal(s_sites, round.Contributors));
        Assert.Equal(Cost(Rounds), Spent(federation, "a"), 1e-3 * Cost(Rounds));
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

    private static RunForecast Forecast(TestFederation federation, string run, string spec)
    {
        using PrivacyLedger ledger = PrivacyLedger.Open(new NodeFolder(federation.NodeState("b")).Ledger, "synthetic", new(PrivacyUnit.Record, NeighboringRelation.AddOrRemoveOne), TimeProvider.System);
        return RunForecast.Of(new LearningTask(run, "b", RunSpec.Parse(spec, "x"), SyntheticSites.Schema), values: 4, "synthetic", new NodePolicy(), ledger, null, null);
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

    /// <summary>Its figures on test rows are no numbers.</summary>
    private sealed class Unmeasurable(ILocalLearner inner) : ILocalLearner
    {
        public IReadOnlyList<string> Check(LearningTask task, ModelState initial) => inner.Check(task, initial);

        public TrainingResult Train(LearningTask task, int round, ModelState start, CancellationToken cancellationToken) => inner.Train(task, round, start, cancellationToken);

        public Federation.Formats.Evaluation.EvaluationSums Evaluate(LearningTask task, ModelState model, CancellationToken cancellationToken) => inner.Evaluate(task, model, cancellationToken) with { LogLossSum = double.NaN, BrierSum = double.NaN };

        public void Dispose() => inner.Dispose();
    }

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
