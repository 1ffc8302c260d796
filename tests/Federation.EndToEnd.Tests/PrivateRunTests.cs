using System.Globalization;
using Federation.Client;
using Federation.Formats.Configuration;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Privacy.Accounting;
using Federation.Privacy.Ledger;
using Federation.V1;
using Grpc.Core;

namespace Federation.EndToEnd.Tests;

/// <summary>Differentially private runs over the network: what is released, what the ledgers hold, and where budgets end.</summary>
public sealed class PrivateRunTests
{
    private const string Shared = "unit: record, noise: shared, clip: 0.5, samplingRate: 0.2, delta: 1e-5, noiseMultiplier: auto, maxEpsilon: 2";
    private const string Own = "unit: record, noise: own, steps: 10, clip: 0.5, samplingRate: 0.2, delta: 1e-5, noiseMultiplier: 1";

    private static readonly string[] s_sites = ["a", "b", "c", "d"];

    [Fact]
    public async Task Run_WithSharedNoise_CompletesAndEveryLedgerHoldsItsRounds()
    {
        await using TestFederation federation = await TestFederation.StartAsync();
        string spec = Spec(Shared, rounds: 4, secure: "threshold-bfv");
        (string run, NodeOutcome[] outcomes) = await RunAsync(federation, spec);
        Assert.All(outcomes, outcome => Assert.Equal(("completed", 4), (outcome.State, outcome.Rounds)));
        PrivacyEvent round = PrivacyCost.OfRound(RunSpec.Parse(spec, "x"), values: 4, cohort: 4);
        foreach (string site in s_sites)
        {
            using PrivacyLedger ledger = LedgerOf(federation, site);
            PrivacyLoss spent = ledger.Spent(1e-5);
            Assert.InRange(spent.Epsilon, 1.5, 2);
            Assert.Equal(PrivacyCost.Epsilon([new RepeatedEvent(round, 4)], 1e-5), spent.Epsilon, 1e-6);
        }

        RunDetails details = await federation.ShowAsync(run);
        Assert.All(details.Rounds, one => Assert.Equal(4, one.Contributors.Count));
    }

    [Theory] // sums over test rows are opened with noise, once each two rounds, and are part of what the run may cost
    [InlineData(Shared)]
    [InlineData("unit: record, noise: own, steps: 5, clip: 0.5, samplingRate: 0.2, delta: 1e-5, noiseMultiplier: auto, maxEpsilon: 2")]
    public async Task Run_WithNoisyEvaluation_IsMeasuredAndCharged(string privacy)
    {
        await using TestFederation federation = await TestFederation.StartAsync();
        string spec = Spec(privacy, rounds: 4, secure: "threshold-bfv", evaluate: "evaluate: { every: 2, noiseMultiplier: 3 }");
        (string run, NodeOutcome[] outcomes) = await RunAsync(federation, spec);
        Assert.All(outcomes, outcome => Assert.Equal(("completed", 4), (outcome.State, outcome.Rounds)));
        using PrivacyLedger ledger = LedgerOf(federation, "a");
        Assert.Equal(PrivacyCost.Epsilon(PrivacyCost.OfRun(RunSpec.Parse(spec, "x"), SyntheticSites.Schema, values: 4, cohort: 4, rounds: 4, outside: false), 1e-5), ledger.Spent(1e-5).Epsilon, 1e-4);
        Assert.InRange(ledger.Spent(1e-5).Epsilon, 1.9, 2);
        LedgerVerification records = LedgerVerification.Of(new NodeFolder(federation.NodeState("a")).Ledger, "synthetic");
        Assert.Equal(2, records.Records.OfType<ReservedRecord>().Count(record => record.Release.Purpose == "evaluation"));
        bool isShared = privacy == Shared;
        Assert.All(records.Records.OfType<ReservedRecord>(), record => Assert.Equal(isShared, record.Release.Outside is not null));
        double outside = LedgerFigures.SpentOutside(records.Records, ledger.Spent(1e-5)).Epsilon;
        if (isShared) Assert.InRange(outside, 1, 1.8);
        else Assert.Equal(ledger.Spent(1e-5).Epsilon, outside);
        Model[] measured = [.. (await federation.Operator.ListModelsAsync(new ListModelsRequest { RunId = run })).Models.Where(model => model.Evaluations.Count > 0)];
        Assert.Equal(2, measured.Length);
        // 120 test rows and noise of 3√3 a count: the true number lies within ten deviations.
        Assert.All(measured, model => Assert.InRange(model.Evaluations.Single().Metrics.Examples, 10UL, 300UL));
        Assert.All(measured, model => Assert.False(model.Evaluations.Single().Metrics.HasLogLoss));
        Assert.Contains((await federation.ShowAsync(run)).Rounds, _ => true);
    }

