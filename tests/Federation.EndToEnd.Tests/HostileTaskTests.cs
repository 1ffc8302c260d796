using Federation.Client;
using Federation.Formats.Models;
using Federation.Learning;
using Federation.Privacy.Ledger;
using Federation.V1;
using EvaluationSums = Federation.Formats.Evaluation.EvaluationSums;

namespace Federation.EndToEnd.Tests;

/// <summary>Tasks and files that no honest coordinator or healthy disk gives: they cost the task, not the node, and what was refused stands in the audit log.</summary>
public sealed class HostileTaskTests : IAsyncDisposable
{
    private static readonly string[] s_sites = ["a", "b", "c", "d"];

    private RunningSites _sites = null!;
    private LyingCoordinator? _relay;

    public async ValueTask DisposeAsync()
    {
        await _sites.DisposeAsync();
        if (_relay is not null) await _relay.DisposeAsync();
    }

    [Fact]
    public Task Epoch_WithAnIndexBeyondAllNumbers_CostsTheAttempt() => SurvivedAsync("There is no member 4294967295", _ => task =>
    {
        if (task.Epoch is not { Step: 3 } epoch) return null;
        epoch.Members.Add(uint.MaxValue);
        return task;
    });

    [Fact]
    public Task Evaluate_WithoutARun_CostsTheTask() => SurvivedAsync("the task Evaluate without a run", _ => task => task.Train is null ? null : new NodeTask { Evaluate = new Evaluate { Round = 1, ModelSha256 = "00" } });

    [Fact]
    public Task CheckData_WithoutARun_CostsTheTask() => SurvivedAsync("the task CheckData without a run", _ => task => task.CheckData is null ? null : new NodeTask { CheckData = new CheckData() });

    [Fact] // what no check of a task's form can see
    public Task Train_WithALearnerThatReturnsNothing_CostsTheTask() => SurvivedAsync("The task Train could not be done; this site's log says why.", _ => task => task.Train is null ? null : task, new SlippingLearner(RunningSites.Steps["a"]));

    [Fact]
    public Task Train_UnderAModelThatIsNoHash_CostsTheTask() => SurvivedAsync("which is no SHA-256", _ => task =>
    {
        if (task.Train is not { } train) return null;
        (train.ModelSha256, train.Model) = ("xyz", Google.Protobuf.ByteString.Empty);
        return task;
    });

    [Fact]
    public Task Train_OfARunWhoseNameIsAPath_IsRefused() => SurvivedAsync("named a run '../../x'", _ => task =>
    {
        if (task.Train is not { } train) return null;
        train.RunId = "../../x";
        return task;
    });

    [Fact]
    public Task Open_OfContentWhoseNameIsAPath_IsRefused() => SurvivedAsync("named the content '../../../etc/passwd'", _ => task =>
    {
        if (task.Open is not { } open) return null;
        open.RequestSha256 = "../../../etc/passwd";
        return task;
    });

    [Fact]
    public Task Train_FromContentUnderAnotherHash_IsRefused() => SurvivedAsync("The content's SHA-256 is", liar => task =>
    {
        if (task.Train is not { } train) return null;
        (train.ModelSha256, train.Model) = (new string('1', 64), Google.Protobuf.ByteString.Empty);
        liar.Planted[train.ModelSha256] = new byte[100];
        return task;
    });

    [Fact]
    public Task Train_FromAModelThatCameUnderAnotherHash_IsRefused() => SurvivedAsync("the task names 1111", _ => task =>
    {
        if (task.Train is not { Model.IsEmpty: false } train) return null;
        train.ModelSha256 = new string('1', 64);
        return task;
    });

    [Theory] // four ciphertexts have 4 · 133,120 bytes; nothing of what came stays on disk
    [InlineData(2_000_000, "532480 bytes at most")]
    [InlineData(100, "of 4 contributions have 532480 bytes; 100 came")]
    public async Task Open_OfCiphertextsOfAnotherSize_IsRefused(int bytes, string why)
    {
        await SurvivedAsync(why, liar => task =>
        {
            if (task.Open is not { } open) return null;
            open.SecondsSha256 = liar.Plant(new byte[bytes]);
            return task;
        });
        Assert.All(Directory.EnumerateFiles(Path.Combine(_sites.Federation.NodeState("a"), "blobs")), file => Assert.False(new FileInfo(file).Length is 100 or > 10_000)); // models are there
    }

    [Fact] // the machine lost power while the record of a contribution was written
    public Task Contribution_WhoseRecordIsEmpty_IsMadeAnew() => SurvivedAsync(null, _ => task =>
    {
        if (task.Train is not { Round: 1 } train) return null;
        string stored = Path.Combine(new NodeFolder(_sites.Federation.NodeState("a")).Updates(train.RunId), "1.contribution");
        File.WriteAllText(stored, "");
        File.WriteAllText(stored + ".json", "");
        return task;
    });

    /// <param name="why">What the audit log says; null: it says nothing.</param>
    /// <param name="lie">Of each task until it gives one; from then on the truth is told.</param>
    private async Task SurvivedAsync(string? why, Func<LyingCoordinator, Func<NodeTask, NodeTask?>> lie, ILocalLearner? learner = null)
    {
        _sites = await RunningSites.StartAsync(s_sites);
        LyingCoordinator relay = _relay = await LyingCoordinator.StartAsync(_sites.Federation, "a");
        bool isTold = false;
        relay.Lie = task =>
        {
            if (isTold || lie(relay)(task) is not { } told) return task;
            isTold = true;
            return told;
        };
        _sites.Run("a", learner, relay.Address);
        _sites.Run(s_sites[1..]);
        string run = await _sites.SubmitAsync(rounds: 2, deadline: "5s");
        Assert.All(await _sites.EndedAsync(), outcome => Assert.Equal(("completed", 2), (outcome.State, outcome.Rounds)));
        Assert.True(isTold);
        string audit = new NodeFolder(_sites.Federation.NodeState("a")).Audit;
        if (why is not null) Assert.Contains(AuditVerification.Of(audit).Entries, entry => entry.What.Contains(why, StringComparison.Ordinal));
        else Assert.False(File.Exists(audit));
        if (why is null) Assert.Equal(s_sites, (await _sites.Federation.ShowAsync(run)).Rounds[0].Contributors);
    }

    /// <summary>Trains to nothing at all the first time.</summary>
    private sealed class SlippingLearner(float step) : ILocalLearner
    {
        private readonly SteppingLearner _inner = new(step);
        private bool _slipped;

        public IReadOnlyList<string> Check(LearningTask task, ModelState initial) => [];

        public TrainingResult Train(LearningTask task, int round, ModelState start, CancellationToken cancellationToken)
        {
            if (_slipped) return _inner.Train(task, round, start, cancellationToken);
            _slipped = true;
            return null!;
        }

        public EvaluationSums Evaluate(LearningTask task, ModelState model, CancellationToken cancellationToken) => _inner.Evaluate(task, model, cancellationToken);

        public void Dispose() => _inner.Dispose();
    }
}
