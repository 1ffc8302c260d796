using System.Globalization;
using Federation.Formats.Runs;
using Federation.Samples.Data;

namespace Federation.Samples.Figures;

/// <summary>How the federated model was trained, and the models beside it: as long as it, or by a spec of their own where it is private.</summary>
internal static class TrainingSentence
{
    /// <summary>Of the federated model: on its own rows, …</summary>
    public static string OfFederated(Experiment experiment)
    {
        if (experiment.Spec.Privacy is not { } privacy) return "";
        string drawn = privacy.SamplingRate == 1 ? " over all of them" : string.Create(CultureInfo.InvariantCulture, $", each row drawn with probability {privacy.SamplingRate}");
        return $" with noise, for {Count(experiment.Spec.Rounds, "round")} of {Count(privacy.Steps, "step")}{drawn}";
    }

    /// <summary>Of a site's own model, and of the one of all records: without differential privacy, …</summary>
    public static string OfOthers(Experiment experiment) => experiment.Spec.Privacy is null
        ? "for as many rounds and epochs"
        : $"without differential privacy, for {Count(experiment.WithoutPrivacy.Rounds, "round")} of {Count(experiment.WithoutPrivacy.Local.Epochs, "epoch")}";

    private static string Count(int number, string what) => string.Create(CultureInfo.InvariantCulture, $"{number} {what}{(number == 1 ? "" : "s")}");
}
