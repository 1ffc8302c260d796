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
    private readonly Lock _lock = new();

    /// <summary>The task, or null where there is nothing to do.</summary>
    public NodeTask? Next(string site, NodeRole role)
    {
        foreach (RunHost run in runs.All)
        {
            NodeTask? task = role == NodeRole.Evaluator ? ForEvaluator(run, site) : ForTrainer(run, site);
            if (task is not null) return task;
        }

        return null;
    }

    public void GiveUp(string run, int round, string site)
    {
        lock (_lock) _givenUp.Add((run, round, site));
    }

    public static RunDescription Describe(RunHost run) => new() { RunId = run.Id, SpecYaml = run.Record.SpecYaml, SchemaYaml = run.Record.SchemaYaml, Submission = run.State.Submission?.ToMessage() };

    private NodeTask? ForTrainer(RunHost run, string site)
    {
        RunState state = run.State;
        if (!state.IsOver && run.Secure?.TaskFor(site) is { } member) return member; // members need not be sites that the run asks
        if (!state.Sites.TryGetValue(site, out RunSite? standing)) return null;
        if (state.Phase is Ended ended) return context.Store.WasTold(run.Id, site) ? null : End(run, ended);
        if (standing.Standing == SiteStanding.Checking) return new NodeTask { CheckData = new CheckData { Run = Describe(run), ModelSha256 = state.ModelSha256 } };
        if (state.Phase is Evaluating evaluating && evaluating.Pending.Contains(site))
        {
            NodeTask task = Evaluate(run, state.Round, state.ModelSha256);
            if (evaluating.Encrypted is not null) task.Evaluate.Secure = run.Secure!.Describe(state, Privacy.SecureAggregation.Opening.Evaluation);
            return task;
        }

        if (state.Phase is RoundOpen open && open.Cohort.Contains(site) && !open.Contributions.ContainsKey(site) && !open.Failed.Contains(site))
        {
            return new NodeTask { Train = new Train { RunId = run.Id, Round = (uint)state.Round, ModelSha256 = state.ModelSha256, DeadlineUnixMs = open.Deadline.ToUnixTimeMilliseconds(), Secure = run.Secure?.Describe(state, run.Secure.PurposeOf(state)) } };
        }

        return null;
    }

    private NodeTask? ForEvaluator(RunHost run, string site)
    {
        if (context.Store.WasTold(run.Id, site)) return null;
        string? dataId = run.Schema?.Name;
        if (dataId is not null && context.Store.FindSite(site)?.DataIds.Contains(dataId) != true) return null;
        HashSet<int> done = [.. context.Store.Evaluations(run.Id).Where(evaluation => evaluation.Source == site).Select(evaluation => evaluation.Round)];
        foreach (ModelRecord model in context.Store.Models(run.Id))
        {
            bool givenUp;
            lock (_lock) givenUp = _givenUp.Contains((run.Id, model.Round, site));
            if (!givenUp && !done.Contains(model.Round) && context.Blobs.Has(model.Sha256)) return Evaluate(run, model.Round, model.Sha256);
        }

        return run.State.Phase is Ended ended ? End(run, ended) : null;
    }

    private static NodeTask Evaluate(RunHost run, int round, string model) => new() { Evaluate = new Evaluate { Run = Describe(run), Round = (uint)round, ModelSha256 = model } };

    private static NodeTask End(RunHost run, Ended ended) => new()
    {
        RunEnded = new RunEnded { RunId = run.Id, State = run.State.PhaseName, ModelSha256 = run.State.Plan.Statistics ? "" : run.State.ModelSha256, StatisticsSha256 = run.State.StatisticsSha256, Rounds = (uint)run.State.CompletedRounds, Reason = ended.Reason },
    };
}
