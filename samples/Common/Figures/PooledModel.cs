using Federation.Formats.Data;
using Federation.Formats.Models;
using Federation.Formats.Runs;
using Federation.Learning;
using Federation.Learning.Data;
using Federation.Learning.Evaluation;
using Federation.Learning.Models;
using Federation.Samples.Data;
using Federation.Samples.Training;
using TorchSharp;

namespace Federation.Samples.Figures;

/// <summary>The model that could be had if all records lay in one place: the spec without differential privacy, all training rows as one site.</summary>
internal static class PooledModel
{
    /// <param name="root">Holds the sites' folders, by name.</param>
    /// <returns>By site, of its test rows.</returns>
    public static IReadOnlyList<IReadOnlyList<(double Score, int Label)>> Scores(Experiment experiment, IReadOnlyList<Site> sites, string root, CancellationToken cancellationToken)
    {
        RunSpec spec = experiment.WithoutPrivacy;
        DataSchema schema = experiment.Schema;
        TabularDataSet[] sets = [.. sites.Select(site => TabularDataSet.Load(SiteTable.In(Path.Combine(root, site.Name), schema.Name), schema, spec.Data!, spec.Task!))];
        using var learner = new TabularLearner(TabularDataSet.Concat(sets), torch.CPU);
        ModelState model = InProcessFederation.Train(new LearningTask("pooled", "pooled", spec, schema), [("pooled", learner)], TabularModel.Initial(spec, schema), cancellationToken);
        return [.. sets.Select(set => (IReadOnlyList<(double, int)>)[.. Prediction.Probabilities(model, spec, schema, set.Test).Select((row, i) => (row[1], set.Test.Labels[i]))])];
    }
}
