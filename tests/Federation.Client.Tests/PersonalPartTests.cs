using Federation.Formats.Evaluation;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning;
using Microsoft.Extensions.Logging.Abstractions;

namespace Federation.Client.Tests;

/// <summary>What of a model stays at a site, from round to round and after the last.</summary>
public sealed class PersonalPartTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();
    private readonly NodeFolder _node;

    public PersonalPartTests() => _node = new NodeFolder(_folder.Path);

    public void Dispose() => _folder.Dispose();

    [Fact] // each question by another process; a round that is trained again starts from what was before it
    public void In_AModel_HasWhatTheRoundsBeforeMade()
    {
        LearningTask task = Task("tensors: [own]");
        Assert.Equal(0, Own(New().In(task, Of(3, 0), 0)));
        New().Keep(task, 1, Of(3, 0), Trained(1, 2, weight: 4));
        Assert.Equal((8, 0.5f), (Shared(New().In(task, Of(8, 0), 1)), Own(New().In(task, Of(8, 0), 1))));
        Assert.Equal(0, Own(New().In(task, Of(8, 0), 0)));
        New().Keep(task, 2, Of(8, 0.5f), Trained(1, 4, weight: 4));
        Assert.Equal((0.5f, 1.5f), (Own(New().In(task, Of(8, 0), 1)), Own(New().In(task, Of(8, 0), 2))));
        New().Keep(task, 3, Of(8, 1.5f), Trained(1, 4, weight: 4));
        Assert.Equal(2, Directory.EnumerateFiles(_node.Run("run"), "*.personal.safetensors").Count());
    }

    [Fact] // round 2 again, by a coordinator that was put back: what rounds 3 and 4 made is of no round that will have been
    public void Keep_OfAnEarlierRound_DropsTheLaterOnes()
    {
        LearningTask task = Task("tensors: [own]");
        for (int round = 1; round <= 4; round++) New().Keep(task, round, Of(3, round - 1), Trained(1, 4, weight: 4));
        New().Keep(task, 2, Of(3, 1), Trained(1, 2, weight: 4));
        Assert.Equal(["2.personal.safetensors"], Directory.EnumerateFiles(_node.Run("run")).Select(path => Path.GetFileName(path)));
        Assert.Equal(1.5f, Own(New().In(task, Of(8, 0), 9)));
    }

    [Fact]
    public void Forget_LeavesNothingOfTheRounds()
    {
        LearningTask task = Task("tensors: [own]");
        New().Keep(task, 1, Of(3, 0), Trained(1, 2, weight: 4));
        New().Forget(task.RunId);
        Assert.Empty(Directory.EnumerateFiles(_node.Run("run")));
    }

    [Fact]
    public void In_ARunWithoutAPersonalPart_IsTheModelItself()
    {
        ModelState model = Of(1, 2);
        Assert.Same(model, New().In(Task("fineTuneEpochs: 1"), model, 9));
    }

    [Fact] // a second time after a crash: what is there stays, although what it was made of is gone
    public void Finish_TunesTheModelOnceAndKeepsIt()
    {
        LearningTask task = Task("tensors: [own], fineTuneEpochs: 3");
        New().Keep(task, 1, Of(3, 0), Trained(1, 2, weight: 4));
        List<(string, float, float)> measured = [];
        for (int time = 0; time < 2; time++) New().Finish(task, 1, Of(8, 0), (kind, model) => measured.Add((kind, Shared(model), Own(model))), TestContext.Current.CancellationToken);
        Assert.Equal([("personal", 8, 0.5f), ("fine-tuned", 11, 3.5f)], measured);
        ModelState kept = ModelState.Read(Path.Combine(_node.Run("run"), PersonalPart.FinalFile));
        Assert.Equal((11, 3.5f), (Shared(kept), Own(kept)));
        Assert.Single(Directory.EnumerateFiles(_node.Run("run")));
    }

    private PersonalPart New() => new(_node, new Adding(), NullLogger.Instance);

    private static float Shared(ModelState model) => model.Tensors.Single(tensor => tensor.Name == "shared").Values[0];

    private static float Own(ModelState model) => model.Tensors.Single(tensor => tensor.Name == "own").Values[0];

    private static ModelState Of(float shared, float own) => new([new NamedTensor("own", [1], [own]), new NamedTensor("shared", [1], [shared])]);

    private static TrainingResult Trained(float shared, float own, ulong weight) => new(Of(shared, own), weight, 0);

    private static LearningTask Task(string personal) => new("run", "a", RunSpec.Parse($$"""
        name: own
        model: { kind: custom }
        rounds: 1
        seed: 0
        cohort: { minContributors: 3, deadline: 5s }
        local: { optimizer: { kind: sgd, learningRate: 0.1 }, batchSize: 1 }
        privacy: { unit: record, noise: own, steps: 1, samplingRate: 1, clip: 1, noiseMultiplier: 1, delta: 1e-5 }
        personal: { {{personal}} }
        """, "spec"), null);

    /// <summary>Moves every value by the number of epochs.</summary>
    private sealed class Adding : ILocalLearner
    {
        public IReadOnlyList<string> Check(LearningTask task, ModelState initial) => [];

        public TrainingResult Train(LearningTask task, int round, ModelState start, CancellationToken cancellationToken)
        {
            Assert.True(task.StaysHere);
            return new(new ModelState(start.Tensors.Select(tensor => tensor with { Values = [task.Spec.Local.Epochs * 2] })), 2, 0);
        }

        public EvaluationSums Evaluate(LearningTask task, ModelState model, CancellationToken cancellationToken) => throw new NotSupportedException();

        public void Dispose()
        {
        }
    }
}
