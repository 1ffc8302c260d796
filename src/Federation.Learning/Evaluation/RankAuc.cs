namespace Federation.Learning.Evaluation;

/// <summary>The exact area under the ROC curve from raw scores; needs the scores in one place, so it is for a site's own figures.</summary>
public static class RankAuc
{
    /// <summary>Mann and Whitney 1947: the share of (negative, positive) pairs ranked rightly, ties half; null where a class is missing.</summary>
    public static double? Of(IReadOnlyList<double> scores, IReadOnlyList<int> labels)
    {
        int[] order = [.. Enumerable.Range(0, scores.Count).OrderBy(i => scores[i])];
        double rankSum = 0;
        long positives = labels.Count(label => label == 1), negatives = labels.Count - positives;
        for (int i = 0; i < order.Length;)
        {
            int j = i;
            while (j < order.Length && scores[order[j]] == scores[order[i]]) j++;
            double rank = (i + 1 + j) / 2.0;
            for (; i < j; i++) if (labels[order[i]] == 1) rankSum += rank;
        }

        return positives == 0 || negatives == 0 ? null : (rankSum - (positives * (positives + 1) / 2.0)) / ((double)positives * negatives);
    }
}
