namespace Federation.Formats.Evaluation;

/// <summary>An evaluation as sums over examples, so that sites' results add up. AUC comes from two score histograms.</summary>
public sealed record EvaluationSums
{
    /// <summary>Equal bins on [0, 1] a class.</summary>
    public const int Bins = 256;

    public required ulong Examples { get; init; }

    public required ulong Correct { get; init; }

    /// <summary>Whether the two sums of losses were taken; a noisy evaluation has none.</summary>
    public bool HasLosses { get; init; } = true;

    /// <summary>Natural logarithm; probabilities are kept at or above 1e-15.</summary>
    public required double LogLossSum { get; init; }

    /// <summary>Binary (p − y)²; multi-class Σ over classes of (p_k − y_k)². Brier 1950.</summary>
    public required double BrierSum { get; init; }

    /// <summary>Binary tasks: examples of class 0 by score, length <see cref="Bins"/>; empty otherwise.</summary>
    public IReadOnlyList<ulong> NegativeHistogram { get; init; } = [];

    /// <summary>Binary tasks: examples of class 1 by score, length <see cref="Bins"/>; empty otherwise.</summary>
    public IReadOnlyList<ulong> PositiveHistogram { get; init; } = [];

    /// <exception cref="ArgumentException">One has histograms and the other has none.</exception>
    public EvaluationSums Add(EvaluationSums other)
    {
        if (Examples == 0) return other;
        if (other.Examples == 0) return this;
        return new EvaluationSums
        {
            Examples = Examples + other.Examples,
            Correct = Correct + other.Correct,
            HasLosses = HasLosses && other.HasLosses,
            LogLossSum = LogLossSum + other.LogLossSum,
            BrierSum = BrierSum + other.BrierSum,
            NegativeHistogram = Add(NegativeHistogram, other.NegativeHistogram),
            PositiveHistogram = Add(PositiveHistogram, other.PositiveHistogram),
        };
    }

    /// <exception cref="InvalidOperationException">There are no examples.</exception>
    public Metrics ToMetrics()
    {
        if (Examples == 0) throw new InvalidOperationException("An evaluation of no examples has no metrics.");
        double n = Examples;
        return new Metrics(Examples, Correct / n, AreaUnderCurve(), HasLosses ? LogLossSum / n : null, HasLosses ? BrierSum / n : null);
    }

    /// <summary>Mann-Whitney: the share of (negative, positive) pairs ranked rightly, ties in one bin counted half.</summary>
    private double? AreaUnderCurve()
    {
        double below = 0, pairs = 0, negatives = 0, positives = 0;
        for (int bin = 0; bin < NegativeHistogram.Count; bin++)
        {
            pairs += PositiveHistogram[bin] * (below + (NegativeHistogram[bin] / 2.0));
            below += NegativeHistogram[bin];
            negatives += NegativeHistogram[bin];
            positives += PositiveHistogram[bin];
        }

        return negatives == 0 || positives == 0 ? null : pairs / (negatives * positives);
    }

    private static ulong[] Add(IReadOnlyList<ulong> a, IReadOnlyList<ulong> b)
    {
        if (a.Count != b.Count) throw new ArgumentException($"Histograms of {a.Count} and {b.Count} bins do not add up.");
        return [.. a.Zip(b, (x, y) => x + y)];
    }
}

/// <param name="Accuracy">In [0, 1].</param>
/// <param name="Auc">In [0, 1]; null in a multi-class task or where one class is missing.</param>
/// <param name="LogLoss">Natural logarithm, mean an example; null where no losses were summed.</param>
/// <param name="Brier">Mean an example; null where no losses were summed.</param>
public sealed record Metrics(ulong Examples, double Accuracy, double? Auc, double? LogLoss, double? Brier);
