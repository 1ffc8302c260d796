using System.Globalization;
using Federation.Formats.Runs;
using Federation.Privacy.Mechanisms;
using Federation.Server.Aggregation;
using Federation.Server.Storage;
using Federation.Server.Strategies;

namespace Federation.Server.Runs;

/// <summary>The next model from updates that came in the clear: by their weighted mean or a robust one, or, where the coordinator adds the noise of site-level differential privacy, by the noisy mean of the clipped ones.</summary>
internal sealed class PlainSums(RunContext context, RunHost run)
{
    /// <remarks>With noise it is drawn anew at each call. What comes back counts, and is told, from when the event is stored; a model of a call before that, which a killed process may have left, is under a hash that nobody knows.</remarks>
    public Aggregated Of(Aggregate round)
    {
        List<Stream> files = [];
        try
        {
            List<VisibleUpdate> updates = [];
            ulong weight = 0; // at most 2^40 each
            foreach ((string site, Contribution contribution) in round.Contributions)
            {
                var update = new FileStream(context.Spool.PathOf(run.Id, BufferRules.From(contribution, round.Round), site), FileMode.Open, FileAccess.Read, FileShare.Read, 1);
                files.Add(update);
                update.Position = run.UpdateShape.Header.DataStart;
                updates.Add(new VisibleUpdate(site, update, contribution.Weight));
                weight += contribution.Weight;
            }

            using FileStream model = run.OpenModelData();
            using BlobStore.NewBlob blob = context.Blobs.Create();
            blob.Stream.Write(run.ModelHeader.Bytes);
            using StrategyState? state = run.OpenStrategyState(round.Round);
            var next = new NextModel(model, blob.Stream, run.Strategy, state, run.UpdateShape, RoundFigures.Of(run, files.Count));
            if (run.Spec.Privacy is { IsCentral: true } privacy) return WithNoise(round.Round, privacy, files, next, blob, state);
            (IMeanUpdate mean, string note) = MeanOf(run.Spec.Strategy, run.UpdateShape.Values, round, files, updates, weight);
            next.AddAll(mean, run.UpdateShape.Values, CancellationToken.None);
            return Keep(new Aggregated(round.Round, blob.Keep(), Note: note), state);
        }
        finally
        {
            foreach (Stream file in files) file.Dispose();
        }
    }

    /// <summary>Durable before the event is.</summary>
    private static Aggregated Keep(Aggregated aggregated, StrategyState? state)
    {
        state?.Keep();
        return aggregated with { StrategyKept = state is not null };
    }

    /// <param name="values">Of an update.</param>
    /// <param name="updates">The same files, by site.</param>
    /// <param name="weight">Σ of the sites' weights.</param>
    /// <returns>The mean by the run's rule, and a line for its log; empty: none.</returns>
    /// <exception cref="AggregationException">There are too few updates for the rule.</exception>
    internal static (IMeanUpdate Mean, string Note) MeanOf(StrategySpec strategy, long values, Aggregate aggregate, IReadOnlyList<Stream> files, IReadOnlyList<VisibleUpdate> updates, ulong weight)
    {
        int round = aggregate.Round;
        switch (strategy.Kind)
        {
            case StrategyKind.Median: return (new TrimmedMean(updates, 0.5), "");
            case StrategyKind.TrimmedMean: return (new TrimmedMean(updates, strategy["trim"]), "");
            case StrategyKind.Krum:
                IReadOnlyList<VisibleUpdate> kept = Krum.Choose(updates, values, (int)strategy["malicious"], (int)strategy["keep"]);
                return (new ScaledMean([.. kept.Select(update => (update, 1.0))]), $"Round {round}: the updates of {string.Join(", ", kept.Select(update => update.Site))} were kept.");
            case StrategyKind.NormBound:
                IReadOnlyList<(VisibleUpdate Update, double Factor)> bound = NormBound.Shorten(updates, values, strategy["maxNorm"]);
                string[] cut = [.. bound.Where(part => part.Factor < 1).Select(part => part.Update.Site)];
                return (new ScaledMean(bound), cut.Length == 0 ? "" : $"Round {round}: the updates of {string.Join(", ", cut)} were shortened to the bound.");
            case StrategyKind.FedBuff:
                int[] ages = [.. updates.Select(update => round - BufferRules.From(aggregate.Contributions[update.Site], round))];
                return (new ScaledMean([.. updates.Zip(ages, (update, age) => (update, FedBuff.WeightOf(age)))]), ages.Max() == 0 ? "" : $"Round {round}: updates from models that were {string.Join(", ", ages)} steps old.");
            default: return (new WeightedMean(files, weight), "");
        }
    }

    /// <summary>For the run's log.</summary>
    public static string Says(PrivacySpec privacy, int round, double whole) =>
        string.Create(CultureInfo.InvariantCulture, $"Round {round}: from now on a site's update is clipped to {SiteClip.Of(privacy, whole):g4}.");

    private Aggregated WithNoise(int round, PrivacySpec privacy, List<Stream> updates, NextModel next, BlobStore.NewBlob blob, StrategyState? state)
    {
        double whole = run.State.SiteClip ?? SiteClip.First(privacy);
        using SecureRandom random = new();
        double vote = NoisyMean.WriteNext(next, updates, run.UpdateShape.Header.DataLength, privacy, whole, CentralNoise.Of(run.Spec, run.UpdateShape.Values, random), CancellationToken.None);
        if (SiteClip.Votes(privacy) == 0) return Keep(new Aggregated(round, blob.Keep()), state);
        double clip = SiteClip.Next(privacy, whole, vote);
        return Keep(new Aggregated(round, blob.Keep(), SiteClip: clip, Note: Says(privacy, round, clip)), state);
    }
}
