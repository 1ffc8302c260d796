namespace Federation.Formats.Evaluation;

/// <summary>
/// Evaluation sums as small whole numbers that may be added coefficient by coefficient under encryption: each figure in three limbs of 20 bits, losses in steps of 2⁻²⁰.
/// Sums over up to 2²⁰ sites stay below 2⁴⁰.
/// </summary>
public static class EvaluationCounts
{
    private const int Limbs = 3, LimbBits = 20, Scalars = 4;
    private const double Steps = 1 << 20;

    /// <summary>Numbers of one evaluation.</summary>
    public const int Length = Limbs * (Scalars + (2 * EvaluationSums.Bins));

    /// <exception cref="ArgumentException">A figure is 2⁶⁰ or more.</exception>
    public static ulong[] Of(EvaluationSums sums)
    {
        ulong[] numbers = new ulong[Length];
        int at = 0;
        Put(sums.Examples);
        Put(sums.Correct);
        Put((ulong)Math.Round(sums.LogLossSum * Steps));
        Put((ulong)Math.Round(sums.BrierSum * Steps));
        foreach (IReadOnlyList<ulong> histogram in new[] { sums.NegativeHistogram, sums.PositiveHistogram })
        {
            for (int bin = 0; bin < EvaluationSums.Bins; bin++) Put(histogram.Count == 0 ? 0 : histogram[bin]);
        }

        return numbers;

        void Put(ulong value)
        {
            if (value >> (Limbs * LimbBits) != 0) throw new ArgumentException($"The figure {value} of an evaluation is too large.", nameof(sums));
            for (int limb = 0; limb < Limbs; limb++) numbers[at++] = (value >> (limb * LimbBits)) & ((1UL << LimbBits) - 1);
        }
    }

    /// <summary>From sums of such numbers.</summary>
    /// <param name="histograms">Whether the task has score histograms.</param>
    /// <exception cref="ArgumentException">The sums are no evaluation: a site sent something else.</exception>
    public static EvaluationSums Sum(ReadOnlySpan<ulong> numbers, bool histograms)
    {
        if (numbers.Length < Length) throw new ArgumentException($"An evaluation has {Length} numbers, not {numbers.Length}.", nameof(numbers));
        ulong[] figures = new ulong[Scalars + (2 * EvaluationSums.Bins)];
        for (int i = 0; i < figures.Length; i++)
        {
            UInt128 value = 0;
            for (int limb = Limbs - 1; limb >= 0; limb--) value = (value << LimbBits) + numbers[(Limbs * i) + limb];
            if (value > ulong.MaxValue) throw new ArgumentException("The opened sums are no evaluation: a figure is too large.", nameof(numbers));
            figures[i] = (ulong)value;
        }

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
