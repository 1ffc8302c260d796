using Federation.Privacy.SecureAggregation;

namespace Federation.Formats.Runs;

/// <summary>The encoding that a spec means for a model and a cohort. Coordinator and sites compute it by themselves; a site refuses any other.</summary>
public static class SecureEncoding
{
    private const int LeastBits = 20;

    /// <summary>Whether a model of so many values, with its weight, travels in one key ciphertext; larger ones in the pad ring (hybrid).</summary>
    public static bool IsDirect(int values) => values < UpdateEncoding.MostDirectValues;

    /// <param name="values">Of the model.</param>
    /// <param name="cohort">Sites that may contribute.</param>
    /// <exception cref="UpdateLayoutException">The bits do not fit a sum over so many sites.</exception>
    public static UpdateEncoding Of(SecureAggregationSpec spec, int values, int cohort)
    {
        // The weight is sent as the largest value that a coordinate may have, so grid and cut hold both.
        double cut = spec.Cut * spec.MaxWeight;
        UpdateLayout layout = IsDirect(values) ? UpdateLayout.ChooseDirect(LeastBits, cohort) : UpdateLayout.Choose(spec.Bits ?? LeastBits, cohort);
        return new(layout, values, cut * Math.Sqrt(values + 1.0), (float)spec.Cut, rotationSeed: null, cut, noiseVariance: 0, spec.MaxWeight);
    }

    /// <summary>t: as the spec says, or the least with 2t − k above one, k all sites that could be members.</summary>
    public static int ThresholdOf(SecureAggregationSpec spec, int sites)
    {
        int members = Math.Min(sites, CommitteePolicy.LargestCommittee);
        return spec.Threshold ?? ((members + 1) / 2) + 1;
    }
}
