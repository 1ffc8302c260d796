using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning.DataSets;

namespace Federation.Simulation.Tests;

/// <summary>Small simulations for tests.</summary>
internal static class Simulations
{
    public const string Plain = """
        name: blobs
        model: { kind: mlp, hidden: [8] }
        rounds: 6
        seed: 7
        cohort: { minContributors: 3, count: 8, overSelect: 1.5, deadline: 1m }
        local: { optimizer: { kind: adam, learningRate: 0.01 }, batchSize: 5, epochs: 2 }
        secureAggregation: none
        privacy: none
        simulation:
          clients: 24
          speed: { examplesPerSecond: 10, spread: 0.5, delay: 2s }
          dropout: 0.2
          availability: { share: 0.8, period: 10m }
          evaluateEvery: 2
          checkpointEvery: 2
        """;

    public static RunSpec Spec(string yaml) => RunSpec.ParseSimulation(yaml, "run.yaml");

    public static SimulationInput Input(string yaml, int examples = 360, int classes = 3)
    {
        RunSpec spec = Spec(yaml);
        return new SimulationInput(spec, new Blobs(examples, classes), new Blobs(90, classes), Dealt(examples, spec.Simulation!.Clients));
    }

    /// <summary>Round by round, so that every client has some of each class.</summary>
    public static Partition Dealt(int examples, int clients) => new([.. Enumerable.Range(0, clients).Select(client => (IReadOnlyList<int>)[.. Enumerable.Range(0, examples).Where(index => index / 3 % clients == client)])]);

    public static (ModelState Model, IReadOnlyList<SimulatedRound> Rounds) Run(string yaml, int workers, TemporaryFolder folder)
    {
        using var run = new SimulatedRun(Input(yaml), null, new SimulationFolder(folder.Path, yaml), workers);
        run.Run();
        return (run.Model, run.Rounds);
    }
}
