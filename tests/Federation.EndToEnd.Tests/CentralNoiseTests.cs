using Federation.Client;
using Federation.Formats.Configuration;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Privacy.Accounting;
using Federation.Privacy.Ledger;
using Federation.V1;

namespace Federation.EndToEnd.Tests;

/// <summary>Runs whose noise the coordinator adds, over the network: who takes part, what the ledgers hold, and one model for all.</summary>
public sealed class CentralNoiseTests
{
    private static readonly string[] s_sites = ["a", "b", "c"];
    private static readonly NodePolicy s_trusting = new(Privacy: new(Noise: TrustedNoise.Central));

    private static string Spec(int rounds, string adaptive = "") =>
        SyntheticSites.Spec(rounds, least: 3, extra: $"privacy: {{ unit: site, noise: central, clip: 0.25, {adaptive}noiseMultiplier: 2, delta: 1e-5 }}");

    [Fact]
    public async Task Run_OfSitesThatTrustTheCoordinator_IsChargedAndEndsWithOneModelAfterARestart()
    {
        using KeptLog screen = new();
        await using TestFederation federation = await TestFederation.StartAsync(screen);
        string spec = Spec(rounds: 3, "adaptiveClip: { quantile: 0.5 }, ");
        var logs = s_sites.ToDictionary(site => site, _ => new KeptLog());
        using var gate = new GatedLearner(SyntheticSites.Learner(SyntheticSites.Write(federation.Folder, "a")), heldRound: 2);
        List<Task<NodeOutcome>> nodes = [];
        foreach (string site in s_sites)
        {
            await federation.EnrollAsync(site);
            DataSource data = SyntheticSites.Write(federation.Folder, site);
            nodes.Add(federation.RunNodeAsync(site, site == "a" ? gate : SyntheticSites.Learner(data), data: [data], policy: s_trusting, loggers: logs[site]));
        }

        string run = await federation.SubmitAsync(spec, SyntheticSites.SchemaYaml, SyntheticSites.Initial(spec));
        await gate.Started;
        await federation.RestartCoordinatorAsync(); // round 2 is open, its clip came from the noisy vote of round 1
        gate.Release();
        NodeOutcome[] outcomes = await Task.WhenAll(nodes);

        Assert.All(outcomes, outcome => Assert.Equal(("completed", 3), (outcome.State, outcome.Rounds)));
        RunDetails details = await federation.ShowAsync(run);
        Assert.All(details.Rounds, round => Assert.Equal((3, 3UL), (round.Contributors.Count, round.Weight)));
        Model[] models = [.. (await federation.Operator.ListModelsAsync(new ListModelsRequest { RunId = run })).Models.OrderBy(model => model.Round)];
        Assert.Equal([0u, 1u, 2u, 3u], models.Select(model => model.Round));
        foreach ((string site, NodeOutcome outcome) in s_sites.Zip(outcomes))
        {
            Assert.Equal(models[3].Sha256, outcome.ModelSha256);
            Assert.Equal(models[3].Sha256, ModelState.Read(Path.Combine(new NodeFolder(federation.NodeState(site)).Run(run), "model.safetensors")).Sha256);
            RequireCharged(federation, site, spec, rounds: 3);
            Assert.Single(logs[site].Lines, line => line.Contains("against the coordinator there is no differential privacy", StringComparison.Ordinal));
        }

        Assert.Equal(3, screen.Lines.Count(line => line.Contains("from now on a site's update is clipped to", StringComparison.Ordinal)));
        Assert.Empty(Directory.EnumerateFiles(Path.Combine(federation.State, "spool"), "*", SearchOption.AllDirectories)); // no update outlives its round
    }

    [Fact] // whoever has not agreed in words to show the coordinator its updates takes no part; the run goes on without it
    public async Task Run_WithASiteOfTheUsualPolicy_GoesOnWithoutIt()
    {
        await using TestFederation federation = await TestFederation.StartAsync();
        string spec = Spec(rounds: 1);
        List<Task<NodeOutcome>> nodes = [];
        foreach (string site in (string[])[.. s_sites, "d"])
        {
            await federation.EnrollAsync(site);
            DataSource data = SyntheticSites.Write(federation.Folder, site);
            nodes.Add(federation.RunNodeAsync(site, SyntheticSites.Learner(data), data: [data], policy: site == "d" ? null : s_trusting));
        }

        string run = await federation.SubmitAsync(spec, SyntheticSites.SchemaYaml, SyntheticSites.Initial(spec));
        await Task.WhenAll(nodes);
        RunDetails details = await federation.ShowAsync(run);
        Assert.Equal(s_sites, details.Rounds.Single().Contributors);
        Assert.Contains("'privacy: { noise: central }' in the policy", Assert.Single(details.Sites.Single(site => site.Name == "d").Mismatches), StringComparison.Ordinal);
        RequireCharged(federation, "a", spec, rounds: 1);
        using PrivacyLedger ledger = LedgerOf(federation, "d");
        Assert.Equal(0, ledger.Spent(1e-5).Epsilon);
    }

