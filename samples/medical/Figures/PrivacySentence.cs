using System.Globalization;

namespace Federation.Samples.Medical.Figures;

/// <summary>What a run has cost each patient's privacy, in one sentence.</summary>
internal static class PrivacySentence
{
    public static string Of(PrivacySection privacy)
    {
        double outside = privacy.EpsilonBySite.Values.Max();
        string against = privacy.Noise == "own"
            ? "against everybody else"
            : string.Create(CultureInfo.InvariantCulture, $"against the coordinator together with {(privacy.MaxColluding == 1 ? "any one other hospital" : $"any {privacy.MaxColluding} other hospitals")}, {outside} against everybody else");
        return string.Create(CultureInfo.InvariantCulture, $"Privacy: whether a patient's record was used costs at most ε = {privacy.EpsilonAgainstCoalition} at δ = {privacy.Delta} {against}; each hospital's ledger holds it.");
    }
}
