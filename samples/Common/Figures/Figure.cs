using System.Text.Json.Serialization;
using Federation.Learning.Evaluation;

namespace Federation.Samples.Figures;

/// <param name="Auc">Null where a class is missing, or scores have no common order.</param>
/// <param name="BalancedAccuracy">Mean of the two classes' shares that are right; null where a class is missing, or the sample does not show it.</param>
public sealed record Figure(double Accuracy, double? Auc, [property: JsonIgnore(Condition = JsonIgnoreCondition.WhenWritingNull)] double? BalancedAccuracy = null)
{
    /// <summary>Accuracy and balanced accuracy at 0.5, and the exact AUC.</summary>
    /// <param name="isUnbalanced">With balanced accuracy.</param>
    public static Figure Of(IEnumerable<(double Score, int Label)> rows, bool isUnbalanced)
    {
        (double Score, int Label)[] all = [.. rows];
        double[] scores = [.. all.Select(row => row.Score)];
        int[] labels = [.. all.Select(row => row.Label)];
        return new Figure(Right(all), RankAuc.Of(scores, labels), isUnbalanced && labels.Distinct().Count() == 2 ? all.GroupBy(row => row.Label).Average(Right) : null);
    }

    private static double Right(IEnumerable<(double Score, int Label)> rows) => rows.Average(row => (row.Score >= 0.5) == (row.Label == 1) ? 1.0 : 0);
}
