using System.Collections.Concurrent;
using Federation.Client;
using Federation.Formats.Models;
using Federation.Learning;
using Federation.Privacy.Ledger;
using Federation.V1;
using EvaluationSums = Federation.Formats.Evaluation.EvaluationSums;

namespace Federation.EndToEnd.Tests;

/// <summary>Who is asked when, with real nodes: drawn cohorts, schedules, pauses, and runs side by side.</summary>
public sealed class SchedulingTests
{
    private static readonly string[] s_sites = ["a", "b", "c", "d"];

    [Fact] // what a site is not drawn for costs it nothing
    public async Task Run_OfDrawnSites_ChargesEachForItsOwnRounds()
    {
        await using TestFederation federation = await TestFederation.StartAsync();
        foreach (string site in s_sites) await federation.EnrollAsync(site);
        Task<NodeOutcome>[] nodes = [.. s_sites.Select(site => federation.RunNodeAsync(site, SyntheticSites.Learner(SyntheticSites.Write(federation.Folder, site)), data: [SyntheticSites.Write(federation.Folder, site)]))];
        string spec = SyntheticSites.Spec(rounds: 6, least: 2).Replace("sites: all", "count: 2", StringComparison.Ordinal);
        string run = await federation.SubmitAsync(spec, SyntheticSites.SchemaYaml, SyntheticSites.Initial(spec));
        Assert.All(await Task.WhenAll(nodes), outcome => Assert.Equal(("completed", 6), (outcome.State, outcome.Rounds)));
        RunDetails details = await federation.ShowAsync(run);
        Assert.All(details.Rounds, round => Assert.Equal(2, round.Contributors.Count));
        foreach (string site in s_sites)
        {
            uint[] drawn = [.. details.Rounds.Where(round => round.Cohort.Contains(site)).Select(round => round.Round)];
            LedgerRecord[] records = File.Exists(new NodeFolder(federation.NodeState(site)).Ledger) ? [.. LedgerVerification.Of(new NodeFolder(federation.NodeState(site)).Ledger, "synthetic").Records] : [];
            Assert.Equal(drawn, records.OfType<ReservedRecord>().Select(record => (uint)record.Release.Round));
        }

        Assert.True(details.Rounds.SelectMany(round => round.Cohort).Distinct().Count() > 2);
    }

    [Fact] // a secure run and one in the clear share the sites; the first is paused in its second round and goes on after a restart
    public async Task Runs_SideBySide_BothCompleteOverAPauseAndARestart()
    {
        await using TestFederation federation = await TestFederation.StartAsync();
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
        RecordingLearner[] learners = [.. s_sites.Select(_ => new RecordingLearner(heldRound: 2))];
        List<Task> nodes = [];
        foreach ((string site, RecordingLearner learner) in s_sites.Zip(learners))
        {
            await federation.EnrollAsync(site);
            nodes.Add(federation.RunNodeAsync(site, learner, exitAfterRun: false, cancellationToken: stop.Token));
        }

        string secure = await federation.SubmitAsync(OneVector.Spec(rounds: 3, least: 3, "threshold-bfv") + "\nschedule: [ { fromRound: 3, learningRate: 0.5 } ]", "", OneVector.Initial(10));
        await Task.WhenAll(learners.Select(learner => learner.Started));
        string clear = await federation.SubmitAsync(OneVector.Spec(rounds: 3, least: 3), "", OneVector.Initial(10));
        RunSummary pausing = Assert.Single((await federation.Operator.PauseRunsAsync(new PauseRunsRequest { RunId = secure })).Runs);
        Assert.Equal(("pausing", "The open round comes to its end first."), (pausing.State, pausing.Reason));
        foreach (RecordingLearner learner in learners) learner.Release();
        await federation.WaitForAsync(clear, "completed");
        await federation.WaitForAsync(secure, "model", happened => happened.Round == 2);
        RunDetails paused = await federation.ShowAsync(secure);
        Assert.Equal(("paused", 2U), (paused.Summary.State, paused.Summary.CompletedRounds));
        await federation.RestartCoordinatorAsync();
        Assert.Equal("paused", (await federation.ShowAsync(secure)).Summary.State);
        await federation.Operator.ResumeRunsAsync(new ResumeRunsRequest { RunId = secure });
        await federation.WaitForAsync(secure, "completed");
        await stop.CancelAsync();
        await Task.WhenAll(nodes).ContinueWith(_ => { }, CancellationToken.None, TaskContinuationOptions.None, TaskScheduler.Default);
        foreach (RecordingLearner learner in learners)
        {
            Assert.Equal([(secure, 1, 0.1), (secure, 2, 0.1), (secure, 3, 0.5)], learner.Trained.Where(one => one.Run == secure));
            Assert.Equal([(clear, 1, 0.1), (clear, 2, 0.1), (clear, 3, 0.1)], learner.Trained.Where(one => one.Run == clear));
        }

        Assert.All((await federation.ShowAsync(secure)).Rounds, round => Assert.Equal("completed", round.State));
    }

    [Fact] // its first update starts from a model that the others have left behind, and moves the model all the same
    public async Task Run_Asynchronous_TakesTheSlowSitesUpdateLater()
    {
        await using TestFederation federation = await TestFederation.StartAsync();
        using var slow = new GatedLearner(new WeightyLearner(1, 5), heldRound: 1);
        List<Task<NodeOutcome>> nodes = [];
        foreach (string site in s_sites)
        {
            await federation.EnrollAsync(site);
            nodes.Add(federation.RunNodeAsync(site, site == "a" ? slow : new WeightyLearner(0.5f, 10)));
        }

        string run = await federation.SubmitAsync(OneVector.Spec(rounds: 40, least: 2) + "\nstrategy: { kind: fedbuff, buffer: 3, maxStaleness: 50 }", "", OneVector.Initial(4));
        await slow.Started;
        await federation.WaitForAsync(run, "model", happened => happened.Round == 2);
        slow.Release();
        await Task.WhenAll(nodes);
        Assert.Contains("from the model of round 1", (await federation.WaitForAsync(run, "contributed", happened => happened.Site == "a")).Message, StringComparison.Ordinal);
        Assert.Equal(("completed", 40U), ((await federation.ShowAsync(run)).Summary.State, (await federation.ShowAsync(run)).Summary.CompletedRounds));
    }

    /// <summary>Notes what it trains and with which learning rate; holds its first run's round until it is released.</summary>
    private sealed class RecordingLearner(int heldRound) : ILocalLearner
    {
        private readonly WeightyLearner _inner = new(0.5f, 7);
        private readonly TaskCompletionSource _started = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private readonly ManualResetEventSlim _gate = new();

        public ConcurrentQueue<(string Run, int Round, double LearningRate)> Trained { get; } = [];

        public Task Started => _started.Task;

        public void Release() => _gate.Set();

        public IReadOnlyList<string> Check(LearningTask task, ModelState initial) => [];

        public TrainingResult Train(LearningTask task, int round, ModelState start, CancellationToken cancellationToken)
        {
            Trained.Enqueue((task.RunId, round, task.Spec.Local.Optimizer.LearningRate));
            if (round == heldRound)
            {
                _started.TrySetResult();
                _gate.Wait(cancellationToken);
            }

            return _inner.Train(task, round, start, cancellationToken);
        }

        public EvaluationSums Evaluate(LearningTask task, ModelState model, CancellationToken cancellationToken) => _inner.Evaluate(task, model, cancellationToken);

        public void Dispose()
        {
            _inner.Dispose();
            _gate.Dispose();
        }
    }
}
