using Federation.Formats.Data;
using Federation.Formats.Runs;
using static System.FormattableString;

namespace Federation.Formats.Configuration;

/// <summary>A run's spec held against a site's policy. What the run really costs is another question: a node refuses one that costs more than its spec says.</summary>
public static class PolicyCheck
{
    /// <param name="schema">Null for a run of one's own model.</param>
    /// <exception cref="Privacy.Accounting.UnreachableTargetException">The spec asks for a noise that no multiplier gives.</exception>
    /// <returns>Everything in which the run asks for less than the policy, one sentence each; empty: nothing.</returns>
    public static IReadOnlyList<string> Refusals(this NodePolicy policy, RunSpec spec, DataSchema? schema) =>
        [.. Named(policy, spec, schema), .. Secured(policy, spec), .. Trusted(policy, spec), .. policy.Privacy is { } asked ? Private(asked, spec) : []];

    private static IEnumerable<string> Named(NodePolicy policy, RunSpec spec, DataSchema? schema)
    {
        if (policy.Runs is { } runs && !runs.Any(pattern => Matches(pattern, spec.Name))) yield return $"The run is named '{spec.Name}'; this site's policy allows {Listing(runs)}.";
        if (spec.Statistics is null && policy.Models is { } models && !models.Contains(spec.Model.Kind)) yield return $"The run trains a model of kind {Name(spec.Model.Kind)}; this site's policy allows {Listing(models.Select(Name))}.";
        if (policy.Columns is not { } allowed) yield break;
        if (schema is null)
        {
            yield return "The run names no columns, because its model is a program of one's own; this site's policy allows only some.";
            yield break;
        }

        string[] beyond = [.. schema.Columns.Where(column => column.Kind != ColumnKind.Ignore && (spec.Statistics?.Columns?.Contains(column.Name) ?? true)).Select(column => column.Name).Except(allowed)];
        if (beyond.Length > 0) yield return $"The run uses {Listing(beyond)}, which this site's policy does not allow.";
    }

    private static IEnumerable<string> Secured(NodePolicy policy, RunSpec spec)
    {
        if (spec.SecureAggregation is not { } secure)
        {
            if (policy.RequireSecureAggregation || policy.RosterSha256 is not null) yield return "This site's policy asks for secure aggregation; the run has none.";
            yield break;
        }

        if (spec.Statistics is not null && !policy.AllowStatistics) yield return "This site's policy does not allow statistics of its records; 'statistics: allowed' in the policy of its node.yaml does.";
        int least = spec.Cohort.MinContributors;
        if (least < policy.MinContributors) yield return $"The run opens sums of {least} sites; this site's policy asks for {policy.MinContributors}.";
        if (secure.MaxOpenings > policy.MaxOpenings) yield return $"One key of the run opens {secure.MaxOpenings} sums; this site's policy allows {policy.MaxOpenings}.";
    }

    private static IEnumerable<string> Trusted(NodePolicy policy, RunSpec spec)
    {
        if (spec.Privacy is { IsCentral: true } && policy.Privacy?.Noise != TrustedNoise.Central)
        {
            yield return "The coordinator adds the run's noise, and sees this site's updates without any: against the coordinator there is no differential privacy. 'privacy: { noise: central }' in the policy of this site's node.yaml allows that.";
        }

        if (spec.Privacy is { InsecureSeededNoise: true } && !policy.AllowInsecureSeededNoise) yield return $"{Seeded}. For experiments on records that need no protection, 'insecureSeededNoise: allowed' in the policy of this site's node.yaml allows that.";
    }

    private const string Seeded = "The run's noise follows from its seed (insecureSeededNoise), and whoever knows that can take it off";

    private static IEnumerable<string> Private(PrivacyPolicy asked, RunSpec spec)
    {
        if (spec.Privacy is not { } privacy)
        {
            yield return "This site's policy asks for differential privacy; the run has none.";
            yield break;
        }

        if (privacy.InsecureSeededNoise) yield return $"{Seeded}; this site's policy asks for differential privacy.";
        if (privacy.Unit < asked.Unit) yield return $"The run protects {(privacy.Unit == DpUnit.Person ? "persons" : "single records")}; this site's policy asks that it protects a {asked.Unit.ToString().ToLowerInvariant()}.";
        // A record can turn a site's update from C one way to C the other: for records the noise counts half.
        double sigma = asked.MinNoiseMultiplier > 0 ? spec.Sigma * (privacy.Unit == DpUnit.Site && asked.Unit != DpUnit.Site ? 0.5 : 1) : double.PositiveInfinity;
        if (sigma < asked.MinNoiseMultiplier) yield return Invariant($"The run's noise multiplier {(sigma == spec.Sigma ? "is" : "for single records is")} {sigma}; this site's policy asks for {asked.MinNoiseMultiplier} or more.");
        if (spec.Evaluate?.NoiseMultiplier < asked.MinNoiseMultiplier) yield return Invariant($"The noise multiplier of the run's evaluations is {spec.Evaluate.NoiseMultiplier}; this site's policy asks for {asked.MinNoiseMultiplier} or more.");
        if (asked.MaxEpsilon is { } most && !(privacy.MaxEpsilon <= most)) yield return Invariant($"The run {(privacy.MaxEpsilon is { } own ? Invariant($"may cost each {privacy.UnitName} ε = {own}") : "names no maxEpsilon")}; this site's policy allows {most}.");
        if (privacy.Delta > asked.MaxDelta) yield return Invariant($"The run states its ε at δ = {privacy.Delta}; this site's policy allows {asked.MaxDelta} at most.");
        if (asked.Noise == TrustedNoise.Own && privacy.Noise == NoiseSource.Shared) yield return "The sites of the run share one noise, which protects only while enough of them keep their part to themselves; this site's policy asks for noise of one's own.";
    }

    private static bool Matches(string pattern, string name) => pattern.EndsWith('*') ? name.StartsWith(pattern[..^1], StringComparison.Ordinal) : name == pattern;

    private static string Name(ModelKind kind) => RunSpec.Models.Single(entry => entry.Value == kind).Key;

    private static string Listing(IEnumerable<string> names) => string.Join(", ", names.Select(name => $"'{name}'").DefaultIfEmpty("none"));
}
