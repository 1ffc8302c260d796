using Federation.Protocol;
using Federation.Server.Storage;
using Federation.V1;
using NodeRole = Federation.Formats.Configuration.NodeRole;

namespace Federation.Server.Runs;

/// <summary>What a site should do next, read off the runs' states. A task not finished is found again, so nothing needs to be remembered about who was told what.</summary>
public sealed class RunTasks(RunRegistry runs, RunContext context)
{
    // An evaluator that cannot evaluate a model is not asked for it again while this process lives.
    private readonly HashSet<(string Run, int Round, string Site)> _givenUp = [];
    // Known for good; asked of the store once, or every poll would ask it of every run that ever was.
    private readonly HashSet<(string Run, string Site)> _told = [];
    private readonly Lock _lock = new();

    /// <summary>The task, or null where there is nothing to do. Of several runs' rounds the one that has been open longest comes first, so a site that serves them one after the other gives each its turn; what takes a moment and keeps others waiting comes before all of them.</summary>
    public NodeTask? Next(string site, NodeRole role)
    {
        Due? first = null;
        foreach (RunHost run in runs.All)
        {
            Due? due = role == NodeRole.Evaluator ? ForEvaluator(run, site) : ForTrainer(run, site);
            if (due is not null && (first is null || due.Since < first.Since)) first = due;
        }

        return first?.Task();
    }

    public void GiveUp(string run, int round, string site)
    {
        lock (_lock) _givenUp.Add((run, round, site));
    }

    public static RunDescription Describe(RunHost run) => new() { RunId = run.Id, SpecYaml = run.Record.SpecYaml, SchemaYaml = run.Record.SchemaYaml, Submission = run.State.Submission?.ToMessage() };

    private Due? ForTrainer(RunHost run, string site)
    {
        RunState state = run.State;
        if (!state.IsOver && run.Secure?.TaskFor(site) is { } member) return Due.Now(member); // members need not be sites that the run asks
        if (!state.Sites.TryGetValue(site, out RunSite? standing)) return null;
        if (state.Phase is Ended ended) return WasTold(run.Id, site) ? null : Due.Now(End(run, ended));
        if (standing.Standing == SiteStanding.Checking) return Due.Now(new NodeTask { CheckData = new CheckData { Run = Describe(run), ModelSha256 = state.ModelSha256 } });
        if (state.Phase is Evaluating evaluating && evaluating.Pending.Contains(site))
        {
            return new Due(evaluating.Deadline - state.Plan.Deadline, () =>
            {
                NodeTask task = Evaluate(run, state.Round, state.ModelSha256);
                if (evaluating.Encrypted is not null) task.Evaluate.Secure = run.Secure!.Describe(state, Privacy.SecureAggregation.Opening.Evaluation);
                return task;
            });
        }

        if (state.Phase is RoundOpen { Rests: false } open && open.Cohort.Contains(site) && !open.Contributions.ContainsKey(site) && !open.Failed.Contains(site))
        {
            return new Due(open.OpenedAt, () => new NodeTask { Train = new Train { RunId = run.Id, Round = (uint)state.Round, ModelSha256 = state.ModelSha256, DeadlineUnixMs = open.Deadline.ToUnixTimeMilliseconds(), Secure = run.Secure?.Describe(state, run.Secure.PurposeOf(state)), CountedSha256 = ControlRules.CountedOf(state, site), Model = run.SmallModel(state.ModelSha256) } });
        }

        return null;
    }

    private Due? ForEvaluator(RunHost run, string site)
    {
        if (WasTold(run.Id, site)) return null;
        string? dataId = run.Schema?.Name;
        if (dataId is not null && context.Store.FindSite(site)?.DataIds.Contains(dataId) != true) return null;
        HashSet<int> done = [.. context.Store.Evaluations(run.Id).Where(evaluation => evaluation.Source == site).Select(evaluation => evaluation.Round)];
        foreach (ModelRecord model in context.Store.Models(run.Id))
        {
            bool givenUp;
            lock (_lock) givenUp = _givenUp.Contains((run.Id, model.Round, site));
            if (!givenUp && !done.Contains(model.Round) && context.Blobs.Has(model.Sha256)) return new Due(model.CreatedAt, () => Evaluate(run, model.Round, model.Sha256));
        }

        return run.State.Phase is Ended ended ? Due.Now(End(run, ended)) : null;
    }

    private bool WasTold(string run, string site)
    {
        lock (_lock)
        {
            if (_told.Contains((run, site))) return true;
        }

        if (!context.Store.WasTold(run, site)) return false;
        lock (_lock) _told.Add((run, site));
        return true;
    }

    private static NodeTask Evaluate(RunHost run, int round, string model) => new() { Evaluate = new Evaluate { Run = Describe(run), Round = (uint)round, ModelSha256 = model } };

    private static NodeTask End(RunHost run, Ended ended) => new()
    {
        RunEnded = new RunEnded { RunId = run.Id, State = run.State.PhaseName, ModelSha256 = run.State.Plan.Statistics ? "" : run.State.ModelSha256, StatisticsSha256 = run.State.StatisticsSha256, Rounds = (uint)run.State.CompletedRounds, LastRound = (uint)run.State.Round, Reason = ended.Reason },
    };

    /// <param name="Since">When it became due.</param>
    private sealed record Due(DateTimeOffset Since, Func<NodeTask> Task)
    {
        public static Due Now(NodeTask task) => new(DateTimeOffset.MinValue, () => task);
    }
}
