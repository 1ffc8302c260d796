using Federation.Privacy.Mechanisms;
using Federation.Privacy.SecureAggregation;

namespace Federation.Formats.Runs;

/// <summary>
/// A site's update under site-level differential privacy: clipped to C, with a vote whether it was within C where C is adaptive. The whole vector, update, vote and weight, has the norm <see cref="UpdateEncoding.Clip"/> at most, so one noise and one event cover all of it.
/// </summary>
/// <remarks>Andrew, Thakkar, McMahan, Ramaswamy 2021, Algorithm 1, geometric update, with the vote as one more coordinate of the noised vector in place of a count with noise of its own.</remarks>
public static class SiteClip
{
    // In units of C. The vote's noise is σ·1.12/0.5 votes; the weight is one for every site, and nobody reads it.
    private const double VoteScale = 0.5, WeightScale = 1.0 / 1024;
    private const double Widest = 1 << 20; // noise must not drive C to where it cannot come back from

    /// <summary>Values of the vector beyond the model's.</summary>
    public static int Votes(PrivacySpec? privacy) => privacy is { Unit: DpUnit.Site, AdaptiveClip: not null } ? 1 : 0;

    /// <summary>The whole vector's norm in the first round.</summary>
    public static double First(PrivacySpec privacy) => privacy.Clip * Ratio(privacy);

    /// <summary>Whether C may have come to this: any within a factor of a million of the first, where it is adaptive. What an opening costs does not depend on it, because the noise is in proportion.</summary>
    public static bool IsPossible(PrivacySpec privacy, double whole) =>
        privacy.AdaptiveClip is null ? whole == First(privacy) : whole >= First(privacy) / Widest && whole <= First(privacy) * Widest;

    /// <summary>C of a whole vector's norm.</summary>
    public static double Of(PrivacySpec privacy, double whole) => whole / Ratio(privacy);

    internal static double WeightOf(PrivacySpec privacy, double whole) => Of(privacy, whole) * WeightScale;

    /// <summary>The update clipped to C, and the vote.</summary>
    /// <param name="update">The model's mean change at a site, any length and size.</param>
    public static float[] Vector(PrivacySpec privacy, float[] update, double whole)
    {
        double clip = Of(privacy, whole), norm = Clipping.Norm(update);
        float[] vector = new float[update.Length + Votes(privacy)];
        update.CopyTo(vector, 0);
        Clipping.Flat(vector.AsSpan(0, update.Length), clip);
        if (Votes(privacy) == 1) vector[^1] = Vote(clip, norm);
        return vector;
    }

    /// <summary>What a site's vector has as its last value, where C is adaptive.</summary>
    /// <param name="clip">C.</param>
    /// <param name="norm">Of the update before it is clipped.</param>
    public static float Vote(double clip, double norm) => norm <= clip ? (float)(VoteScale * clip) : 0;

    /// <summary>The whole vector's norm in the next round: C ← C·e^(−η(b̃ − γ)), b̃ the noisy share of votes.</summary>
    /// <param name="meanVote">The opened mean of the vector's last value.</param>
    public static double Next(PrivacySpec privacy, double whole, double meanVote)
    {
        AdaptiveClipSpec adaptive = privacy.AdaptiveClip!;
        double share = meanVote / (VoteScale * Of(privacy, whole));
        return Math.Clamp(whole * Math.Exp(-adaptive.LearningRate * (share - adaptive.Quantile)), First(privacy) / Widest, First(privacy) * Widest);
    }

    private static double Ratio(PrivacySpec privacy) => Math.Sqrt(1 + (Votes(privacy) * VoteScale * VoteScale) + (WeightScale * WeightScale)) * (1 + 1e-6); // floats are rounded
}
