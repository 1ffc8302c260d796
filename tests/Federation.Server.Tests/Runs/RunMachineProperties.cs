using System.Text.Json;
using CsCheck;
using Federation.Formats.Evaluation;
using Federation.Formats.Runs;
using Federation.Server.Runs;

namespace Federation.Server.Tests.Runs;

/// <summary>Whatever happens in whatever order, the rules hold. Thousands of random runs.</summary>
public sealed class RunMachineProperties
{
    private static readonly string[] Sites = ["a", "b", "c", "d", "e"];

    private static readonly Dictionary<string, IReadOnlyDictionary<string, string>> s_halves = Sites.ToDictionary(site => site, IReadOnlyDictionary<string, string> (site) => new Dictionary<string, string> { ["half"] = site is "a" or "b" or "c" ? "first" : "second" });

    /// <summary>One thing that happens; numbers are read against the state at that moment, so that most events make sense and some do not.</summary>
    private readonly record struct Step(int What, int Site, int Number, int Seconds, int Trainers, int Live);

    private static readonly Gen<Step> Steps = Gen.Select(Gen.Int[0, 19], Gen.Int[0, 4], Gen.Int[0, 9], Gen.Frequency((8, Gen.Const(0)), (3, Gen.Int[1, 30]), (1, Gen.Int[60, 130])), Gen.Int[0, 31], Gen.Int[0, 31])
        .Select((what, site, number, seconds, trainers, live) => new Step(what, site, number, seconds, trainers, live));

    private static readonly Gen<(RunPlan Plan, Step[] Steps)> Runs = Gen.Select(Gen.Int[1, 4], Gen.Int[1, 4], Gen.Int[0, 3], Gen.Bool, Gen.Int[0, 7], Steps.Array[1, 120]).Select((rounds, least, every, named, more, steps) =>
        (new RunPlan(rounds, least, TimeSpan.FromSeconds(60), named ? ["a", "b", "c", "d"] : null, every == 0 ? null : every)
        {
            Draw = more switch { 0 => new DrawSpec(least, null), 1 => new DrawSpec(least, null, 1.5), 2 => new DrawSpec(null, 0.3, 1.3), _ => null },
            Seed = (ulong)steps.Length,
            Labels = more == 3 && !named ? new Dictionary<string, string> { ["half"] = "first" } : null,
            Stop = more == 4 && every > 0 ? new StopSpec("accuracy", 1, 0, null) : null,
        }, steps));

    [Fact]
    public void AnySequence_OfEvents_KeepsTheRules() => Runs.Sample(
        run =>
        {
            RunState state = RunState.Submitted(run.Plan, Scenario.Initial, Scenario.Start, new(Scenario.Initial, [1], null, []));
            DateTimeOffset now = Scenario.Start;
            var counted = new Dictionary<(int Round, string Site), Contribution>();
            foreach (Step step in run.Steps)
            {
                now += TimeSpan.FromSeconds(step.Seconds);
                Roster roster = RosterOf(step);
                RunEvent happened = EventOf(step, state);
                Transition transition = RunMachine.Apply(state, happened, roster, now);
                Check(state, happened, transition, counted);
                state = transition.State;
                // What needs only time was done at once: looking again changes nothing.
                if (transition.Refused is null && !transition.Duplicate) Assert.Same(state, RunMachine.Apply(state, new Tick(), roster, now).State);
            }
        },
        iter: 5000);

    [Fact]
    public void AnySequence_ReplayedFromTheStoredStates_GivesTheSameStates() => Runs.Sample(
        run =>
        {
            RunState state = RunState.Submitted(run.Plan, Scenario.Initial, Scenario.Start, new(Scenario.Initial, [1], null, []));
            RunState restored = state;
            DateTimeOffset now = Scenario.Start;
            foreach (Step step in run.Steps)
            {
                now += TimeSpan.FromSeconds(step.Seconds);
                RunEvent happened = EventOf(step, state);
                state = RunMachine.Apply(state, happened, RosterOf(step), now).State;
                string stored = JsonSerializer.Serialize(RunMachine.Apply(restored, happened, RosterOf(step), now).State);
                Assert.Equal(JsonSerializer.Serialize(state), stored);
                restored = JsonSerializer.Deserialize<RunState>(stored)!; // as after a crash between any two events
            }
        },
        iter: 1000);

    /// <summary>Some of the random runs must get somewhere, or the rules above are checked on nothing.</summary>
    [Fact]
    public void RandomSequences_Together_ReachEveryPhase()
    {
        var phases = new System.Collections.Concurrent.ConcurrentDictionary<string, int>();
        Runs.Sample(
            run =>
            {
                RunState state = RunState.Submitted(run.Plan, Scenario.Initial, Scenario.Start, new(Scenario.Initial, [1], null, []));
                DateTimeOffset now = Scenario.Start;
                foreach (Step step in run.Steps)
                {
                    now += TimeSpan.FromSeconds(step.Seconds);
                    state = RunMachine.Apply(state, EventOf(step, state), RosterOf(step), now).State;
                    phases.AddOrUpdate(state.PhaseName, 1, (_, count) => count + 1);
                }
            },
            iter: 2000);
        Assert.Equal(["aggregating", "cancelled", "completed", "evaluating", "failed", "paused", "pausing", "preparing", "training", "waiting"], phases.Keys.Order(StringComparer.Ordinal));
    }