    [Fact] // whatever a site claims and trains, it moves the sum by no more than the clip; a ledger of records is charged for a site that may become another one
    public async Task Run_WithASiteThatClaimsAMillionSamples_IsBoundedByTheClip()
    {
        await using TestFederation federation = await TestFederation.StartAsync();
        string spec = SyntheticSites.Spec(1, least: 3, secure: "threshold-bfv", extra: "privacy: { unit: site, clip: 0.25, noiseMultiplier: 1, delta: 1e-5 }");
        ModelState start = SyntheticSites.Initial(spec);
        (string run, NodeOutcome[] outcomes) = await RunAsync(federation, spec, learnerOf: (site, learner) => site == "a" ? new Boasting(learner) : learner);
        Assert.All(outcomes, outcome => Assert.Equal(("completed", 1), (outcome.State, outcome.Rounds)));
        Assert.Equal(4, (await federation.ShowAsync(run)).Rounds.Single().Contributors.Count);
        ModelState end = ModelState.Read(Path.Combine(new NodeFolder(federation.NodeState("b")).Run(run), "model.safetensors"));
        double moved = Math.Sqrt(start.Tensors.Zip(end.Tensors).Sum(pair => pair.First.Values.Zip(pair.Second.Values, (one, other) => Math.Pow(one - other, 2)).Sum()));
        Assert.InRange(moved, 0.001, 1.2); // a mean of four within 0.25, and noise of 0.09 a value
        using PrivacyLedger ledger = LedgerOf(federation, "b");
        RunSpec parsed = RunSpec.Parse(spec, "x");
        Assert.Equal(PrivacyCost.Epsilon([PrivacyCost.OfRound(parsed, 4, 4)], 1e-5), ledger.Spent(1e-5).Epsilon, 1e-6 * ledger.Spent(1e-5).Epsilon);
        Assert.True(PrivacyCost.Epsilon(PrivacyCost.OfUnit(parsed, null, 4, 4, 1, outside: false), 1e-5) < ledger.Spent(1e-5).Epsilon / 2);
    }

    [Fact] // the clip of the first round is far too large, and follows the norms down; sites take whatever it has come to, and nothing that it cannot have
    public async Task Run_WithAnAdaptiveClip_FollowsTheNorms()
    {
        await using TestFederation federation = await TestFederation.StartAsync();
        string spec = SyntheticSites.Spec(4, least: 3, secure: "threshold-bfv", extra: "privacy: { unit: site, clip: 1000, adaptiveClip: { quantile: 0, learningRate: 1 }, noiseMultiplier: 0.001, delta: 1e-5 }");
        (string run, NodeOutcome[] outcomes) = await RunAsync(federation, spec);
        Assert.All(outcomes, outcome => Assert.Equal(("completed", 4), (outcome.State, outcome.Rounds)));
        // All four vote that they are within: each round divides the clip by e, but for the noise.
        using AsyncServerStreamingCall<RunEvent> watch = federation.Operator.WatchRun(new WatchRunRequest { RunId = run });
        List<string> said = [];
        await foreach (RunEvent happened in watch.ResponseStream.ReadAllAsync(TestContext.Current.CancellationToken)) said.Add(happened.Message);
        string last = said.Last(message => message.Contains("clipped to", StringComparison.Ordinal));
        Assert.InRange(double.Parse(last[(last.LastIndexOf(' ') + 1)..^1], CultureInfo.InvariantCulture), 1000 * Math.Exp(-4) * 0.95, 1000 * Math.Exp(-4) * 1.05);
    }

    [Theory] // with noise of its own, in the clear and encrypted
    [InlineData("none")]
    [InlineData("threshold-bfv")]
    public async Task Run_WithNoiseOfOnesOwn_CompletesAndIsCharged(string secure)
    {
        await using TestFederation federation = await TestFederation.StartAsync();
        (_, NodeOutcome[] outcomes) = await RunAsync(federation, Spec(Own, rounds: 3, secure));
        Assert.All(outcomes, outcome => Assert.Equal(("completed", 3), (outcome.State, outcome.Rounds)));
        using PrivacyLedger ledger = LedgerOf(federation, "a");
        double expected = new PldAccountant().AtDelta([new RepeatedEvent(new GaussianEvent(1, 0.2), 30)], 1e-5, NeighboringRelation.AddOrRemoveOne).Epsilon;
        Assert.Equal(expected, ledger.Spent(1e-5).Epsilon, 0.01 * expected);
    }

