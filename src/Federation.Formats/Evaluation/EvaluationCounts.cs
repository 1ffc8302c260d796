namespace Federation.Formats.Evaluation;

/// <summary>Evaluation sums as <see cref="Limbs"/>, losses in steps of 2⁻²⁰.</summary>
public static class EvaluationCounts
{
    private const int Scalars = 4, Figures = Scalars + (2 * EvaluationSums.Bins);
    private const double Steps = 1 << 20;

    /// <summary>Numbers of one evaluation.</summary>
    public const int Length = Limbs.Each * Figures;

    /// <exception cref="ArgumentException">A figure is 2⁶⁰ or more.</exception>
    public static ulong[] Of(EvaluationSums sums)
    {
        IEnumerable<ulong> histograms = new[] { sums.NegativeHistogram, sums.PositiveHistogram }.SelectMany(histogram => histogram.Count == 0 ? Enumerable.Repeat(0UL, EvaluationSums.Bins) : histogram);
        return Limbs.Split([sums.Examples, sums.Correct, (ulong)Math.Round(sums.LogLossSum * Steps), (ulong)Math.Round(sums.BrierSum * Steps), .. histograms]);
    }

    /// <summary>From sums of such numbers.</summary>
    /// <param name="histograms">Whether the task has score histograms.</param>
    /// <exception cref="ArgumentException">The sums are no evaluation: a site sent something else.</exception>
    public static EvaluationSums Sum(ReadOnlySpan<ulong> numbers, bool histograms)
    {
        ulong[] figures = [.. Limbs.Join(numbers, Figures, ulong.MaxValue).Select(figure => (ulong)figure)];
        if (figures[1] > figures[0]) throw new ArgumentException($"The opened sums are no evaluation: {figures[1]} of {figures[0]} examples cannot be right.", nameof(numbers));
        return new EvaluationSums
        {
            Examples = figures[0],
            Correct = figures[1],
            LogLossSum = figures[2] / Steps,
            BrierSum = figures[3] / Steps,
            NegativeHistogram = histograms ? figures[Scalars..(Scalars + EvaluationSums.Bins)] : [],
            PositiveHistogram = histograms ? figures[(Scalars + EvaluationSums.Bins)..] : [],
        };
    }
}