    [Fact] // a node sends the mean change: neither what is clipped nor what the coordinator sees depends on how many examples a site has
    public async Task Run_OfSitesWithManyExamples_SendsTheMeanOfThem()
    {
        await using TestFederation federation = await TestFederation.StartAsync();
        string spec = OneVector.Spec(rounds: 2, least: 3).Replace("privacy: none", "privacy: { unit: site, noise: central, clip: 1, noiseMultiplier: 2, delta: 1e-5 }", StringComparison.Ordinal);
        List<Task<NodeOutcome>> nodes = [];
        GatedLearner[] gates = [.. s_sites.Select((_, i) => new GatedLearner(new WeightyLearner(step: 0.03125f * (i + 1), examples: 1000ul * (ulong)(i + 1)), heldRound: 2))];
        foreach ((string site, GatedLearner gate) in s_sites.Zip(gates))
        {
            await federation.EnrollAsync(site);
            nodes.Add(federation.RunNodeAsync(site, gate, policy: s_trusting));
        }

        string run = await federation.SubmitAsync(spec, "", OneVector.Initial(10));
        foreach ((string site, int i) in s_sites.Select((site, i) => (site, i)))
        {
            await gates[i].Started; // what it sent in round 1 is kept until it has sent the next
            float[] sent = ModelState.Read(Path.Combine(new NodeFolder(federation.NodeState(site)).Updates(run), "1.safetensors")).Tensors.Single().Values;
            Assert.All(sent, value => Assert.Equal(0.03125f * (i + 1), value, 1e-6));
        }

        foreach (GatedLearner gate in gates) gate.Release();
        await Task.WhenAll(nodes);
        Assert.All((await federation.ShowAsync(run)).Rounds, round => Assert.Equal(3UL, round.Weight));
        foreach (GatedLearner gate in gates) gate.Dispose();
    }

    [Fact] // the coordinator would add a second noise to the same update: whoever sees both models has their mean
    public async Task Coordinator_PutBackToBeforeARoundsEnd_IsSentUpdatesThatArePaidForAgain()
    {
        await using TestFederation federation = await TestFederation.StartAsync();
        string spec = Spec(rounds: 2), copy = Path.Combine(federation.Folder, "copy");
        ILocalLearner Learner(string site) => SyntheticSites.Learner(SyntheticSites.Write(federation.Folder, site));
        GatedLearner[] first = [.. s_sites.Select(site => new GatedLearner(Learner(site), heldRound: 1))]; // nobody has sent anything when the copy is made
        using GatedLearner second = new(first[1], heldRound: 2);
        List<Task<NodeOutcome>> nodes = [];
        foreach ((int i, string site) in s_sites.Index())
        {
            await federation.EnrollAsync(site);
            nodes.Add(federation.RunNodeAsync(site, i == 1 ? second : first[i], data: [SyntheticSites.Write(federation.Folder, site)], policy: s_trusting));
        }

        string run = await federation.SubmitAsync(spec, SyntheticSites.SchemaYaml, SyntheticSites.Initial(spec));
        foreach (GatedLearner gate in first) await gate.Started;
        await federation.RestartCoordinatorAsync(() => CopyFolder(federation.State, copy));
        foreach (GatedLearner gate in first) gate.Release();
        await second.Started;
        foreach (string site in s_sites) while (!Records(site).OfType<CommittedRecord>().Any()) await Task.Delay(5, TestContext.Current.CancellationToken); // round 1 has been told, and every site knows that it was
        await federation.RestartCoordinatorAsync(() =>
        {
            Directory.Delete(federation.State, recursive: true);
            CopyFolder(copy, federation.State);
        });
        second.Release();
        NodeOutcome[] outcomes = await Task.WhenAll(nodes);
        Assert.All(outcomes, outcome => Assert.Equal(("completed", 2), (outcome.State, outcome.Rounds)));
        foreach (string site in s_sites)
        {
            LedgerRecord[] records = Records(site);
            Assert.Equal(2, records.OfType<ReservedRecord>().Count(record => record.Release.Round == 1));
            Assert.Equal(records.OfType<CommittedRecord>().Count(), records.OfType<CommittedRecord>().Select(record => record.Reservation).Distinct().Count());
        }

        foreach (GatedLearner gate in first) gate.Dispose();

        LedgerRecord[] Records(string site) => [.. LedgerVerification.Of(new NodeFolder(federation.NodeState(site)).Ledger, "synthetic").Records];
    }

