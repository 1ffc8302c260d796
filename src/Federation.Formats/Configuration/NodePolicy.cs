using Federation.Formats.Runs;
using Federation.Privacy.Ledger;
using Federation.Privacy.SecureAggregation;

namespace Federation.Formats.Configuration;

/// <summary>What a site agrees to; it takes part in nothing weaker.</summary>
/// <param name="MinContributors">At least so many sites in every opened sum; 3 or more.</param>
/// <param name="MaxColluding">So many committee members may lie or come back with an old record.</param>
/// <param name="MaxOpenings">Of one key epoch.</param>
/// <param name="RosterSha256">The only roster that is accepted, as an administrator compared it; null: whatever the coordinator's CA says.</param>
/// <param name="RequireSecureAggregation">Whether runs without secure aggregation are refused; with a pinned roster they are in any case.</param>
/// <param name="AllowStatistics">Whether this site's rows may count in federated statistics.</param>
/// <param name="Runs">Names of runs; a trailing * stands for any end. Null: all.</param>
/// <param name="Models">Null: all.</param>
/// <param name="Columns">The only ones that a run may use, features and label; null: all.</param>
/// <param name="Privacy">What it asks of differential privacy; null: runs without it are taken part in, where no budget forbids it.</param>
/// <param name="Budget">Of every data set whose own entry names none.</param>
/// <param name="KeepSetsApart">Two opened sums of one run are over the same sites, or differ in at least the minimum of contributors.</param>
/// <param name="AllowInsecureSeededNoise">Whether runs are taken part in whose noise follows from their seed: experiments on records that need no protection.</param>
/// <param name="Approval">Whose signatures and which hashes a run needs; null: none.</param>
public sealed partial record NodePolicy(
    int MinContributors = CommitteePolicy.FewestContributors,
    int MaxColluding = 1,
    int MaxOpenings = 1000,
    string? RosterSha256 = null,
    bool RequireSecureAggregation = false,
    bool AllowStatistics = false,
    IReadOnlyList<string>? Runs = null,
    IReadOnlyList<ModelKind>? Models = null,
    IReadOnlyList<string>? Columns = null,
    PrivacyPolicy? Privacy = null,
    PrivacyBudget? Budget = null,
    bool KeepSetsApart = false,
    bool AllowInsecureSeededNoise = false,
    ApprovalPolicy? Approval = null)
{
    /// <summary>The row of the threat table that holds where nobody has pinned the roster.</summary>
    public const string Unpinned = "The roster comes from the coordinator's CA: secrecy holds against a coordinator that follows the protocol, not against one that invents sites.";

    /// <param name="openings">Of one key epoch by a run's own spec, where this site has agreed to it: the smaller number holds.</param>
    public CommitteePolicy ToCommittee(int? openings = null) => new(MinContributors, MaxColluding, Math.Min(MaxOpenings, openings ?? MaxOpenings)) { AreSetsApart = KeepSetsApart };

    /// <summary>Whether no roster is pinned, or this one.</summary>
    public bool Accepts(Roster roster) => RosterSha256 is null || RosterSha256 == roster.Hash;

    /// <exception cref="ProtocolException">The roster is not the pinned one.</exception>
    public void Require(Roster roster)
    {
        if (!Accepts(roster))
        {
            throw new ProtocolException(Refusal.WrongRoster, $"The coordinator's roster (version {roster.Version}, {roster.Sites.Count} sites) has the hash {roster.Hash}; this site's policy pins {RosterSha256}. If the change is meant, compare the new hash with the other sites (`fed roster show`) and take it with `fed roster accept`.");
        }
    }

    /// <summary>The row of the threat table that holds.</summary>
    public string Guarantee(Roster roster) => RosterSha256 == roster.Hash
        ? $"The roster is pinned: a coordinator that lies about sets, rounds, models or sites learns nothing but sums of at least {MinContributors} sites, per opening, as long as at most {MaxColluding} members lie or were restored and no contributor that colludes with it sends malformed ciphertexts."
        : Unpinned;
}

/// <summary>What a site asks of a run's differential privacy.</summary>
/// <param name="Unit">The least that is protected: where it is a person, runs that protect single records are refused.</param>
/// <param name="MinNoiseMultiplier">σ of each step, in clipping norms; 0: any.</param>
/// <param name="MaxEpsilon">Of one run over all its rounds, at its own δ; null: any. Of what the ledger is charged, unless <paramref name="Unit"/> is a site.</param>
/// <param name="MaxDelta">The run's δ; null: any.</param>
/// <param name="Noise">Whose noise it relies on.</param>
public sealed record PrivacyPolicy(DpUnit Unit = DpUnit.Record, double MinNoiseMultiplier = 0, double? MaxEpsilon = null, double? MaxDelta = null, TrustedNoise Noise = TrustedNoise.Any);

/// <summary>Whose noise a site relies on.</summary>
public enum TrustedNoise
{
    /// <summary>Its own alone.</summary>
    Own,

    /// <summary>Its own, or one that the sites share under secure aggregation.</summary>
    Any,

    /// <summary>These, and the coordinator's, which then sees this site's updates as they are.</summary>
    Central,
}
