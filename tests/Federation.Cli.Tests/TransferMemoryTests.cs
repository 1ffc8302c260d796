using System.Globalization;
using System.Text.Json;
using Federation.Client;
using Federation.Formats.Configuration;
using Federation.Formats.Evaluation;
using Federation.Formats.Models;
using Federation.Learning;
using Microsoft.Extensions.Logging.Abstractions;

namespace Federation.Cli.Tests;

/// <summary>A coordinator never holds a whole model: one of 240 MB goes to four nodes and back, and the process stays below 300 MiB, which is less than it has without a model and one more.</summary>
public sealed class TransferMemoryTests
{
    private const int Values = 60_000_000, Sites = 4;
    private const long MostBytes = 300L << 20;

    [Fact]
    public async Task Coordinator_WithFourNodesAndALargeModel_HoldsNoWholeModel()
    {
        Assert.SkipUnless(OperatingSystem.IsLinux(), "the peak of resident memory is read from /proc");
        using var workspace = new Workspace();
        Assert.Equal(0, (await Fed.RunAsync(workspace.Folder, ["server", "init", "--state", "coordinator"])).ExitCode);
        await using Fed server = Fed.Start(workspace.Folder, ["server", "--state", "coordinator", "--nodes", "127.0.0.1:0", "--operators", "127.0.0.1:0", "--json"]);
        JsonElement started = JsonDocument.Parse(await server.FirstLineAsync()).RootElement;
        var nodes = new Uri(started.GetProperty("nodes").GetString()!);
        string[] operate = ["--coordinator", started.GetProperty("operators").GetString()!, "--state", "coordinator"];
        var model = new ModelState([new NamedTensor("weight", [Values], new float[Values])]);
        using (FileStream file = File.Create(workspace["initial.safetensors"])) model.Write(file);
        workspace.Write("run.yaml", $$"""
            name: large
            model: { kind: custom, initial: initial.safetensors }
            rounds: 1
            seed: 1
            cohort: { sites: all, minContributors: {{Sites}}, deadline: 1h }
            local: { optimizer: { kind: sgd, learningRate: 0.1 }, batchSize: 1, epochs: 1 }
            privacy: none
            secureAggregation: none
            """);
        using var learner = new MadeUp(model);
        List<Task<NodeOutcome>> running = [];
        for (int i = 0; i < Sites; i++)
        {
            string state = workspace[string.Create(CultureInfo.InvariantCulture, $"site-{i}")];
            string token = (await Fed.RunAsync(workspace.Folder, ["site", "invite", $"site-{i}", .. operate])).Output.Trim();
            await NodeEnrolment.EnrollAsync(nodes, token, state, TestContext.Current.CancellationToken);
            var options = new NodeOptions { Configuration = new NodeConfiguration { Coordinator = nodes, State = state, Data = [] }, ExitAfterRun = true };
            running.Add(Task.Run(() => FederatedNode.RunAsync(options, learner, NullLoggerFactory.Instance, TestContext.Current.CancellationToken), TestContext.Current.CancellationToken));
        }

        FedResult submitted = await Fed.RunAsync(workspace.Folder, ["run", "submit", "run.yaml", .. operate]);
        Assert.Equal((0, ""), (submitted.ExitCode, submitted.Error));
        Assert.All(await Task.WhenAll(running), outcome => Assert.Equal(("completed", 1), (outcome.State, outcome.Rounds)));
        Assert.InRange(server.PeakBytes, 1, MostBytes);
    }

    /// <summary>An update that no sample of the bytes finds equal, so that compression does not make it small.</summary>
    private sealed class MadeUp(ModelState model) : ILocalLearner
    {
        private readonly TrainingResult _result = new(new ModelState([model.Tensors[0] with { Values = Noise() }]), 1, 0);

        public IReadOnlyList<string> Check(LearningTask task, ModelState initial) => [];

        public TrainingResult Train(LearningTask task, int round, ModelState start, CancellationToken cancellationToken) => _result;

        public EvaluationSums Evaluate(LearningTask task, ModelState evaluated, CancellationToken cancellationToken) => new() { Examples = 0, Correct = 0, LogLossSum = 0, BrierSum = 0 };

        public void Dispose()
        {
        }

        private static float[] Noise()
        {
            float[] values = new float[Values];
            var random = new Random(1);
            for (int i = 0; i < values.Length; i++) values[i] = random.NextSingle() - 0.5f;
            return values;
        }
    }
}
