using Federation.Formats.Runs;
using Federation.Privacy.Mechanisms;

namespace Federation.Formats.Evaluation;

/// <summary>An evaluation's sums under differential privacy: examples, right ones, and for AUC a histogram of few bins for each class. Each record moves one of each by one.</summary>
public static class NoisyEvaluation
{
    /// <summary>Equal bins on [0, 1] a class: each bin has its own noise, so few are better than many.</summary>
    public const int Bins = 16;

    private const int Scalars = 2, Width = EvaluationSums.Bins / Bins;

    /// <param name="run">Has <see cref="RunSpec.Privacy"/>, and <see cref="EvaluateSpec.NoiseMultiplier"/>.</param>
    public static NoisySums NoiseOf(RunSpec run)
    {
        bool histograms = HasHistograms(run);
        return new(histograms ? Scalars + (2 * Bins) : Scalars, histograms ? Scalars + 1 : Scalars, run.Evaluate!.NoiseMultiplier!.Value, run.Privacy!.NoisySites(run.Cohort.MinContributors));
    }

    /// <summary>One site's sums with its part of the noise, as numbers that are encrypted and summed.</summary>
    public static ulong[] Hide(EvaluationSums sums, RunSpec run, SecureRandom random)
    {
        IEnumerable<double> histograms = HasHistograms(run) ? Coarse(sums.NegativeHistogram).Concat(Coarse(sums.PositiveHistogram)) : [];
        return NoiseOf(run).Hide([sums.Examples, sums.Correct, .. histograms], random);
    }

    /// <summary>The evaluation that fits the noisy sums best.</summary>
    /// <exception cref="ArgumentException">The numbers are no such sums, or the noise is larger than the number of examples.</exception>
    public static EvaluationSums Open(ReadOnlySpan<ulong> numbers, int contributions, RunSpec run)
    {
        NoisySums noise = NoiseOf(run);
        double[] figures = noise.Open(numbers, contributions);
        double examples = Math.Round(figures[0]);
        if (examples < 1) throw new ArgumentException($"With its noise (standard deviation {noise.Deviation(contributions):0.#}) the number of test rows is {examples}: there are too few of them for evaluate.noiseMultiplier {noise.NoiseMultiplier}.", nameof(numbers));
        return new EvaluationSums
        {
            Examples = (ulong)examples,
            Correct = (ulong)Math.Clamp(Math.Round(figures[1]), 0, examples),
            HasLosses = false,
            LogLossSum = 0,
            BrierSum = 0,
            NegativeHistogram = HasHistograms(run) ? Fine(figures.AsSpan(Scalars, Bins)) : [],
            PositiveHistogram = HasHistograms(run) ? Fine(figures.AsSpan(Scalars + Bins, Bins)) : [],
        };
    }

    private static bool HasHistograms(RunSpec run) => run.Task?.Kind == TaskKind.BinaryClassification && run.Evaluate!.Metrics.Contains("auc");

    private static IEnumerable<double> Coarse(IReadOnlyList<ulong> histogram) => Enumerable.Range(0, Bins).Select(bin => (double)(histogram.Count == 0 ? 0 : histogram.Skip(bin * Width).Take(Width).Aggregate(0UL, (sum, count) => sum + count)));

    // Each coarse bin stands in the middle of those it was made of.
    private static ulong[] Fine(ReadOnlySpan<double> noisy)
    {
        ulong[] histogram = new ulong[EvaluationSums.Bins];
        double[] counts = NoisySums.Counts(noisy);
        for (int bin = 0; bin < Bins; bin++) histogram[(bin * Width) + (Width / 2)] = (ulong)Math.Round(counts[bin]);
        return histogram;
    }
}
