using Federation.Privacy.Accounting;
using Federation.Privacy.Mechanisms;

namespace Federation.Formats.Runs;

/// <summary>What a round's update costs each privacy unit of a site, under AddOrRemoveOne. Follows from the spec and the model's size; site, operator and auditor compute the same.</summary>
public static class PrivacyCost
{
    /// <param name="values">Of the model.</param>
    /// <param name="cohort">Sites that may contribute; bears on the grid of shared noise.</param>
    /// <returns>Against <see cref="PrivacySpec.MaxColluding"/> contributors who pool what they know; with noise of one's own, against everybody.</returns>
    public static PrivacyEvent OfRound(RunSpec run, int values, int cohort) => run.Privacy switch
    {
        null => new NonPrivateEvent(),
        { Noise: NoiseSource.Shared } privacy => Shared(run, privacy, values, cohort, privacy.MaxColluding),
        var privacy => new RepeatedEvent(OwnStep(run, privacy, values), privacy.Steps),
    };

    /// <summary>The same against those who contribute nothing themselves: the coordinator, and whoever sees the model.</summary>
    public static PrivacyEvent OfRoundOutside(RunSpec run, int values, int cohort) =>
        run.Privacy is { Noise: NoiseSource.Shared } privacy ? Shared(run, privacy, values, cohort, colluding: 0) : OfRound(run, values, cohort);

    /// <summary>ε at δ of a run's rounds.</summary>
    public static double Epsilon(PrivacyEvent round, int rounds, double delta) =>
        new PldAccountant().AtDelta([new RepeatedEvent(round, rounds)], delta, NeighboringRelation.AddOrRemoveOne).Epsilon;

    private static PrivacyEvent Shared(RunSpec run, PrivacySpec privacy, int values, int cohort, int colluding) =>
        SecureEncoding.Of(run, values, cohort).Event(run.Cohort.MinContributors - colluding, new SamplingRate(privacy.SamplingRate));

    private static PrivacyEvent OwnStep(RunSpec run, PrivacySpec privacy, int values)
    {
        using SecureRandom random = new();
        double sensitivity = privacy.Clip * (1 + PrivacySpec.NormRounding);
        return new GridGaussian(privacy.Sigma(run.Rounds) / (1 + PrivacySpec.NormRounding) * sensitivity, sensitivity, values, random).Sampled(new SamplingRate(privacy.SamplingRate));
    }
}
