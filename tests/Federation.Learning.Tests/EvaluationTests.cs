using CsCheck;
using Federation.Formats.Evaluation;
using Federation.Learning.Evaluation;

namespace Federation.Learning.Tests;

public sealed class EvaluationTests
{
    private static readonly double[] Scores = [.1, .4, .35, .8, .5, .5, .99, .01, .62, .62];
    private static readonly int[] Labels = [0, 0, 1, 1, 0, 1, 1, 0, 1, 0];

    [Fact] // Expected values: scikit-learn 1.2.1 (roc_auc_score, log_loss, brier_score_loss, accuracy_score)
    public void Binary_FixedScores_EqualScikitLearn()
    {
        Metrics metrics = ClassificationSums.Binary(Scores, Labels).ToMetrics();
        Assert.Equal(0.47411666752683035, metrics.LogLoss!.Value, 1e-12);
        Assert.Equal(0.16615, metrics.Brier!.Value, 1e-12);
        Assert.Equal(0.7, metrics.Accuracy);
        Assert.Equal(0.8, RankAuc.Of(Scores, Labels)!.Value, 1e-12);
        Assert.Equal(0.8, metrics.Auc!.Value, 1e-12); // no two different scores share a bin
    }

    [Fact] // Expected values: scikit-learn 1.2.1 and numpy
    public void Multiclass_FixedProbabilities_EqualScikitLearn()
    {
        double[][] probabilities = [[.7, .2, .1], [.1, .8, .1], [.2, .3, .5], [.4, .35, .25], [.05, .05, .9]];
        Metrics metrics = ClassificationSums.Multiclass(probabilities, [0, 1, 1, 2, 2]).ToMetrics();
        Assert.Equal(0.655089235271319, metrics.LogLoss!.Value, 1e-12);
        Assert.Equal(0.368, metrics.Brier!.Value, 1e-12);
        Assert.Equal(0.6, metrics.Accuracy, 1e-12);
        Assert.Null(metrics.Auc);
    }

    [Fact] // Pairs that share a bin count half in the histogram's AUC, so it differs by at most half their share
    public void Auc_OfHistograms_IsWithinBinningOfTheExactOne() => Cases.Sample(rows =>
    {
        double[] scores = [.. rows.Select(row => row.Score)];
        int[] labels = [.. rows.Select(row => row.Label)];
        double? exact = RankAuc.Of(scores, labels), binned = ClassificationSums.Binary(scores, labels).ToMetrics().Auc;
        Assert.Equal(exact is null, binned is null);
        if (exact is null) return;
        double pairs = 0, shared = 0;
        foreach ((double score, int _) in rows.Where(row => row.Label == 1))
        {
            foreach ((double other, int _) in rows.Where(row => row.Label == 0))
            {
                pairs++;
                if (Bin(score) == Bin(other)) shared++;
            }
        }

        Assert.True(Math.Abs(exact.Value - binned!.Value) <= (shared / pairs / 2) + 1e-12);
    });

    [Fact]
    public void Add_SplitRows_GivesTheWhole() => Gen.Select(Cases, Gen.Int[0, 100]).Sample((rows, at) =>
    {
        at %= rows.Length + 1;
        EvaluationSums whole = Of(rows), sum = Of(rows[..at]).Add(Of(rows[at..]));
        Assert.Equal((whole.Examples, whole.Correct), (sum.Examples, sum.Correct));
        Assert.Equal(whole.LogLossSum, sum.LogLossSum, 1e-9);
        Assert.Equal(whole.NegativeHistogram, sum.NegativeHistogram);
        Assert.Equal(whole.ToMetrics().Auc, sum.ToMetrics().Auc);
    });

    [Fact]
    public void Binary_CertainAndWrong_StaysFinite() =>
        Assert.Equal(-Math.Log(1e-15), ClassificationSums.Binary([0.0], [1]).LogLossSum, 1e-9);

    private static Gen<(double Score, int Label)[]> Cases => Gen.Select(Gen.Double[0, 1], Gen.Int[0, 1]).Array[1, 60];

    private static int Bin(double score) => Math.Min((int)(score * 256), 255);

    private static EvaluationSums Of((double Score, int Label)[] rows) => ClassificationSums.Binary([.. rows.Select(row => row.Score)], [.. rows.Select(row => row.Label)]);
}
