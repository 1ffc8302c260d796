using System.Globalization;

namespace Federation.Samples.Figures;

/// <summary>What a run has cost each record's privacy, in one sentence.</summary>
internal static class PrivacySentence
{
    public const string Seeded = "the noise follows from the seed (--insecure-seeded-noise), so that the run repeats; whoever knows the seed can take it off.";

    public static string Of(PrivacySection privacy, SampleDescription sample)
    {
        if (privacy.EpsilonBySite is null) return $"Not private: {Seeded}";
        double outside = privacy.EpsilonBySite.Values.Max();
        string against = privacy.Noise == "own"
            ? "against everybody else"
            : string.Create(CultureInfo.InvariantCulture, $"against the coordinator together with {(privacy.MaxColluding == 1 ? $"any one other {sample.Site.One}" : $"any {privacy.MaxColluding} other {sample.Site.Many}")}, {outside} against everybody else");
        return string.Create(CultureInfo.InvariantCulture, $"Privacy: whether a {sample.Person.One}'s record was used costs at most ε = {privacy.EpsilonAgainstCoalition} at δ = {privacy.Delta} {against}; each {sample.Site.One}'s ledger holds it.");
    }

    /// <returns>Null: no audit was made.</returns>
    public static string? OfAudit(PrivacySection privacy, SampleDescription sample) => privacy.LowerBoundBySite is { } bounds
        ? string.Create(CultureInfo.InvariantCulture, $"Audit: an attack on a rehearsal of the run at each {sample.Site.One} shows that ε is at least {bounds.Values.Min()} to {bounds.Values.Max()} (each with 95 % confidence); attacks that were not tried may show more, and none can show more than the bound.")
        : null;
}
