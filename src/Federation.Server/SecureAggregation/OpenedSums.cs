using System.Globalization;
using System.Text.Json;
using Federation.Formats.Evaluation;
using Federation.Formats.Runs;
using Federation.Formats.Statistics;
using Federation.Privacy.Homomorphic;
using Federation.Privacy.SecureAggregation;
using Federation.Server.Aggregation;
using Federation.Server.Runs;
using Federation.Server.Storage;
using EvaluationSums = Federation.Formats.Evaluation.EvaluationSums;
using Opening = Federation.Privacy.SecureAggregation.Opening;
using RunEvent = Federation.Server.Runs.RunEvent;

namespace Federation.Server.SecureAggregation;

/// <summary>What becomes of a sum that was opened, or that never will be: the next model, an evaluation, statistics, a model that stays.</summary>
internal sealed class OpenedSums(RunContext context, RunHost run)
{
    /// <summary>Null: the run trains.</summary>
    private StatisticsQuery? Query => run.Spec.Statistics is null ? null : StatisticsQuery.Of(run.Spec, run.Schema!);

    public RunEvent Decode(OpeningSession session, Plaintext opened)
    {
        using (session)
        using (opened)
        {
            int round = (int)session.Round.Opening.Round;
            long began = context.Time.GetTimestamp();
            if (session.Round.Opening.Purpose == Opening.Evaluation) return Evaluation(round, opened, session.Contributions);
            run.Say(new Announce(RunLog.Opened, $"Round {round} opened by {string.Join(", ", session.Report!.Members)}: the sum of {session.Contributions} {(Query is null ? "updates" : "tables")}.", round));
            try
            {
                if (Query is { } query)
                {
                    FederatedStatistics statistics = run.Spec.Privacy is null
                        ? FederatedStatistics.Of(query, run.Schema!, session.Sites, opened.Coefficients)
                        : FederatedStatistics.Noisy(query, query.NoiseOf(run.Spec), run.Schema!, session.Sites, opened.Coefficients);
                    return new StatisticsOpened(round, Keep(JsonSerializer.SerializeToUtf8Bytes(statistics, JsonSerializerOptions.Web)), statistics.Rows, Report(statistics.Rows));
                }

                (string sha256, double weight, float last) = WriteModel(session.Sum, opened, session.Contributions);
                double? clip = SiteClip.Votes(run.Spec.Privacy) == 0 ? null : SiteClip.Next(run.Spec.Privacy!, session.Round.Descriptor.Encoding!.Clip, last);
                if (clip is { } whole) run.Say(new Announce(RunLog.Opened, string.Create(CultureInfo.InvariantCulture, $"Round {round}: from now on a site's update is clipped to {SiteClip.Of(run.Spec.Privacy!, whole):g4}."), round));
                return new Aggregated(round, sha256, Report(run.Spec.Privacy is null ? (ulong)Math.Round(weight) : 0), clip);
            }
            catch (Exception wrong) when (wrong is PadResidualException or UpdateWeightException or UpdateSumException or InvalidDataException or ArgumentException)
            {
                // Somebody's contribution was not made as the protocol says, or its file has changed; nobody can say whose.
                return Lost(round, $"What was opened is no sum of {session.Contributions} contributions: {wrong.Message}");
            }

            RoundOpening Report(ulong weight) => session.Report! with { Weight = weight, DecodingSeconds = context.Time.GetElapsedTime(began).TotalSeconds };
        }
    }

    public RunEvent Lose(OpeningSession session, string reason)
    {
        using (session)
        {
            int round = (int)session.Round.Opening.Round;
            return session.Round.Opening.Purpose == Opening.Evaluation ? new EvaluationOpened(round, null, reason) : Lost(round, reason);
        }
    }

    private OpeningLost Lost(int round, string reason) => new(round, reason, Query is null ? Reissue() : run.State.ModelSha256);

    private (string Sha256, double Weight, float Last) WriteModel(ContributionSum sum, Plaintext opened, int contributions)
    {
        using FileStream model = run.OpenModelData();
        using BlobStore.NewBlob next = context.Blobs.Create();
        next.Stream.Write(run.ModelHeader.Bytes);
        var writer = new MeanModel(model, next.Stream);
        int left = run.ModelHeader.ValueCount;
        float last = 0;
        double weight = sum.WriteMean(opened, Add, run.Spec.Privacy is null ? null : contributions);
        writer.End();
        return (next.Keep(), weight, last);

        // What comes after the model's values is a vote.
        void Add(ReadOnlySpan<float> values)
        {
            int own = Math.Min(left, values.Length);
            writer.Add(values[..own]);
            left -= own;
            if (own < values.Length) last = values[^1];
        }
    }

    private EvaluationOpened Evaluation(int round, Plaintext opened, int contributions)
    {
        try
        {
            EvaluationSums sums = run.Spec.Privacy is null
                ? EvaluationCounts.Sum(opened.Coefficients, run.Spec.Task?.Kind == TaskKind.BinaryClassification)
                : NoisyEvaluation.Open(opened.Coefficients, contributions, run.Spec);
            return sums.Examples == 0 ? new(round, null, "no site has test rows.") : new(round, sums);
        }
        catch (ArgumentException wrong)
        {
            return new(round, null, wrong.Message);
        }
    }

    private string Keep(byte[] content)
    {
        using BlobStore.NewBlob blob = context.Blobs.Create();
        blob.Stream.Write(content);
        return blob.Keep();
    }

    /// <summary>The same weights under a hash that the run has not had: low bits of the first value changed. Members answer one set of contributors a model, and one of the lost round may have been answered.</summary>
    private string Reissue()
    {
        HashSet<string> known = [.. context.Store.Models(run.Id).Select(model => model.Sha256), run.State.ModelSha256];
        for (int change = 1; change < 256; change++)
        {
            using FileStream model = run.OpenModelData();
            using BlobStore.NewBlob next = context.Blobs.Create();
            next.Stream.Write(run.ModelHeader.Bytes);
            next.Stream.WriteByte((byte)(model.ReadByte() ^ change));
            model.CopyTo(next.Stream);
            string sha256 = next.Keep();
            if (!known.Contains(sha256)) return sha256;
        }

        throw new InvalidOperationException("The round was lost 255 times from one model.");
    }
}