    [Theory] // whether training failed says something of the records: an update of zeros says nothing
    [InlineData("unit: site, noise: central, clip: 1, noiseMultiplier: 2", "none")]
    [InlineData("unit: site, clip: 1, noiseMultiplier: 2", "threshold-bfv")]
    public async Task Run_OfASiteWhoseTrainingFails_GoesOnWithAnUpdateOfZeros(string privacy, string secure)
    {
        await using TestFederation federation = await TestFederation.StartAsync();
        string spec = OneVector.Spec(rounds: 1, least: 3, secure).Replace("privacy: none", $"privacy: {{ {privacy}, delta: 1e-5 }}", StringComparison.Ordinal);
        List<Task<NodeOutcome>> nodes = [];
        foreach (string site in s_sites)
        {
            await federation.EnrollAsync(site);
            nodes.Add(federation.RunNodeAsync(site, site == "b" ? new FailingLearner() : new WeightyLearner(step: 0.03125f, examples: 1000), policy: s_trusting));
        }

        string run = await federation.SubmitAsync(spec, "", OneVector.Initial(10));
        await Task.WhenAll(nodes);
        Assert.Equal(s_sites, (await federation.ShowAsync(run)).Rounds.Single().Contributors);
    }

    /// <summary>Its records make the loss no number.</summary>
    private sealed class FailingLearner : ILocalLearner
    {
        public IReadOnlyList<string> Check(LearningTask task, ModelState initial) => [];

        public TrainingResult Train(LearningTask task, int round, ModelState start, CancellationToken cancellationToken) => throw new LearningException("The training loss became NaN in round 1.");

        public Federation.Formats.Evaluation.EvaluationSums Evaluate(LearningTask task, ModelState model, CancellationToken cancellationToken) => new() { Examples = 0, Correct = 0, LogLossSum = 0, BrierSum = 0 };

        public void Dispose()
        {
        }
    }

    private static void CopyFolder(string from, string to)
    {
        foreach (string file in Directory.EnumerateFiles(from, "*", SearchOption.AllDirectories))
        {
            string target = Path.Combine(to, Path.GetRelativePath(from, file));
            Directory.CreateDirectory(Path.GetDirectoryName(target)!);
            File.Copy(file, target);
        }
    }

    /// <summary>σ/2, because a record may make the site's update another one; each round named as what it is.</summary>
    private static void RequireCharged(TestFederation federation, string site, string spec, int rounds)
    {
        using (PrivacyLedger ledger = LedgerOf(federation, site))
        {
            double exact = new PldAccountant().AtDelta([new RepeatedEvent(new GaussianEvent(1), rounds)], 1e-5, NeighboringRelation.AddOrRemoveOne).Epsilon;
            Assert.InRange(ledger.Spent(1e-5).Epsilon, exact * (1 - 1e-5), exact * 1.001);
            RunSpec run = RunSpec.Parse(spec, "x");
            Assert.Equal(PrivacyCost.Epsilon(PrivacyCost.OfRun(run, SyntheticSites.Schema, values: 4, cohort: 3, rounds, outside: true), 1e-5), ledger.Spent(1e-5).Epsilon, exact * 1e-4);
        }

        ReservedRecord[] records = [.. LedgerVerification.Of(new NodeFolder(federation.NodeState(site)).Ledger, "synthetic").Records.OfType<ReservedRecord>()];
        Assert.Equal(rounds, records.Length);
        Assert.All(records, record => Assert.Equal((Release.EntrustedUpdate, true), (record.Release.Purpose, record.Release.Outside is null)));
    }

    private static PrivacyLedger LedgerOf(TestFederation federation, string site) =>
        PrivacyLedger.Open(new NodeFolder(federation.NodeState(site)).Ledger, "synthetic", new(PrivacyUnit.Record, NeighboringRelation.AddOrRemoveOne), TimeProvider.System);
}
