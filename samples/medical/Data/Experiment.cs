using System.Reflection;
using System.Text;
using Federation.Formats;
using Federation.Formats.Configuration;
using Federation.Formats.Data;
using Federation.Formats.Runs;

namespace Federation.Samples.Medical.Data;

/// <summary>Which of the sample's three runs: all columns and rows (default), or FLamby's 13 features and rows, scaled in two ways.</summary>
/// <param name="Name">Of the spec's file.</param>
/// <param name="FlambyRowsOnly">Rows that FLamby drops are not used.</param>
/// <param name="InTheClear">Without secure aggregation, for comparison.</param>
internal sealed record Experiment(string Name, bool FlambyRowsOnly, bool InTheClear = false)
{
    public static readonly Experiment Default = new("heart-disease", false), Standardised = new("flamby-standardised", true), Ranges = new("flamby-ranges", true);

    public string SpecText(ulong seed)
    {
        string text = Resource($"{Name}.yaml");
        if (InTheClear) text = System.Text.RegularExpressions.Regex.Replace(text, "(?m)^secureAggregation: .*$", "secureAggregation: none");
        return System.Text.RegularExpressions.Regex.Replace(text, "(?m)^seed: .*$", FormattableString.Invariant($"seed: {seed}"));
    }

    public RunSpec Spec(ulong seed) => RunSpec.Parse(SpecText(seed), $"{Name}.yaml");

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

    private static string Resource(string name) => Encoding.UTF8.GetString(ResourceBytes(name));
}
