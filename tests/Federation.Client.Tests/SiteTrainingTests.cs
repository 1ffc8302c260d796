using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.V1;
using Microsoft.Extensions.Logging.Abstractions;
using EvaluationSums = Federation.Formats.Evaluation.EvaluationSums;

namespace Federation.Client.Tests;

/// <summary>What a site does with a run's rounds and its end, by the settings of the round.</summary>
public sealed class SiteTrainingTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly NodeFolder _node;
    private readonly Listening _learner = new();

    public SiteTrainingTests() => _node = new NodeFolder(_folder.Path);

    public void Dispose() => _folder.Dispose();

    [Theory] // rounds count as they are opened; a coordinator that does not say how many there were had no abandoned one, as far as anybody knows
    [InlineData(2, 3, 0.025)]
    [InlineData(2, 2, 0.05)]
    [InlineData(3, 0, 0.025)]
    public void End_OfACompletedRun_TunesWithTheSettingsOfItsLastRound(uint rounds, uint lastRound, double learningRate)
    {
        New().End(Task, Ended("completed", rounds, lastRound), Model(), trains: true, TestContext.Current.CancellationToken);
        LocalSpec tuned = Assert.Single(_learner.Trained);
        Assert.Equal((learningRate, 7), (tuned.Optimizer.LearningRate, tuned.Epochs));
    }

    [Theory]
    [InlineData("cancelled", false, 0)]
    [InlineData("failed", false, 0)]
    [InlineData("failed", true, 1)] // the personal part, until it is in a model
    [InlineData("completed", true, 2)] // its model is still to be made of them
    public void Forget_ARunThatGaveNothing_LeavesNothingOfItsRounds(string state, bool hasModel, int left)
    {
        foreach (string kept in new[] { "1.personal.safetensors", "1.control.safetensors" }) Of(3).Save(Path.Combine(_node.Run("run"), kept));
        RunEnded ended = Ended(state, 1, 1);
        if (!hasModel) ended.ModelSha256 = "";
        New().Forget(ended);
        Assert.Equal(left, Directory.EnumerateFiles(_node.Run("run")).Count());
    }

    [Theory]
    [InlineData("cancelled")]
    [InlineData("failed")]
    public void End_OfARunThatWasGivenUp_KeepsTheLastModelWithItsOwnTensors(string state)
    {
        LearningTask task = Task with { Spec = Task.Spec with { Personal = new PersonalSpec(["own"], 7) } };
        foreach (int round in new[] { 1, 2 }) new ModelState([new NamedTensor("own", [1], [10f * round])]).Save(Path.Combine(_node.Run("run"), $"{round}.personal.safetensors"));
        string path = Path.Combine(_node.Run("run"), "model.safetensors");
        new ModelState([new NamedTensor("shared", [1], [3]), new NamedTensor("own", [1], [0])]).Save(path);
        SiteTraining training = New();
        training.Forget(Ended(state, 2, 2));
        training.End(task, Ended(state, 2, 2), path, trains: true, TestContext.Current.CancellationToken);
        Assert.Equal(["model.safetensors", "personal.safetensors"], Directory.EnumerateFiles(_node.Run("run"), "*.safetensors").Select(Path.GetFileName).Order());
        Assert.Equal([("own", 20f), ("shared", 3f)], ModelState.Read(Path.Combine(_node.Run("run"), "personal.safetensors")).Tensors.Select(tensor => (tensor.Name, tensor.Values[0])).Order());
        Assert.Empty(_learner.Trained);
    }

    [Fact]
    public void Measure_AModel_HasTheSettingsOfItsRound()
    {
        New().Measure(Task, 2, Of(3).Sha256, Of(3), TestContext.Current.CancellationToken);
        Assert.Equal([0.05], _learner.Evaluated.Select(local => local.Optimizer.LearningRate));
    }

    private static LearningTask Task { get; } = new("run", "a", RunSpec.Parse("""
        name: own
        model: { kind: custom }
        rounds: 5
        seed: 0
        cohort: { minContributors: 3, deadline: 5s }
        local: { optimizer: { kind: sgd, learningRate: 0.1 }, batchSize: 1 }
        schedule: [ { fromRound: 2, learningRate: 0.05 }, { fromRound: 3, learningRate: 0.025, epochs: 3 } ]
        personal: { fineTuneEpochs: 7 }
        privacy: none
        secureAggregation: none
        """, "spec"), null);

    private SiteTraining New() => new(_node, _learner, new OwnMeasurement(_node, _learner, NullLogger.Instance), NullLogger.Instance);

    private static RunEnded Ended(string state, uint rounds, uint lastRound) => new() { RunId = "run", State = state, ModelSha256 = Of(3).Sha256, Rounds = rounds, LastRound = lastRound };

    private string Model()
    {
        string path = Path.Combine(_node.Run("run"), "model.safetensors");
        Of(3).Save(path);
        return path;
    }

    private static ModelState Of(float value) => new([new NamedTensor("shared", [1], [value])]);

    /// <summary>Keeps what it was asked with.</summary>
    private sealed class Listening : ILocalLearner
    {
        public List<LocalSpec> Trained { get; } = [];

        public List<LocalSpec> Evaluated { get; } = [];

        public IReadOnlyList<string> Check(LearningTask task, ModelState initial) => [];

        public TrainingResult Train(LearningTask task, int round, ModelState start, CancellationToken cancellationToken)
        {
            Trained.Add(task.Spec.Local);
            return new(start, 1, 0);
        }

        public EvaluationSums Evaluate(LearningTask task, ModelState model, CancellationToken cancellationToken)
        {
            Evaluated.Add(task.Spec.Local);
            return new EvaluationSums { Examples = 1, Correct = 1, LogLossSum = 0, BrierSum = 0 };
        }

        public void Dispose()
        {
        }
    }
}
