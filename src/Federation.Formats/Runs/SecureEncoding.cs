using Federation.Privacy.Canonical;
using Federation.Privacy.SecureAggregation;

namespace Federation.Formats.Runs;

/// <summary>The encoding that a spec means for a model and a cohort. Coordinator and sites compute it by themselves; a site refuses any other.</summary>
public static class SecureEncoding
{
    private const int UsualBits = 20, MostTurns = 100;

    /// <summary>Whether a model of so many values, with its weight, travels in one key ciphertext; larger ones in the pad ring (hybrid).</summary>
    public static bool IsDirect(int values) => values < UpdateEncoding.MostDirectValues;

    /// <summary>With shared noise: room for the clipped gradients of so many times the batch that is expected; a site that samples more is scaled down.</summary>
    private const int Room = 64;

    /// <param name="values">Of an update (<see cref="UpdateShape.Values"/>).</param>
    /// <param name="cohort">Sites that may contribute.</param>
    /// <param name="siteClip">Site-level differential privacy: the whole vector's norm in this round; null: of the first.</param>
    /// <exception cref="UpdateLayoutException">The bits do not fit a sum over so many sites.</exception>
    public static UpdateEncoding Of(RunSpec run, int values, int cohort, double? siteClip = null)
    {
        SecureAggregationSpec spec = run.SecureAggregation ?? throw new ArgumentException("The run has no secure aggregation.", nameof(run));
        values += SiteClip.Votes(run.Privacy);
        UpdateLayout layout = IsDirect(values) ? UpdateLayout.ChooseDirect(UsualBits, cohort) : UpdateLayout.Choose(spec.Bits ?? UsualBits, cohort);
        if (run.Privacy is { Unit: DpUnit.Site } site) return OfSite(run, site, layout, values, siteClip ?? SiteClip.First(site));
        if (run.Privacy is { Noise: NoiseSource.Shared } privacy) return Shared(run, privacy, layout, values);
        // The weight is sent as the largest value that a coordinate may have, so grid and cut hold both.
        int weight = LargestWeight(run);
        double cut = spec.Cut * weight;
        return new(layout, values, cut * Math.Sqrt(values + 1.0), (float)spec.Cut, rotationSeed: null, cut, noiseVariance: 0, weight);
    }

    /// <summary>Fixes how a site's update is rounded in a round, so that a run repeats.</summary>
    /// <param name="model">SHA-256 of the model that the round starts from.</param>
    public static byte[] RoundingKey(RunSpec run, ulong round, string site, ReadOnlySpan<byte> model) => new CanonicalWriter("rounding").Field(run.Seed).Field(round).Field(site).Field(model).Hash();

    /// <summary>What a spec may say of <see cref="SecureAggregationSpec.Bits"/> where its own do not fit.</summary>
    /// <returns>In ascending order; empty: no number of bits does it, or the model is small and has a fixed one.</returns>
    public static IReadOnlyList<int> FittingBits(RunSpec run, int values, int cohort) => IsDirect(values + SiteClip.Votes(run.Privacy))
        ? []
        : [.. Enumerable.Range(SecureAggregationSpec.LeastBits, SecureAggregationSpec.MostBits - SecureAggregationSpec.LeastBits + 1).Where(bits => Fits(run with { SecureAggregation = run.SecureAggregation! with { Bits = bits } }, values, cohort))];

    private static bool Fits(RunSpec run, int values, int cohort)
    {
        try
        {
            Of(run, values, cohort);
            return true;
        }
        catch (UpdateLayoutException)
        {
            return false;
        }
    }

    /// <summary>Under differential privacy every site counts the same: how many records it has is private. So it does under some strategies.</summary>
    public static int LargestWeight(RunSpec run) => Weights(run) == WeightRule.Claimed ? run.SecureAggregation!.MaxWeight : 1;

    /// <summary>How the sites' updates are weighted.</summary>
    public static WeightRule Weights(RunSpec run) => run.Privacy is null && !run.Strategy.CountsSitesAlike ? WeightRule.Claimed : WeightRule.One;

    /// <summary>c: contributors that may know, or leave out, their part of a shared noise.</summary>
    public static int MaxColluding(RunSpec run) => run.Privacy?.MaxColluding ?? 0;

    /// <summary>The vector is −η/b·Σ of the clipped gradients, η the learning rate and b the batch that is expected; one unit moves it by ηC/b.</summary>
    private static UpdateEncoding Shared(RunSpec run, PrivacySpec privacy, UpdateLayout layout, int values)
    {
        double unit = run.Local.Optimizer.LearningRate / run.Local.BatchSize * privacy.Clip, whole = unit * Room * run.Local.BatchSize;
        return Noisy(run, privacy, unit, variance => new(layout, values, whole, (float)unit, rotationSeed: null, whole, variance, largestWeight: 1, unitClip: unit * (1 + PrivacySpec.NormRounding)));
    }

    private static UpdateEncoding OfSite(RunSpec run, PrivacySpec privacy, UpdateLayout layout, int values, double whole) =>
        Noisy(run, privacy, whole, variance => new(layout, values, whole, (float)SiteClip.WeightOf(privacy, whole), rotationSeed: null, whole, variance));

    /// <summary>
    /// Noise of σ times what a unit moves the sum by once it is rounded, so that σ costs the same whatever the model's size. The grid grows with the noise, by less. Where rounding alone would more than double the noise it is σ times what the unit moves:
    /// then the model is not drowned, and the grid's part of the cost is charged as it is.
    /// </summary>
    /// <param name="moved">Before rounding.</param>
    /// <param name="of">The encoding with this variance of one site's noise.</param>
    private static UpdateEncoding Noisy(RunSpec run, PrivacySpec privacy, double moved, Func<double, UpdateEncoding> of)
    {
        UpdateEncoding plain = of(Variance(moved)), encoding = plain;
        double counted = moved;
        for (int turn = 0; turn < MostTurns; turn++)
        {
            double rounded = Math.Sqrt(encoding.SquaredSensitivity);
            if (rounded > 2 * moved) return plain;
            if (rounded <= counted) break;
            counted = rounded * (1 + 1e-9);
            encoding = of(Variance(counted));
        }

        return encoding;

        double Variance(double sensitivity) => run.Sigma * sensitivity * (run.Sigma * sensitivity) / privacy.NoisySites(run.Cohort.MinContributors);
    }

    /// <summary>t: as the spec says, or the least with 2t − k above one, k all sites that could be members.</summary>
    public static int ThresholdOf(SecureAggregationSpec spec, int sites)
    {
        int members = Math.Min(sites, CommitteePolicy.LargestCommittee);
        return spec.Threshold ?? ((members + 1) / 2) + 1;
    }
}
