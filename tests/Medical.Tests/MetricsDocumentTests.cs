using Federation.Formats.Models;
using Federation.Learning.Models;
using Federation.Samples.Data;
using Federation.Samples.Figures;
using Federation.Samples.Medical.Data;
using Federation.Samples.Processes;

namespace Federation.Samples.Medical.Tests;

/// <summary>What metrics.json says of a run, from what the sites found.</summary>
public sealed class MetricsDocumentTests
{
    private static readonly Site[] s_sites = [new("one", "One"), new("two", "Two"), new("three", "Three"), new("four", "Four")];

    [Fact] // a site that an abandoned round has cost more says so; the spec knows nothing of it
    public void Privacy_OfLedgersThatDiffer_IsWhatEachOfThemHolds()
    {
        Experiment experiment = HeartExperiment.Default.With(new PrivacyChoice(), 42);
        ModelState model = TabularModel.Initial(experiment.Spec, experiment.Schema);
        SiteResult[] results = [Result(2.99, 1.80001), Result(3.25, 2.1), Result(2.99, 1.8), Result(2.99, 1.8)];
        Comparison figures = Comparison.Of(results, [.. results.Select(result => result.Rows.Select(row => (row.Federated, row.Label)).ToArray())], isUnbalanced: false);
        PrivacySection privacy = MetricsDocument.Of(s_sites, figures, 1, "uci", experiment.Spec, new RunOutcome(model, results, 100, 50, null, null)).Privacy!;
        Assert.Equal([("one", 1.8001), ("two", 2.1), ("three", 1.8), ("four", 1.8)], privacy.EpsilonBySite!.Select(site => (site.Key, site.Value)));
        Assert.Equal(3.25, privacy.EpsilonAgainstCoalition);

        static SiteResult Result(double epsilon, double outside) => new([new TestRow(1, 0.9, 0.8), new TestRow(0, 0.1, 0.2)], [], epsilon, outside, 0.5);
    }
}