    [Theory] // for experiments: the same bytes each time, and no claim of privacy; encryption keeps keys of its own
    [InlineData(Own, "none")]
    [InlineData(Own, "threshold-bfv")]
    [InlineData(Shared, "threshold-bfv")]
    [InlineData("unit: site, clip: 0.25, noiseMultiplier: 1, delta: 1e-5", "threshold-bfv")]
    public async Task Run_WithInsecureSeededNoise_RepeatsAndIsChargedAsOneWithoutNoise(string privacy, string secure)
    {
        List<string> models = [];
        foreach (bool seeded in new[] { true, true, false })
        {
            await using TestFederation federation = await TestFederation.StartAsync();
            string evaluate = secure == "none" || privacy.Contains("site", StringComparison.Ordinal) ? "" : "evaluate: { every: 1, noiseMultiplier: 3 }";
            (string run, NodeOutcome[] outcomes) = await RunAsync(federation, Spec(seeded ? $"{privacy}, insecureSeededNoise: true" : privacy, rounds: 2, secure, evaluate), policy: new(AllowInsecureSeededNoise: seeded));
            Assert.All(outcomes, outcome => Assert.Equal(("completed", 2), (outcome.State, outcome.Rounds)));
            Model last = (await federation.Operator.ListModelsAsync(new ListModelsRequest { RunId = run })).Models.Single(model => model.Round == 2);
            models.Add($"{outcomes[0].ModelSha256} {last.Evaluations.FirstOrDefault()?.Metrics}");
            using PrivacyLedger ledger = LedgerOf(federation, "a");
            Assert.Equal(seeded, double.IsPositiveInfinity(ledger.Spent(1e-5).Epsilon));
        }

        Assert.Equal(models[0], models[1]);
        Assert.NotEqual(models[1], models[2]);
    }

    [Fact]
    public async Task Run_WithInsecureSeededNoiseAndABudget_IsNotJoined()
    {
        await using TestFederation federation = await TestFederation.StartAsync();
        (string run, _) = await RunAsync(federation, Spec($"{Own}, insecureSeededNoise: true", rounds: 1, "threshold-bfv"), site => site == "d" ? new PrivacyBudget(100, 1e-5) : null, policy: new(AllowInsecureSeededNoise: true));
        Assert.Equal("The privacy budget of 'synthetic' (ε = 100) allows no release without noise.", Assert.Single((await federation.ShowAsync(run)).Sites.Single(site => site.Name == "d").Mismatches));
    }

    [Fact] // one site's budget allows two rounds: it says so, stops by itself, and the others go on
    public async Task Run_WithASiteWhoseBudgetEnds_GoesOnWithoutIt()
    {
        await using TestFederation federation = await TestFederation.StartAsync();
        string spec = Spec(Own, rounds: 4, "threshold-bfv");
        double two = PrivacyCost.Epsilon([new RepeatedEvent(PrivacyCost.OfRound(RunSpec.Parse(spec, "x"), 4, 4), 2)], 1e-5);
        (string run, NodeOutcome[] outcomes) = await RunAsync(federation, spec, site => site == "d" ? new PrivacyBudget(two * 1.001, 1e-5) : null);
        Assert.All(outcomes, outcome => Assert.Equal(("completed", 4), (outcome.State, outcome.Rounds)));
        Assert.Equal([4, 4, 3, 3], (await federation.ShowAsync(run)).Rounds.Select(round => round.Contributors.Count));
        using PrivacyLedger ledger = LedgerOf(federation, "d");
        Assert.InRange(ledger.Spent(1e-5).Epsilon, two * 0.999, two * 1.001);
    }

    [Fact]
    public async Task Run_WithABudgetTooSmallForOneRound_IsNotJoined()
    {
        await using TestFederation federation = await TestFederation.StartAsync();
        (string run, _) = await RunAsync(federation, Spec(Own, rounds: 1, "threshold-bfv"), site => site == "d" ? new PrivacyBudget(0.1, 1e-5) : null);
        RunDetails details = await federation.ShowAsync(run);
        Assert.Contains("too small for one round", Assert.Single(details.Sites.Single(site => site.Name == "d").Mismatches), StringComparison.Ordinal);
        Assert.Equal(["a", "b", "c"], details.Rounds.Single().Contributors);
    }

