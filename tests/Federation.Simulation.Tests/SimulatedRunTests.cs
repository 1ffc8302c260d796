using Federation.Formats;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Learning.DataSets;
using Federation.Learning.Models;
using Federation.Privacy.Canonical;
using TorchSharp;

namespace Federation.Simulation.Tests;

public sealed class SimulatedRunTests
{
    public static TheoryData<string> Kinds => new()
    {
        Simulations.Plain,
        Simulations.Plain.Replace("secureAggregation: none\n", "strategy: { kind: fedadam }\n", StringComparison.Ordinal),
        Simulations.Plain.Replace("secureAggregation: none\nprivacy: none", "privacy: { insecureSeededNoise: true, unit: record, clip: 1, noiseMultiplier: 1, samplingRate: 0.3, steps: 2, delta: 1e-5 }", StringComparison.Ordinal).Replace(", epochs: 2", "", StringComparison.Ordinal),
        Simulations.Plain.Replace("privacy: none", "strategy: { kind: median }\nprivacy: none", StringComparison.Ordinal),
    };

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Run_AnyNumberOfWorkersAndARerun_GiveTheSameBytes(string yaml)
    {
        string[] models = [.. new[] { 1, 2, 3, 2 }.Select(workers =>
        {
            using var folder = new TemporaryFolder();
            return Simulations.Run(yaml, workers, folder).Model.Sha256;
        })];
        Assert.Single(models.Distinct());
    }

    [Theory]
    [MemberData(nameof(Kinds))]
    public void Run_StoppedInTheMiddleAndResumed_GivesTheSameBytes(string yaml)
    {
        using var whole = new TemporaryFolder();
        (ModelState expected, IReadOnlyList<SimulatedRound> rounds) = Simulations.Run(yaml, 2, whole);
        using var folder = new TemporaryFolder();
        using var stop = new CancellationTokenSource();
        // After the fifth round: the checkpoint is of the fourth, and what came after it is lost.
        using (var run = new SimulatedRun(Simulations.Input(yaml), null, new SimulationFolder(folder.Path, yaml), 2))
        {
            Assert.Throws<OperationCanceledException>(() => run.Run(_ => { if (run.CompletedRounds == 5) stop.Cancel(); }, stop.Token));
        }

        using var again = new SimulatedRun(Simulations.Input(yaml), null, new SimulationFolder(folder.Path, yaml), 1, resume: true);
        Assert.Equal(4, again.CompletedRounds);
        again.Run(cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal(expected.Sha256, again.Model.Sha256);
        Assert.Equal(rounds, again.Rounds);
    }

    [Fact]
    public void Resume_OfAnotherSpec_IsRefused()
    {
        using var folder = new TemporaryFolder();
        Simulations.Run(Simulations.Plain, 1, folder);
        string other = Simulations.Plain.Replace("learningRate: 0.01", "learningRate: 0.02", StringComparison.Ordinal);
        var error = Assert.Throws<InvalidInputException>(() => new SimulatedRun(Simulations.Input(other), null, new SimulationFolder(folder.Path, other), 1, resume: true));
        Assert.Contains("another spec", error.Message, StringComparison.Ordinal);
    }

    [Fact] // One round of all clients: w + Σ nᵢ(wᵢ − w)/Σ nᵢ, wᵢ by the learner of real nodes
    public void Round_OfFedAvg_IsTheMeanByHand()
    {
        string yaml = "name: hand\nmodel: { kind: logistic }\nrounds: 1\nseed: 3\ncohort: { minContributors: 3, deadline: 1h }\nlocal: { optimizer: { kind: sgd, learningRate: 0.1 }, batchSize: 4 }\nsecureAggregation: none\nprivacy: none\nsimulation: { clients: 3 }";
        RunSpec spec = Simulations.Spec(yaml);
        var set = new Blobs(30, 3);
        Partition partition = new([[0, 1, 2, 3, 4], [5, 6, 7, 8, 9, 10, 11, 12, 13, 14], [.. Enumerable.Range(15, 15)]]);
        using var folder = new TemporaryFolder();
        using var run = new SimulatedRun(new SimulationInput(spec, set, null, partition), null, new SimulationFolder(folder.Path, yaml), 2);
        ModelState start = run.Model;
        run.Run(cancellationToken: TestContext.Current.CancellationToken);
        double[] sums = new double[start.Header.ValueCount];
        torch.set_num_threads(1);
        for (int client = 0; client < 3; client++)
        {
            int[] own = [.. partition.Clients[client]];
            float[] values = new float[own.Length * set.Values];
            for (int i = 0; i < own.Length; i++) set.Read(own[i], values.AsSpan(i * set.Values, set.Values));
            using var learner = new ModuleLearner(
                () => TabularModel.Create(spec.Model, set.Values, set.Classes, DerivedSeed.For(spec.Seed, "initial-weights")),
                new Examples(torch.tensor(values, [own.Length, set.Values]), torch.tensor(own.Select(index => (long)set.Label(index)).ToArray())),
                (output, target) => torch.nn.functional.cross_entropy(output, target));
            TrainingResult trained = learner.Train(new LearningTask("hand", $"client-{client}", spec, null), 1, start, TestContext.Current.CancellationToken);
            Assert.Equal((ulong)own.Length, trained.Weight);
            float[] update = Flat(trained.WeightedDelta);
            for (int i = 0; i < sums.Length; i++) sums[i] += update[i];
        }

        float[] before = Flat(start);
        Assert.Equal(sums.Select((sum, i) => (float)(before[i] + (sum / 30))), Flat(run.Model));
    }

    [Fact] // Encoded, quantised and summed it differs from the mean in the clear by the grid alone
    public void Round_WithSecureAggregation_IsTheMeanInTheClearButForTheGrid()
    {
        using var one = new TemporaryFolder();
        using var two = new TemporaryFolder();
        string clear = Simulations.Plain.Replace("rounds: 6", "rounds: 1", StringComparison.Ordinal);
        float[] plain = Flat(Simulations.Run(clear, 1, one).Model), opened = Flat(Simulations.Run(clear.Replace("secureAggregation: none\n", "", StringComparison.Ordinal), 1, two).Model);
        Assert.NotEqual(plain, opened);
        for (int i = 0; i < plain.Length; i++) Assert.Equal(plain[i], opened[i], 2e-3);
    }

    [Fact]
    public void Run_OfAThousandClients_Learns()
    {
        string yaml = "name: many\nmodel: { kind: logistic }\nrounds: 5\nseed: 3\ncohort: { minContributors: 10, count: 50, deadline: 1h }\nlocal: { optimizer: { kind: sgd, learningRate: 0.5 }, batchSize: 3 }\nsecureAggregation: none\nprivacy: none\nsimulation: { clients: 1000 }";
        SimulationInput input = Simulations.Input(yaml, 3000);
        using var folder = new TemporaryFolder();
        using var run = new SimulatedRun(input, null, new SimulationFolder(folder.Path, yaml), 2);
        run.Run(cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal(5, run.CompletedRounds);
        Assert.All(run.Rounds, round => Assert.Equal(50, round.Contributors));
        Assert.True(run.Rounds[^1].Evaluation!.Accuracy > 0.9);
    }

    private static float[] Flat(ModelState model) => [.. model.Tensors.SelectMany(tensor => tensor.Values)];
}
