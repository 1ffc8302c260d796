using Federation.Formats.Models;
using Federation.Learning;
using Federation.Server.Strategies;

namespace Federation.Samples.Training;

/// <summary>The same rounds without processes or network: the coordinator's own sum over the learners' updates. For tuning, baselines, and as the test's twin of the real run.</summary>
public static class InProcessFederation
{
    /// <param name="sites">One learner a site; a single one is plain local training by the same spec.</param>
    /// <returns>The last global model.</returns>
    public static ModelState Train(LearningTask task, IReadOnlyList<(string Site, ILocalLearner Learner)> sites, ModelState initial, CancellationToken cancellationToken)
    {
        ModelState model = initial;
        for (int round = 1; round <= task.Spec.Rounds; round++)
        {
            TrainingResult[] results = [.. sites.Select(site => site.Learner.Train(task with { Site = site.Site }, round, model, cancellationToken))];
            model = Next(model, results, cancellationToken);
        }

        return model;
    }

    /// <summary>The mean of the updates, added.</summary>
    public static ModelState Next(ModelState model, TrainingResult[] results, CancellationToken cancellationToken)
    {
        using MemoryStream current = AtData(model), next = new();
        Stream[] updates = [.. results.Select(result => AtData(result.WeightedDelta))];
        next.Write(model.Header.Bytes);
        FedAvg.WriteNext(current, updates, model.Header.DataLength, results.Sum(result => (double)result.Weight), next, cancellationToken);
        next.Position = 0;
        return ModelState.Read(next, next.Length);
    }

    private static MemoryStream AtData(ModelState state) => new(state.ToBytes()) { Position = state.Header.DataStart };
}
