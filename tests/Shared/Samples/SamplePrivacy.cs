using System.Text.Json;

namespace Federation.Tests;

/// <summary>What every sample's private run owes.</summary>
internal static class SamplePrivacy
{
    /// <summary>
    /// What the attack at each site shows is no more than what the ledgers hold. A sound mechanism fails this at 5 % a site if the attack were perfect and its bound tight;
    /// the bound is below half of ε even for a perfect attack (docs/privacy.md), so a false alarm is not to be expected.
    /// </summary>
    /// <param name="metrics">metrics.json.</param>
    public static void AssertSound(JsonElement metrics, IReadOnlyCollection<string> sites)
    {
        JsonElement privacy = metrics.GetProperty("privacy");
        double upper = privacy.GetProperty("epsilonAgainstCoalition").GetDouble();
        JsonProperty[] bounds = [.. privacy.GetProperty("lowerBoundBySite").EnumerateObject()];
        Assert.Equal(sites, bounds.Select(bound => bound.Name));
        Assert.All(bounds, bound => Assert.InRange(bound.Value.GetDouble(), 0.05, upper)); // an attack that shows nothing is broken, too
    }

    /// <summary>Each site's page of <c>fed privacy report</c> is there, of a whole ledger.</summary>
    /// <param name="says">What each of them says.</param>
    public static void AssertFiled(Sample sample, IReadOnlyCollection<string> sites, string says)
    {
        Assert.Equal(sites.Select(site => site + ".html").Order(StringComparer.Ordinal), Directory.EnumerateFiles(sample.Output("privacy")).Select(path => Path.GetFileName(path)).Order(StringComparer.Ordinal));
        Assert.All(sites, site =>
        {
            string page = File.ReadAllText(sample.Output(Path.Combine("privacy", site + ".html")));
            Assert.Contains("The ledger is whole", page, StringComparison.Ordinal);
            Assert.Contains(says, page, StringComparison.Ordinal);
            Assert.Equal(says == "without noise", page.Contains("No budget is set", StringComparison.Ordinal)); // each site's policy sets one
        });
    }
}
