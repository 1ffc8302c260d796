using System.Reflection;
using System.Text;
using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Formats.Data;
using Federation.Formats.Runs;

namespace Federation.Samples.Medical.Data;

/// <summary>Which run: all columns and rows (default), or FLamby's 13 features and rows, scaled in two ways; with differential privacy or without.</summary>
/// <param name="OpenName">File of the spec without differential privacy.</param>
/// <param name="PrivateName">File of the spec with it; null: there is none.</param>
/// <param name="FlambyRowsOnly">Rows that FLamby drops are not used.</param>
internal sealed record Experiment(string OpenName, string? PrivateName, bool FlambyRowsOnly)
{
    public static readonly Experiment
        Default = new("heart-disease-without-privacy", "heart-disease", false) { IsPrivate = true },
        Standardised = new("flamby-standardised", null, true),
        Ranges = new("flamby-ranges", "flamby-private", true);

    public bool IsPrivate { get; init; }

    /// <summary>In place of the spec's ε.</summary>
    public double? Epsilon { get; init; }

    /// <summary>Every hospital adds all the noise that its own patients need.</summary>
    public bool OwnNoise { get; init; }

    /// <summary>Without secure aggregation.</summary>
    public bool InTheClear { get; init; }

    public string Name => IsPrivate ? PrivateName! : OpenName;

    /// <summary>What the hospitals could have without differential privacy: for models of their own and of all records in one place.</summary>
    public Experiment WithoutPrivacy => this with { IsPrivate = false };

    /// <summary>The spec of the same rows and features without differential privacy.</summary>
    public static RunSpec WithoutPrivacyOf(RunSpec spec)
    {
        Experiment experiment = new[] { Default, Standardised, Ranges }.Single(one => one.OpenName == spec.Name || one.PrivateName == spec.Name);
        return experiment.WithoutPrivacy.Spec(spec.Seed);
    }

    // Chosen on made-up patients (`tune --flamby ranges --epsilon 0.1`): so much noise asks for fewer and smaller steps.
    private string SpecFile => IsPrivate && FlambyRowsOnly && Epsilon < 0.5 ? $"{Name}-tight" : Name;

    public string SpecText(ulong seed)
    {
        string text = Resource($"{SpecFile}.yaml");
        if (InTheClear) text = Replace(text, "(?m)^secureAggregation: .*$", "secureAggregation: none");
        if (OwnNoise) text = Replace(text, "noise: shared", "noise: own, steps: 1");
        if (Epsilon is { } epsilon) text = Replace(text, "maxEpsilon: [^ ,}]+", FormattableString.Invariant($"maxEpsilon: {epsilon}"));
        return Replace(text, "(?m)^seed: .*$", FormattableString.Invariant($"seed: {seed}"));
    }

    public RunSpec Spec(ulong seed) => RunSpec.Parse(SpecText(seed), $"{SpecFile}.yaml");

    public string SchemaText => Resource(FlambyRowsOnly ? "flamby.schema.yaml" : "heart-disease.schema.yaml");

    public DataSchema Schema => DataSchema.Parse(SchemaText, "schema.yaml");

    /// <summary>Writes a hospital's file and split into its folder: test rows exactly FLamby's.</summary>
    public DataSource Prepare(HeartData data, Hospital hospital, string folder)
    {
        string text = data.TextBySite[hospital.Name];
        string path = Path.Combine(folder, "data.csv"), split = Path.Combine(folder, "split.csv");
        File.WriteAllText(path, text);
        IReadOnlyDictionary<int, string> sets = FlambySplit(hospital.Name);
        var lines = new StringBuilder("line,set\n");
        int count = text.TrimEnd('\n').Split('\n').Length;
        for (int line = 1; line <= count; line++)
        {
            string set = sets.GetValueOrDefault(line) ?? (FlambyRowsOnly ? "unused" : "train");
            lines.Append(FormattableString.Invariant($"{line},{set}\n"));
        }

        File.WriteAllText(split, lines.ToString());
        return new DataSource("heart-disease", path, Split: split);
    }

    public static IReadOnlyDictionary<int, string> FlambySplit(string site)
    {
        Dictionary<int, string> sets = [];
        foreach (string row in Resource("heart_split.csv").Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Skip(1))
        {
            string[] fields = row.Split(',');
            if (fields[0] == site) sets[int.Parse(fields[1], System.Globalization.CultureInfo.InvariantCulture)] = fields[2];
        }

        return sets;
    }

    public static byte[] ResourceBytes(string name)
    {
        using Stream stream = Assembly.GetExecutingAssembly().GetManifestResourceStream(name) ?? throw new InvalidOperationException($"The program lacks its resource '{name}'.");
        using var bytes = new MemoryStream();
        stream.CopyTo(bytes);
        return bytes.ToArray();
    }

    private static string Replace(string text, string pattern, string with) => System.Text.RegularExpressions.Regex.Replace(text, pattern, with);

    private static string Resource(string name) => Encoding.UTF8.GetString(ResourceBytes(name));
}
