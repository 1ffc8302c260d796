using System.Security.Cryptography;
using Federation.Client;
using Federation.Formats.Configuration;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.V1;
using EvaluationSums = Federation.Formats.Evaluation.EvaluationSums;

namespace Federation.EndToEnd.Tests;

/// <summary>A federation whose sites' nodes are started, stopped and started again, each on the data folder of its own. Every site moves a model of one vector by its own step, so a model says whose updates are in it.</summary>
internal sealed class RunningSites : IAsyncDisposable
{
    public const int Values = 10;

    /// <summary>Four sites: any three steps, and all four, have another mean.</summary>
    public static readonly IReadOnlyDictionary<string, float> Steps = new Dictionary<string, float> { ["a"] = 0.125f, ["b"] = 0.25f, ["c"] = 0.5f, ["d"] = 4, ["e"] = 1 };

    private readonly List<IDisposable> _owned = [];
    private readonly Dictionary<string, (Task<NodeOutcome> Task, CancellationTokenSource Stop)> _nodes = [];

    private RunningSites(TestFederation federation) => Federation = federation;

    public TestFederation Federation { get; }

    public static Task<RunningSites> StartAsync(params string[] sites) => StartAsync(null, sites);

    /// <param name="log">The coordinator's.</param>
    public static Task<RunningSites> StartAsync(KeptLog? log, params string[] sites) => StartAsync(log, null, sites);

    /// <param name="store">Of the coordinator; null: SQLite.</param>
    public static async Task<RunningSites> StartAsync(KeptLog? log, ConnectionString? store, params string[] sites)
    {
        var running = new RunningSites(await TestFederation.StartAsync(log, store: store));
        foreach (string site in sites) await running.Federation.EnrollAsync(site);
        return running;
    }

    public static float MeanOf(params string[] sites) => sites.Average(site => Steps[site]);

    public T Own<T>(T one)
        where T : IDisposable
    {
        _owned.Add(one);
        return one;
    }

    /// <summary>A learner of this site whose training is held in these rounds.</summary>
    public GatedLearner Gate(string site, int heldRound, ILocalLearner? inner = null) => Own(new GatedLearner(inner ?? new SteppingLearner(Steps[site]), heldRound));

    public void Run(string site, ILocalLearner? learner = null, Uri? coordinator = null, NodePolicy? policy = null, KeptLog? log = null)
    {
        var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        Task<NodeOutcome> task = Federation.RunNodeAsync(site, learner ?? new SteppingLearner(Steps[site]), coordinator: coordinator, cancellationToken: stop.Token, policy: policy, loggers: log);
        _nodes[site] = (task, stop);
    }

    public void Run(IEnumerable<string> sites)
    {
        foreach (string site in sites) Run(site);
    }

    public async Task StopAsync(string site)
    {
        (Task<NodeOutcome> task, CancellationTokenSource stop) = _nodes[site];
        await stop.CancelAsync();
        await task.ContinueWith(_ => { }, TaskScheduler.Default);
        stop.Dispose();
        _nodes.Remove(site);
    }

    /// <summary>The site's committee store is gone, as with its disk; its identity stays.</summary>
    public async Task LoseDiskAsync(string site)
    {
        await StopAsync(site);
        File.Delete(StoreOf(site));
        Run(site);
    }

    /// <summary>Key shares and the record of answers.</summary>
    public string StoreOf(string site) => Path.Combine(Federation.NodeState(site), "secagg.db");

    /// <param name="settings">More settings of secure aggregation.</param>
    /// <param name="extra">Another line of the spec.</param>
    /// <param name="key">That it is signed with; null: unsigned.</param>
    public Task<string> SubmitAsync(int rounds, string deadline = "60s", string settings = "threshold: 3", int values = Values, string extra = "", ECDsa? key = null)
    {
        // Weights of 1 and small steps: the grid is fine enough to tell sums apart.
        string secure = $"{{ kind: threshold-bfv, maxWeight: 1{(settings.Length == 0 ? "" : ", ")}{settings} }}";
        string spec = $"{OneVector.Spec(rounds, least: 3, secure, deadline)}\n{extra}";
        ModelState initial = OneVector.Initial(values);
        return Federation.SubmitAsync(spec, "", initial, key is null ? null : SignedSubmission.Make(Federation.Sha256, spec, "", initial.Sha256, key));
    }

    public Task ContributedAsync(string run, string site, int round) => Federation.WaitForAsync(run, "contributed", happened => happened.Site == site && happened.Round == round);

    /// <summary>All nodes that run have seen the run's end.</summary>
    public async Task<NodeOutcome[]> EndedAsync() => await Task.WhenAll(_nodes.Values.Select(node => node.Task)).WaitAsync(TestFederation.Stuck);

    /// <summary>The run's last model, which every site got.</summary>
    public float[] Model(string run, string site = "a") => ModelState.Read(Path.Combine(new NodeFolder(Federation.NodeState(site)).Run(run), "model.safetensors")).Tensors.Single().Values;

    public async ValueTask DisposeAsync()
    {
        foreach (string site in _nodes.Keys.ToArray()) await StopAsync(site);
        foreach (IDisposable one in _owned) one.Dispose();
        await Federation.DisposeAsync();
    }
}

/// <summary>Moves every value by the same step in every round.</summary>
internal sealed class SteppingLearner(float step) : ILocalLearner
{
    public IReadOnlyList<string> Check(LearningTask task, ModelState initial) => [];

    public TrainingResult Train(LearningTask task, int round, ModelState start, CancellationToken cancellationToken) =>
        new(new ModelState(start.Tensors.Select(tensor => tensor with { Values = [.. tensor.Values.Select(_ => step)] })), 1, 0);

    public EvaluationSums Evaluate(LearningTask task, ModelState model, CancellationToken cancellationToken) => new() { Examples = 1, Correct = 1, LogLossSum = 0, BrierSum = 0 };

    public void Dispose()
    {
    }
}
