using Federation.Formats;
using Federation.Formats.Runs;
using Federation.Privacy.Accounting;
using Federation.Privacy.SecureAggregation;

namespace Federation.Learning.Auditing;

/// <summary>What the accountant claims of a run's training at one site, over all rounds and under AddOrRemoveOne; evaluations and statistics are other releases. With shared noise against as many colluding contributors as the spec allows for.</summary>
public sealed class PrivacyClaim
{
    private PrivacyClaim(double epsilon, double delta, double attackSuccess) => (Epsilon, Delta, AttackSuccess) = (epsilon, delta, attackSuccess);

    /// <summary>ε at <see cref="Delta"/>: the upper bound that the ledger keeps.</summary>
    public double Epsilon { get; }

    public double Delta { get; }

    /// <summary>How often an attacker at best is right who thinks a record's presence as likely as its absence: (1 + δ(0))/2, by the same accountant.</summary>
    public double AttackSuccess { get; }

    /// <exception cref="InvalidInputException">The run claims nothing.</exception>
    internal static PrivacySpec Claimed(RunSpec run) => run.Privacy switch
    {
        null => throw new InvalidInputException(new Problem("The run has no differential privacy: there is no claim to audit.", Field: "privacy", Repair: "Write privacy: { … } into the spec.")),
        { InsecureSeededNoise: true } => throw new InvalidInputException(new Problem("The run's noise follows from its seed and protects nobody: there is no claim to audit.", Field: "privacy.insecureSeededNoise", Repair: "Remove it.")),
        var privacy => privacy,
    };

    /// <param name="values">Of the model.</param>
    /// <param name="more">Values that an audit adds to it; they bear on the noise's grid, by some 10⁻⁴ of ε.</param>
    /// <exception cref="InvalidInputException">The run claims nothing, or nothing that this version can audit.</exception>
    internal static PrivacyClaim Of(RunSpec run, int values, int more)
    {
        PrivacySpec privacy = Claimed(run);
        if (privacy.Unit != DpUnit.Record) throw new InvalidInputException(new Problem($"The run's privacy unit is a {privacy.UnitName}; canaries are single records.", Field: "privacy.unit", Repair: "Write unit: record."));
        if (privacy.Noise == NoiseSource.Shared && SecureEncoding.IsDirect(values) != SecureEncoding.IsDirect(values + more))
        {
            throw new InvalidInputException(new Problem($"With {more} canaries the model would be encoded in another way than its {values} values are.", Field: "privacy.noise", Repair: $"At most {UpdateEncoding.MostDirectValues - 1 - values} canaries are right."));
        }

        int cohort = run.Cohort.MinContributors;
        try
        {
            return Of(run, privacy, values, more, cohort);
        }
        catch (UpdateLayoutException error)
        {
            throw NotEncoded(run, values + more, cohort, error.Reason);
        }
    }

    private static PrivacyClaim Of(RunSpec run, PrivacySpec privacy, int values, int more, int cohort)
    {
        double epsilon = PrivacyCost.Epsilon([new RepeatedEvent(PrivacyCost.OfRound(run, values, cohort), run.Rounds)], privacy.Delta);
        PrivacyEvent[] events = [new RepeatedEvent(PrivacyCost.OfRound(run, values + more, cohort), run.Rounds)];
        return new(epsilon, privacy.Delta, TradeOff.Of(new PldAccountant(), events, NeighboringRelation.AddOrRemoveOne, []).AttackSuccess);
    }

    /// <summary>A small model has a fixed number of bits: there, as where no number fits, its noise is too fine for a sum over so many sites.</summary>
    private static InvalidInputException NotEncoded(RunSpec run, int values, int cohort, string why) => new(SecureEncoding.FittingBits(run, values, cohort) is [var least, .., var most]
        ? new Problem($"{(run.SecureAggregation!.Bits is { } bits ? $"{bits} bits do" : "The usual number of bits does")} not carry the {values} values of the model in a sum over {cohort} sites: {why}", Field: "secureAggregation.bits", Repair: $"{least} to {most} are right here.")
        : new Problem($"No number of bits carries the {values} values of the model with this noise in a sum over {cohort} sites: {why}", Field: "privacy.noiseMultiplier", Repair: "A larger one is right, or fewer sites in cohort.minContributors."));
}
