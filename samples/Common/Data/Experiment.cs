using System.Text.RegularExpressions;
using Federation.Formats;
using Federation.Formats.Data;
using Federation.Formats.Runs;

namespace Federation.Samples.Data;

/// <summary>What is trained: a run, the same rows and features without differential privacy for comparison, and the schema of both.</summary>
public sealed class Experiment
{
    private Experiment(string specText, string openText, string schemaText) =>
        (SpecText, OpenText, SchemaText, Spec, WithoutPrivacy, Schema) = (specText, openText, schemaText, RunSpec.Parse(specText, "run.yaml"), RunSpec.Parse(openText, "open.yaml"), DataSchema.Parse(schemaText, "schema.yaml"));

    /// <summary>As submitted.</summary>
    public string SpecText { get; }

    /// <summary>As the sites train it, each for itself.</summary>
    public string OpenText { get; }

    public string SchemaText { get; }

    public RunSpec Spec { get; }

    /// <summary>What could be had without differential privacy: for models of a site's own and of all records in one place.</summary>
    public RunSpec WithoutPrivacy { get; }

    public DataSchema Schema { get; }

    /// <summary>What each site agrees to, as a file of its own: privacy as strong as the run's, within a budget of twice as much, for the run and one like it. For runs that are to repeat, noise that protects nobody: the sample's records are public.</summary>
    public string PolicyText => Spec.Privacy switch
    {
        null => "minContributors: 3\n",
        { InsecureSeededNoise: true } => "minContributors: 3\ninsecureSeededNoise: allowed\n",
        { MaxEpsilon: { } most, Delta: var delta } => FormattableString.Invariant($"minContributors: 3\nprivacy: {{ maxEpsilon: {most}, maxDelta: {delta} }}\nbudget: {{ epsilon: {2 * most}, delta: {delta} }}\n"),
        _ => throw new InvalidOperationException("The samples' private runs say what they cost at most."),
    };

    /// <param name="spec">YAML; the choice and the seed take the place of what it says.</param>
    /// <param name="open">YAML of the spec without differential privacy; may be the same.</param>
    /// <exception cref="InvalidInputException">The choice contradicts itself.</exception>
    public static Experiment Of(string spec, string open, string schema, PrivacyChoice choice, ulong seed)
    {
        bool isShared = !choice.OwnNoise && spec.Contains("noise: shared", StringComparison.Ordinal);
        if (choice.InTheClear && isShared) throw new InvalidInputException(new Problem("none lets the coordinator see each site's part of a shared noise, which is too little.", Field: "--secure-aggregation", Repair: "Add --noise own, or --no-privacy."));
        return new Experiment(Fill(spec, choice, seed), Fill(open, choice, seed), schema);
    }

    private static string Fill(string text, PrivacyChoice choice, ulong seed)
    {
        if (choice.InTheClear) text = Regex.Replace(text, "(?m)^secureAggregation: .*$", "secureAggregation: none");
        if (choice.OwnNoise) text = text.Replace("noise: shared", "noise: own, steps: 1", StringComparison.Ordinal);
        if (choice.Epsilon is { } epsilon) text = Regex.Replace(text, "maxEpsilon: [^ ,}]+", FormattableString.Invariant($"maxEpsilon: {epsilon}"));
        if (choice.InsecureSeededNoise) text = text.Replace("privacy: {", "privacy: { insecureSeededNoise: true,", StringComparison.Ordinal);
        return Regex.Replace(text, "(?m)^seed: .*$", FormattableString.Invariant($"seed: {seed}"));
    }
}
