using Federation.Formats;
using Federation.Formats.Runs;
using Federation.Learning.DataSets;
using Federation.Privacy.Accounting;

namespace Federation.Simulation.Tests;

/// <summary>What is wrong is said before anything is trained.</summary>
public sealed class SimulationCheckTests
{
    [Theory]
    [InlineData("clients: 24", "clients: 400", "simulation.clients", "360 training examples")]
    [InlineData("minContributors: 3, count: 8", "minContributors: 30, count: 30", "cohort.minContributors", "there are 24 clients")]
    [InlineData("count: 8", "count: 25", "cohort.count", "there are 24 clients")]
    [InlineData("privacy: none", "personal: { tensors: [\"layers.0.*\"] }\nprivacy: none", "personal", "not simulated")]
    [InlineData("model: { kind: mlp, hidden: [8] }", "model: { kind: custom }", "model.kind", "program")]
    public void Simulation_ThatCannotBe_IsRefusedByField(string right, string wrong, string field, string words)
    {
        string yaml = Simulations.Plain.Replace(right, wrong, StringComparison.Ordinal);
        using var folder = new TemporaryFolder();
        var error = Assert.Throws<InvalidInputException>(() => new SimulatedRun(Simulations.Input(yaml), null, new SimulationFolder(folder.Path, yaml), 1));
        Assert.Contains(error.Problems, problem => problem.Field == field && problem.Message.Contains(words, StringComparison.Ordinal));
    }

    [Fact]
    public void Partition_WithAnEmptyClient_IsRefusedAndNumbered()
    {
        RunSpec spec = Simulations.Spec(Simulations.Plain.Replace("clients: 24", "clients: 12", StringComparison.Ordinal));
        var partition = new Partition([.. Enumerable.Range(0, 12).Select(client => (IReadOnlyList<int>)(client == 4 ? [] : [client]))]);
        using var folder = new TemporaryFolder();
        var error = Assert.Throws<InvalidInputException>(() => new SimulatedRun(new SimulationInput(spec, new Blobs(30, 3), null, partition), null, new SimulationFolder(folder.Path, ""), 1));
        Assert.Contains("1 of 12 clients without an example (the first is number 5)", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Model_BeyondTheMemory_IsRefusedWithBothFigures()
    {
        SimulationInput input = Simulations.Input(Simulations.Plain);
        var error = Assert.Throws<InvalidInputException>(() => SimulationCheck.OfModel(input, ClientWorker.Initial(input), 2, available: 1 << 10));
        Assert.Contains("1 MiB are available", error.Message, StringComparison.Ordinal);
    }

    [Fact]
    public void Rounds_ThatNobodyAnswers_EndWithWords()
    {
        string yaml = Simulations.Plain.Replace("deadline: 1m", "deadline: 1s", StringComparison.Ordinal); // each client takes 2 s and more
        using var folder = new TemporaryFolder();
        using var run = new SimulatedRun(Simulations.Input(yaml), null, new SimulationFolder(folder.Path, yaml), 1);
        var error = Assert.Throws<InvalidInputException>(() => run.Run(cancellationToken: TestContext.Current.CancellationToken));
        Assert.Contains("100 rounds in a row were abandoned", error.Message, StringComparison.Ordinal);
    }

    [Fact] // As `fed privacy epsilon` reckons the same events, but for the grid of the noise
    public void Privacy_OfAPrivateRun_IsTheAccountants()
    {
        string yaml = Simulations.Plain.Replace("secureAggregation: none\nprivacy: none", "secureAggregation: none\nprivacy: { unit: record, clip: 1, noiseMultiplier: 1.5, samplingRate: 0.3, steps: 2, delta: 1e-5 }", StringComparison.Ordinal).Replace(", epochs: 2", "", StringComparison.Ordinal);
        SimulationInput input = Simulations.Input(yaml);
        using var folder = new TemporaryFolder();
        using var run = new SimulatedRun(input, null, new SimulationFolder(folder.Path, yaml), 2);
        run.Run(cancellationToken: TestContext.Current.CancellationToken);
        SimulatedPrivacy privacy = SimulationResult.Of(input, run, 2, 1, 1).Privacy!;
        double expected = PrivacyCost.Epsilon([new RepeatedEvent(new GaussianEvent(new NoiseMultiplier(1.5), new SamplingRate(0.3)), 2L * run.Rounds.Count)], 1e-5);
        Assert.True(privacy.Private);
        Assert.Equal(expected, privacy.Epsilon, expected * 1e-3);
    }
}
