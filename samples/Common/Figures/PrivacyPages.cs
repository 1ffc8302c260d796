using Federation.Samples.Processes;

namespace Federation.Samples.Figures;

/// <summary>The pages of <c>fed privacy report</c>, one a site: each site makes its own from its own ledger.</summary>
internal static class PrivacyPages
{
    public const string Folder = "privacy";

    /// <summary>Copies them beside the other results, in place of an earlier run's.</summary>
    /// <param name="root">Holds the sites' folders, by name.</param>
    public static void Collect(IReadOnlyList<Site> sites, string root, string output)
    {
        string folder = Directory.CreateDirectory(Path.Combine(output, Folder)).FullName;
        foreach (Site site in sites) File.Copy(Path.Combine(root, site.Name, SiteProcess.PrivacyReportFile), Path.Combine(folder, NameOf(site)), overwrite: true);
    }

    public static string NameOf(Site site) => site.Name + ".html";
}