    private static void Check(RunState before, RunEvent happened, Transition transition, Dictionary<(int Round, string Site), Contribution> counted)
    {
        RunState after = transition.State;
        if (transition.Refused is not null || transition.Duplicate)
        {
            Assert.Same(before, after);
            Assert.Empty(transition.Effects);
            if (transition.Refused is not null) Assert.NotEmpty(transition.Reason);
        }

        if (before.IsOver) Assert.Same(before, after);
        if (happened is UpdateArrived arrived && transition.Refused is null && !transition.Duplicate)
        {
            Assert.Equal(before.ModelSha256, arrived.ModelSha256);
            Assert.True(counted.TryAdd((arrived.Round, arrived.Site), arrived.Contribution), "one site's update was counted twice");
        }

        foreach (Aggregate sum in transition.Effects.OfType<Aggregate>())
        {
            Assert.True(sum.Contributions.Count >= after.Plan.MinContributors);
            Assert.Equal(counted.Where(one => one.Key.Round == sum.Round).OrderBy(one => one.Key.Site, StringComparer.Ordinal).Select(one => (one.Key.Site, one.Value)), sum.Contributions.Select(one => (one.Key, one.Value)));
        }

        Assert.InRange(after.CompletedRounds, before.CompletedRounds, before.CompletedRounds + (happened is Aggregated ? 1 : 0));
        Assert.InRange(after.CompletedRounds, 0, after.Plan.Rounds);
        Assert.InRange(after.Round, before.Round, before.Round + (after.Paused is null ? 1 : 0));
        if (after.ModelSha256 != before.ModelSha256) Assert.IsType<Aggregated>(happened);
        if (after.Phase is RoundOpen open)
        {
            Assert.True(open.Cohort.Count >= after.Plan.MinContributors);
            Assert.True(open.Wanted is null || (open.Wanted >= after.Plan.MinContributors && open.Wanted < open.Cohort.Count && open.Contributions.Count < open.Wanted));
            if (after.Plan.Draw is { Count: { } count, OverSelect: 1 }) Assert.True(open.Cohort.Count <= count);
            if (after.Plan.Labels is not null && before.Phase is not RoundOpen) Assert.True(open.Cohort.All(site => site is "a" or "b" or "c"));
            Assert.True(open.Contributions.Keys.All(open.Cohort.Contains) && open.Failed.All(open.Cohort.Contains) && !open.Failed.Overlaps(open.Contributions.Keys));
        }

        if (after.Phase is Ended { How: RunEnd.Completed, Reason: "" }) Assert.Equal(after.Plan.Rounds, after.CompletedRounds);
        if (after.Phase is Ended { How: RunEnd.Completed, Reason: not "" }) Assert.NotNull(after.Plan.Stop);
        if (after.Plan.Sites is { } named) Assert.True(after.Sites.Keys.All(named.Contains));
    }

    private static Roster RosterOf(Step step)
    {
        // Mostly everybody is there; a bit mask decides otherwise.
        HashSet<string> trainers = [.. Sites.Where((_, i) => step.What < 17 || (step.Trainers >> i & 1) == 1)];
        return new Roster(trainers, trainers.Where(site => step.What < 15 || (step.Live >> Array.IndexOf(Sites, site) & 1) == 1).ToHashSet(), Labels: s_halves);
    }

    private static RunEvent EventOf(Step step, RunState state)
    {
        string site = Sites[step.Site];
        int round = step.Number switch { 0 => state.Round - 1, 1 => state.Round + 1, _ => state.Round };
        return step.What switch
        {
            0 or 1 or 2 => new SiteAnswered(site, step.Number is 0 or 1 ? ["no such column"] : [], AwaitsApproval: step.Number == 1),
            3 => new SiteJoined(site),
            4 => new SiteFailed(site, step.Number is 2 or 3 ? 0 : round, "out of memory", AwaitsApproval: step.Number is 3 or 4 or 5),
            5 or 6 or 7 or 8 or 9 => new UpdateArrived(site, round, step.Number == 9 ? Scenario.Model(99) : state.ModelSha256, new Contribution(step.Number < 7 ? "one" : "other", (ulong)step.Number + 1)),
            10 or 11 => new Aggregated(round, Scenario.Model(state.Round)),
            12 or 13 => new EvaluationArrived(site, round, new EvaluationSums { Examples = (ulong)step.Number, Correct = 0, LogLossSum = 0.5, BrierSum = 0.25 }),
            14 when step is { Number: 9, Site: 4 } => new CancelRequested(),
            14 when step is { Number: 8, Site: 4 } => new AggregationFailed(round, "disk"),
            14 when step is { Number: 7, Site: 4 } => new AggregationFailed(round, "no model", IsOfUpdates: true),
            14 when step.Number is 6 or 7 => new SiteRevoked(site),
            14 when step.Number is 4 or 5 => new ApprovalSigned(new([(byte)step.Site], [])),
            18 when step.Number == 0 => new PauseRequested(step.Site < 2 ? Pause.ByName : Pause.WithAll),
            19 when step.Number < 4 => new ResumeRequested(WithAll: step.Number == 3),
            _ => new Tick(),
        };
    }
}