    [Theory] // its noisy steps train all 4 values; a site's whole update is of the 3 that are sent
    [InlineData(Own, 4)]
    [InlineData("unit: site, clip: 0.25, noiseMultiplier: 1, delta: 1e-5", 3)]
    public async Task Run_WithAPersonalPart_IsChargedForWhatTheNoiseCovers(string privacy, int values)
    {
        await using TestFederation federation = await TestFederation.StartAsync();
        string spec = Spec(privacy, rounds: 2, secure: "threshold-bfv") + "\npersonal: { tensors: [\"*.bias\"], fineTuneEpochs: 1 }";
        (string run, NodeOutcome[] outcomes) = await RunAsync(federation, spec);
        Assert.All(outcomes, outcome => Assert.Equal(("completed", 2), (outcome.State, outcome.Rounds)));
        PrivacyEvent round = PrivacyCost.OfRound(RunSpec.Parse(spec, "x"), values, cohort: 4);
        using PrivacyLedger ledger = LedgerOf(federation, "a");
        Assert.Equal(PrivacyCost.Epsilon([new RepeatedEvent(round, 2)], 1e-5), ledger.Spent(1e-5).Epsilon, 1e-3);
        string folder = new NodeFolder(federation.NodeState("a")).Run(run);
        ModelState before = SyntheticSites.Initial(spec), model = ModelState.Read(Path.Combine(folder, "model.safetensors")), own = ModelState.Read(Path.Combine(folder, "personal.safetensors"));
        Assert.Equal([true, false, false], new[] { (model, 0), (model, 1), (own, 0) }.Select(one => one.Item1.Tensors[one.Item2].Values.SequenceEqual(before.Tensors[one.Item2].Values)));
    }

    private static string Spec(string privacy, int rounds, string secure, string evaluate = "") =>
        SyntheticSites.Spec(rounds, least: 3, secure: secure, extra: $"privacy: {{ {privacy} }}\n{evaluate}").Replace("kind: adam, learningRate: 0.1 }, batchSize: 16, epochs: 2", "kind: sgd, learningRate: 1 }, batchSize: 16", StringComparison.Ordinal);

    private static PrivacyLedger LedgerOf(TestFederation federation, string site) =>
        PrivacyLedger.Open(new NodeFolder(federation.NodeState(site)).Ledger, "synthetic", new(PrivacyUnit.Record, NeighboringRelation.AddOrRemoveOne), TimeProvider.System);

    private static async Task<(string Run, NodeOutcome[] Outcomes)> RunAsync(TestFederation federation, string spec, Func<string, PrivacyBudget?>? budgetOf = null, Func<string, ILocalLearner, ILocalLearner>? learnerOf = null, NodePolicy? policy = null)
    {
        List<(ILocalLearner Learner, Task<NodeOutcome> Node)> nodes = [];
        foreach (string site in s_sites)
        {
            await federation.EnrollAsync(site);
            DataSource data = SyntheticSites.Write(federation.Folder, site) with { Budget = budgetOf?.Invoke(site) };
            ILocalLearner learner = SyntheticSites.Learner(data);
            if (learnerOf is not null) learner = learnerOf(site, learner);
            nodes.Add((learner, federation.RunNodeAsync(site, learner, data: [data], policy: policy)));
        }

        string run = await federation.SubmitAsync(spec, SyntheticSites.SchemaYaml, SyntheticSites.Initial(spec));
        NodeOutcome[] outcomes = await Task.WhenAll(nodes.Select(node => node.Node));
        foreach ((ILocalLearner learner, _) in nodes) learner.Dispose();
        return (run, outcomes);
    }

    /// <summary>Claims a million samples, each of which moved the model by a million.</summary>
    private sealed class Boasting(ILocalLearner inner) : ILocalLearner
    {
        public IReadOnlyList<string> Check(LearningTask task, ModelState initial) => inner.Check(task, initial);

        public TrainingResult Train(LearningTask task, int round, ModelState start, CancellationToken cancellationToken) =>
            new(new ModelState(start.Tensors.Select(tensor => tensor with { Values = [.. tensor.Values.Select(_ => 1e12f)] })), 1_000_000, 0);

        public Federation.Formats.Evaluation.EvaluationSums Evaluate(LearningTask task, ModelState model, CancellationToken cancellationToken) => inner.Evaluate(task, model, cancellationToken);

        public void Dispose() => inner.Dispose();
    }
}
