using Federation.Formats.Evaluation;

namespace Federation.Learning.Evaluation;

/// <summary>Evaluation sums from probabilities and classes.</summary>
public static class ClassificationSums
{
    /// <summary>Probabilities are kept within [this, 1 − this] in the logarithm, as scikit-learn does.</summary>
    public const double Smallest = 1e-15;

    /// <param name="scores">Probability of class 1, each in [0, 1].</param>
    /// <param name="labels">0 or 1.</param>
    public static EvaluationSums Binary(IReadOnlyList<double> scores, IReadOnlyList<int> labels)
    {
        ulong correct = 0;
        double logLoss = 0, brier = 0;
        ulong[] negative = new ulong[EvaluationSums.Bins], positive = new ulong[EvaluationSums.Bins];
        for (int i = 0; i < scores.Count; i++)
        {
            double p = scores[i];
            int y = labels[i];
            if ((p >= 0.5) == (y == 1)) correct++;
            logLoss -= Math.Log(Math.Clamp(y == 1 ? p : 1 - p, Smallest, 1));
            brier += (p - y) * (p - y);
            (y == 1 ? positive : negative)[Math.Min((int)(p * EvaluationSums.Bins), EvaluationSums.Bins - 1)]++;
        }

        return new EvaluationSums
        {
            Examples = (ulong)scores.Count, Correct = correct, LogLossSum = logLoss, BrierSum = brier, NegativeHistogram = negative, PositiveHistogram = positive,
        };
    }

    /// <param name="probabilities">A row an example, a column a class, rows summing to 1.</param>
    public static EvaluationSums Multiclass(IReadOnlyList<double[]> probabilities, IReadOnlyList<int> labels)
    {
        ulong correct = 0;
        double logLoss = 0, brier = 0;
        for (int i = 0; i < probabilities.Count; i++)
        {
            double[] p = probabilities[i];
            int y = labels[i];
            if (Array.IndexOf(p, p.Max()) == y) correct++;
            logLoss -= Math.Log(Math.Clamp(p[y], Smallest, 1));
            for (int k = 0; k < p.Length; k++) brier += Math.Pow(p[k] - (k == y ? 1 : 0), 2);
        }

        return new EvaluationSums { Examples = (ulong)probabilities.Count, Correct = correct, LogLossSum = logLoss, BrierSum = brier };
    }
}
