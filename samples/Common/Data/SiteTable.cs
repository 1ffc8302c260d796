using Federation.Formats.Configuration;

namespace Federation.Samples.Data;

/// <summary>One site's records.</summary>
/// <param name="Csv">The file as the site has it.</param>
/// <param name="Split">Which lines train and which are held out; null: by the schema's fraction.</param>
public sealed record SiteTable(Site Site, string Csv, string? Split = null)
{
    /// <summary>Writes the site's files into its folder.</summary>
    public DataSource WriteTo(string folder, string dataSet)
    {
        File.WriteAllText(Path.Combine(folder, "data.csv"), Csv);
        if (Split is not null) File.WriteAllText(Path.Combine(folder, "split.csv"), Split);
        return In(folder, dataSet);
    }

    /// <summary>What was written there.</summary>
    public static DataSource In(string folder, string dataSet)
    {
        string split = Path.Combine(folder, "split.csv");
        return new DataSource(dataSet, Path.Combine(folder, "data.csv"), Split: File.Exists(split) ? split : null);
    }
}

/// <param name="Tables">In the order of the sample's sites.</param>
/// <param name="IsSynthetic">About made-up people.</param>
/// <param name="Published">What others have measured on the real records, for the verdict; null: nothing to compare with.</param>
public sealed record SampleData(IReadOnlyList<SiteTable> Tables, bool IsSynthetic, string? Published = null)
{
    /// <summary>As metrics.json writes it.</summary>
    public string Source => IsSynthetic ? "synthetic" : "uci";
}
