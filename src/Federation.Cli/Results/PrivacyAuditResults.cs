using System.Text.Json.Serialization;
using Federation.Formats.Runs;
using Federation.Learning.Auditing;
using Federation.Privacy.Accounting;
using Federation.Privacy.Auditing;
using Federation.Privacy.Ledger;

namespace Federation.Cli.Results;

/// <param name="UpperBound">The accountant's ε at δ over all rounds of training.</param>
/// <param name="MaxColluding">With shared noise: contributors that the upper bound holds against.</param>
/// <param name="LowerBound">The largest of the attacks'.</param>
/// <param name="Holds">False: the claim is refuted.</param>
internal sealed record PrivacyAuditResult(
    string Run, string Data, int TrainRows, int Rounds, string Unit, string Relation, string Noise, int MaxColluding, double Delta, double Confidence, string Accountant, double UpperBound, double LowerBound, bool Holds, IReadOnlyList<AuditAttack> Attacks, string Shows)
{
    public static PrivacyAuditResult Of(RunSpec spec, string data, int rows, double confidence, CanaryAudit? oneRun, MembershipAudit? lira)
    {
        PrivacySpec privacy = spec.Privacy!;
        PrivacyClaim claim = oneRun?.Claim ?? lira!.Claim;
        List<AuditAttack> attacks = [];
        if (oneRun is { Bound: { Guesses: var guesses } bound })
        {
            attacks.Add(new("one-run", 1, bound.Epsilon, oneRun.Holds) { Canaries = guesses.Canaries, Guesses = guesses.Guesses, Correct = guesses.Correct, CorrectOfAll = oneRun.Guesses.Correct, ExpectedOfAll = claim.AttackSuccess * guesses.Canaries, PValue = oneRun.PValue, AsDocumented = oneRun.IsAsDocumented, GaussianEpsilon = oneRun.GaussianEpsilon });
        }

        if (lira is { Bound: var rates }) attacks.Add(new("lira", lira.Runs, rates.Epsilon, lira.Holds) { TruePositiveRate = rates.TruePositiveRate, FalsePositiveRate = rates.FalsePositiveRate });
        bool holds = attacks.All(attack => attack.Holds);
        return new(
            spec.Name, data, rows, spec.Rounds, LedgerNames.Of(PrivacyUnit.Record), LedgerNames.Of(NeighboringRelation.AddOrRemoveOne), privacy.Noise == NoiseSource.Shared ? "shared" : "own", privacy.Noise == NoiseSource.Shared ? privacy.MaxColluding : 0,
            claim.Delta, confidence, new PldAccountant().Name, claim.Epsilon, attacks.Max(attack => attack.LowerBound), holds, attacks, Sentence(holds));
    }

    private static string Sentence(bool holds) => holds
        ? "No attack did better than the accountant allows. That finds gross faults (no clipping, less noise than claimed, a wrong sampling rate); it is no proof of privacy, and says nothing of attacks that were not tried or of what is not training: evaluations, statistics, the machine itself."
        : "An attack did better than the accountant allows: at this confidence the mechanism is not what it claims to be.";
}

/// <param name="LowerBound">ε at δ is not below it, at the confidence given.</param>
internal sealed record AuditAttack(string Attack, int Runs, double LowerBound, bool Holds)
{
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Canaries { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Guesses { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? Correct { get; init; }

    /// <summary>A lower bound on ε if the trade-off curve is that of Gaussian noise.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? GaussianEpsilon { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public int? CorrectOfAll { get; init; }

    /// <summary>The most that can be expected under the claim.</summary>
    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? ExpectedOfAll { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? PValue { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public bool? AsDocumented { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? TruePositiveRate { get; init; }

    [JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)]
    public double? FalsePositiveRate { get; init; }
}
