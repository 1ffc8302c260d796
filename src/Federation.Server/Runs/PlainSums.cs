using System.Globalization;
using Federation.Formats.Runs;
using Federation.Privacy.Mechanisms;
using Federation.Server.Aggregation;
using Federation.Server.Storage;

namespace Federation.Server.Runs;

/// <summary>The next model from updates that came in the clear: their weighted mean, or, where the coordinator adds the noise of site-level differential privacy, the noisy mean of the clipped ones.</summary>
internal sealed class PlainSums(RunContext context, RunHost run)
{
    /// <remarks>With noise it is drawn anew at each call. What comes back counts, and is told, from when the event is stored; a model of a call before that, which a killed process may have left, is under a hash that nobody knows.</remarks>
    public Aggregated Of(Aggregate round)
    {
        List<Stream> updates = [];
        try
        {
            ulong weight = 0; // at most 2^40 each
            foreach ((string site, Contribution contribution) in round.Contributions)
            {
                var update = new FileStream(context.Spool.PathOf(run.Id, round.Round, site), FileMode.Open, FileAccess.Read, FileShare.Read, 1);
                updates.Add(update);
                update.Position = run.ModelHeader.DataStart;
                weight += contribution.Weight;
            }

            using FileStream model = run.OpenModelData();
            using BlobStore.NewBlob next = context.Blobs.Create();
            next.Stream.Write(run.ModelHeader.Bytes);
            if (run.Spec.Privacy is { IsCentral: true } privacy) return WithNoise(round.Round, privacy, model, updates, next);
            FedAvg.WriteNext(model, updates, run.ModelHeader.DataLength, weight, next.Stream, CancellationToken.None);
            return new Aggregated(round.Round, next.Keep());
        }
        finally
        {
            foreach (Stream update in updates) update.Dispose();
        }
    }

    /// <summary>For the run's log.</summary>
    public static string Says(PrivacySpec privacy, int round, double whole) =>
        string.Create(CultureInfo.InvariantCulture, $"Round {round}: from now on a site's update is clipped to {SiteClip.Of(privacy, whole):g4}.");

    private Aggregated WithNoise(int round, PrivacySpec privacy, Stream model, List<Stream> updates, BlobStore.NewBlob next)
    {
        double whole = run.State.SiteClip ?? SiteClip.First(privacy);
        using SecureRandom random = new();
        double vote = NoisyMean.WriteNext(model, updates, run.ModelHeader.DataLength, privacy, whole, CentralNoise.Of(run.Spec, run.ModelHeader.ValueCount, random), next.Stream, CancellationToken.None);
        if (SiteClip.Votes(privacy) == 0) return new Aggregated(round, next.Keep());
        double clip = SiteClip.Next(privacy, whole, vote);
        return new Aggregated(round, next.Keep(), SiteClip: clip, Note: Says(privacy, round, clip));
    }
}
