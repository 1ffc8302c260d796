using System.Globalization;
using System.Reflection;
using System.Text;
using Federation.Samples.Data;

namespace Federation.Samples.Medical.Data;

/// <summary>Which run: all columns and rows (default), or FLamby's 13 features and rows, scaled in two ways; with differential privacy or without.</summary>
/// <param name="OpenName">File of the spec without differential privacy.</param>
/// <param name="PrivateName">File of the spec with it; null: there is none.</param>
/// <param name="FlambyRowsOnly">Rows that FLamby drops are not used.</param>
internal sealed record HeartExperiment(string OpenName, string? PrivateName, bool FlambyRowsOnly)
{
    public static readonly HeartExperiment
        Default = new("heart-disease-without-privacy", "heart-disease", false) { IsPrivate = true },
        Standardised = new("flamby-standardised", null, true),
        Ranges = new("flamby-ranges", "flamby-private", true);

    public bool IsPrivate { get; init; }

    public Experiment With(PrivacyChoice choice, ulong seed)
    {
        string name = IsPrivate ? PrivateName! : OpenName;
        // Chosen on made-up patients (`tune --flamby ranges --epsilon 0.1`): so much noise asks for fewer and smaller steps.
        if (IsPrivate && FlambyRowsOnly && choice.Epsilon < 0.5) name += "-tight";
        return Experiment.Of(Resource($"{name}.yaml"), Resource($"{OpenName}.yaml"), Resource(FlambyRowsOnly ? "flamby.schema.yaml" : "heart-disease.schema.yaml"), choice, seed);
    }

    /// <summary>The hospitals' files, held-out rows exactly FLamby's.</summary>
    public IReadOnlyList<SiteTable> Tables(HeartData data) => [.. Hospital.All.Select(hospital => new SiteTable(hospital.Site, data.TextBySite[hospital.Name], Split(data.TextBySite[hospital.Name], hospital.Name)))];

    public static IReadOnlyDictionary<int, string> FlambySplit(string site)
    {
        Dictionary<int, string> sets = [];
        foreach (string row in Resource("heart_split.csv").Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries).Skip(1))
        {
            string[] fields = row.Split(',');
            if (fields[0] == site) sets[int.Parse(fields[1], CultureInfo.InvariantCulture)] = fields[2];
        }

        return sets;
    }

    private string Split(string text, string site)
    {
        IReadOnlyDictionary<int, string> sets = FlambySplit(site);
        var lines = new StringBuilder("line,set\n");
        int count = text.TrimEnd('\n').Split('\n').Length;
        for (int line = 1; line <= count; line++)
        {
            string set = sets.GetValueOrDefault(line) ?? (FlambyRowsOnly ? "unused" : "train");
            lines.Append(CultureInfo.InvariantCulture, $"{line},{set}\n");
        }

        return lines.ToString();
    }

    private static string Resource(string name) => EmbeddedFile.Text(Assembly.GetExecutingAssembly(), name);
}
