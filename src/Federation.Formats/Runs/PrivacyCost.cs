using Federation.Formats.Data;
using Federation.Formats.Evaluation;
using Federation.Formats.Statistics;
using Federation.Privacy.Accounting;
using Federation.Privacy.Mechanisms;

namespace Federation.Formats.Runs;

/// <summary>What a run's releases cost each privacy unit of a site, under AddOrRemoveOne. Follows from the spec and the model's size; site, operator and auditor compute the same.</summary>
public static class PrivacyCost
{
    /// <summary>A round's update, as a site's ledger is charged, which is about records or persons. With a site as the unit a record can make its whole update another one: that moves the sum by 2C.</summary>
    /// <param name="values">Of the model.</param>
    /// <param name="cohort">Sites that may contribute; bears on the grid of shared noise.</param>
    /// <param name="outside">Against those who contribute nothing themselves: the coordinator, and whoever sees the model; else against <see cref="PrivacySpec.MaxColluding"/> contributors who pool what they know. With noise of one's own both are everybody; with the coordinator's both are everybody but the coordinator.</param>
    public static PrivacyEvent OfRound(RunSpec run, int values, int cohort, bool outside = false) => run.Privacy switch
    {
        null => new NonPrivateEvent(),
        { Unit: DpUnit.Site } => OfSite(run, values, cohort, outside, moves: 2),
        { Noise: NoiseSource.Shared } privacy => SecureEncoding.Of(run, values, cohort).Event(NoisySites(run, outside), new SamplingRate(privacy.SamplingRate)),
        var privacy => new RepeatedEvent(OwnStep(run, privacy, values), privacy.Steps),
    };

    /// <summary>An evaluation's sums.</summary>
    public static PrivacyEvent OfEvaluation(RunSpec run, bool outside) => run.Privacy is null ? new NonPrivateEvent() : NoisyEvaluation.NoiseOf(run).Event(NoisySites(run, outside));

    /// <summary>The sums of a table.</summary>
    public static PrivacyEvent OfStatistics(RunSpec run, DataSchema schema, bool outside) => run.Privacy is null ? new NonPrivateEvent() : StatisticsQuery.Of(run, schema).NoiseOf(run).Event(NoisySites(run, outside));

    /// <summary>All releases of a run's first rounds.</summary>
    /// <param name="schema">Null for a run of one's own model.</param>
    /// <param name="outside">Against those who contribute nothing themselves.</param>
    public static IReadOnlyList<PrivacyEvent> OfRun(RunSpec run, DataSchema? schema, int values, int cohort, int rounds, bool outside)
    {
        if (run.Statistics is not null) return [OfStatistics(run, schema!, outside)];
        PrivacyEvent updates = new RepeatedEvent(OfRound(run, values, cohort, outside), rounds);
        long evaluations = run.Evaluate is null ? 0 : EvaluateSpec.Evaluations(run.Evaluate.Every, rounds, run.Rounds);
        return evaluations == 0 ? [updates] : [updates, new RepeatedEvent(OfEvaluation(run, outside), evaluations)];
    }

    /// <summary>A run's first rounds for its own unit, which its maxEpsilon is about: of a site, whether its update is in the sum.</summary>
    public static IReadOnlyList<PrivacyEvent> OfUnit(RunSpec run, DataSchema? schema, int values, int cohort, int rounds, bool outside) =>
        run.Privacy is { Unit: DpUnit.Site } ? [new RepeatedEvent(OfSite(run, values, cohort, outside, moves: 1), rounds)] : OfRun(run, schema, values, cohort, rounds, outside);

    /// <summary>ε at δ.</summary>
    public static double Epsilon(IReadOnlyList<PrivacyEvent> events, double delta) => new PldAccountant().AtDelta(events, delta, NeighboringRelation.AddOrRemoveOne).Epsilon;

    private static PrivacyEvent OfSite(RunSpec run, int values, int cohort, bool outside, int moves) => run.Privacy!.IsCentral ? CentralNoise.Event(run, values, moves) : SecureEncoding.Of(run, values, cohort).Event(NoisySites(run, outside), new SamplingRate(1), moves);

    // Whose noise counts: with one's own, each site's alone.
    private static int NoisySites(RunSpec run, bool outside) => run.Privacy!.NoisySites(run.Cohort.MinContributors) + (outside ? run.Privacy.MaxColluding : 0);

    private static PrivacyEvent OwnStep(RunSpec run, PrivacySpec privacy, int values)
    {
        using SecureRandom random = new();
        double sensitivity = privacy.Clip * (1 + PrivacySpec.NormRounding);
        return new GridGaussian(run.Sigma / (1 + PrivacySpec.NormRounding) * sensitivity, sensitivity, values, random).Sampled(new SamplingRate(privacy.SamplingRate));
    }
}
