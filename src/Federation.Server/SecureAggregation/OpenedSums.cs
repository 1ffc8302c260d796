using System.Text.Json;
using Federation.Formats.Evaluation;
using Federation.Formats.Runs;
using Federation.Formats.Statistics;
using Federation.Privacy.Homomorphic;
using Federation.Privacy.SecureAggregation;
using Federation.Server.Aggregation;
using Federation.Server.Runs;
using Federation.Server.Storage;
using Federation.Server.Strategies;
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

                (string mean, double weight, float last) = WriteModel(round, session.Sum, opened, session.Contributions);
                string sha256 = Free(mean);
                if (sha256 != mean) run.Say(new Announce(RunLog.Opened, $"The sum of round {round} leads to weights that the run has had before; they go on under the hash {sha256[..12]}, low bits changed, because members answer one set of contributors a model.", round));
                double? clip = SiteClip.Votes(run.Spec.Privacy) == 0 ? null : SiteClip.Next(run.Spec.Privacy!, session.Round.Descriptor.Encoding!.Clip, last);
                return new Aggregated(round, sha256, Report(run.Spec.Privacy is null ? (ulong)Math.Round(weight) : 0), clip, clip is { } whole ? PlainSums.Says(run.Spec.Privacy!, round, whole) : "", run.Strategy.StateValues > 0);
            }
            catch (Exception wrong) when (wrong is PadResidualException or UpdateWeightException or UpdateSumException or InvalidDataException or ArgumentException)
            {
                // Somebody's contribution was not made as the protocol says, or its file has changed; nobody can say whose.
                return Lost(round, $"What was opened is no sum of {session.Contributions} contributions: {wrong.Message}");
            }

            catch (AggregationException wrong)
            {
                return Lost(round, $"The sum makes no model: {wrong.Message}");
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

    private OpeningLost Lost(int round, string reason) => new(round, reason, Query is null ? Free(run.State.ModelSha256) : run.State.ModelSha256);

    private (string Sha256, double Weight, float Last) WriteModel(int round, ContributionSum sum, Plaintext opened, int contributions)
    {
        using FileStream model = run.OpenModelData();
        using BlobStore.NewBlob next = context.Blobs.Create();
        next.Stream.Write(run.ModelHeader.Bytes);
        using StrategyState? state = run.OpenStrategyState(round);
        var writer = new NextModel(model, next.Stream, run.Strategy, state, run.UpdateShape, RoundFigures.Of(run, contributions));
        int left = run.UpdateShape.Values;
        float last = 0;
        double weight = sum.WriteMean(opened, Add, SecureEncoding.Weights(run.Spec) == WeightRule.One ? contributions : null);
        writer.End();
        string sha256 = next.Keep();
        state?.Keep();
        return (sha256, weight, last);

        // What comes after the update's values is a vote.
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

    /// <summary>These weights under a hash that the run has not had: their own, or low bits of the first values changed. Members answer one set of contributors a model, and may have answered one for this.</summary>
    private string Free(string sha256)
    {
        HashSet<string> known = [.. context.Store.Models(run.Id).Select(model => model.Sha256), run.State.ModelSha256];
        return ModelNames.Free(sha256, known, change => Changed(sha256, change));
    }

    /// <summary>The bits of a number spread over the first 16 values, or over those there are: of each its last bits change.</summary>
    private string Changed(string sha256, int change)
    {
        int values = (int)Math.Min(16, RoundFigures.Of(run, 1).Weights); // scaffold: its c stays what it is
        byte[] first = new byte[values * sizeof(float)];
        using FileStream model = context.Blobs.Open(sha256);
        model.Position = run.ModelHeader.DataStart;
        model.ReadExactly(first);
        for (int bit = 0; bit < 16; bit++)
        {
            if ((change >> bit & 1) != 0) first[bit % values * sizeof(float) + bit / values / 8] ^= (byte)(1 << bit / values % 8);
        }

        using BlobStore.NewBlob next = context.Blobs.Create();
        next.Stream.Write(run.ModelHeader.Bytes);
        next.Stream.Write(first);
        model.CopyTo(next.Stream);
        return next.Keep();
    }
}
