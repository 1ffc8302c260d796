using Federation.Privacy.Accounting;
using Federation.Privacy.Mechanisms;
using Federation.Privacy.SecureAggregation;

namespace Federation.Formats.Evaluation;

/// <summary>
/// Sums over the records of several sites that are opened with noise: each site adds its part of a discrete Gaussian to its figures, in steps of 2⁻²⁰, before they are encrypted.
/// A figure may come out below zero; it is kept positive for the limbs by a constant that is taken off again.
/// </summary>
/// <param name="Figures">How many.</param>
/// <param name="Moved">So many of them a unit moves at most, each by at most 1: the vector by Δ₂ = √Moved.</param>
/// <param name="NoiseMultiplier">σ: the noise of <paramref name="NoisySites"/> together has the standard deviation σ·Δ₂ in each figure. Positive.</param>
/// <param name="NoisySites">So many parts make up the noise; 1: each site adds all of it.</param>
public sealed record NoisySums(int Figures, int Moved, double NoiseMultiplier, int NoisySites)
{
    /// <summary>Steps of one.</summary>
    public const double Steps = 1 << 20;

    // Below it lies a site's figure, in steps; twice it, with noise, is still below 2⁶⁰.
    private const ulong Offset = 1UL << 58;
    private const long MostNoise = 1L << 57;

    /// <summary>A figure that is rounded to a double and to steps moves by up to two steps more.</summary>
    private double Sensitivity => Math.Sqrt(Moved) * (Steps + 2);

    /// <summary>s², of one site's part, in steps.</summary>
    private double Variance => Math.Pow(NoiseMultiplier * Sensitivity, 2) / NoisySites;

    /// <summary>Standard deviation of a figure's noise where so many sites added their part.</summary>
    /// <param name="contributions">Sites in the sum.</param>
    public double Deviation(int contributions) => Math.Sqrt(Variance * contributions) / Steps;

    /// <summary>What an opening costs each unit, under AddOrRemoveOne.</summary>
    /// <param name="noisySites">n, whose part is in the sum and unknown.</param>
    public PrivacyEvent Event(int noisySites)
    {
        using SecureRandom random = new();
        return SharedNoise.Event(noisySites, Math.Sqrt(Variance), Sensitivity, Figures, new SamplingRate(1), noisySites * Figures * new DiscreteGaussianSampler(Variance, random).StatisticalDistance);
    }

    /// <summary>A site's figures with its part of the noise, as numbers that are encrypted and summed.</summary>
    /// <param name="figures">Each in [0, 2³⁸).</param>
    /// <exception cref="ArgumentException">There are more or fewer figures, or one is out of range.</exception>
    public ulong[] Hide(IReadOnlyList<double> figures, SecureRandom random)
    {
        if (figures.Count != Figures) throw new ArgumentException($"There are {figures.Count} figures; {Figures} are right.", nameof(figures));
        long[] noise = new long[Figures];
        new DiscreteGaussianSampler(Variance, random).Fill(noise);
        ulong[] hidden = new ulong[Figures];
        for (int i = 0; i < hidden.Length; i++)
        {
            double steps = Math.Round(figures[i] * Steps);
            if (steps is not (>= 0 and < Offset)) throw new ArgumentException($"Figure {i} is {figures[i]}; from 0 to 2^38 is right.", nameof(figures));
            hidden[i] = Offset + (ulong)steps;
            // Noise of 2⁵⁷ steps is over 100 deviations away: it is cut where it never comes.
            hidden[i] = unchecked(hidden[i] + (ulong)Math.Clamp(noise[i], -MostNoise, MostNoise));
        }

        return Limbs.Split(hidden);
    }

    /// <summary>The figures' sums with all noise, from sums of such numbers. Not rounded, and below zero as they come.</summary>
    /// <param name="contributions">Sites in the sum.</param>
    /// <exception cref="ArgumentException">There are too few numbers, or they cannot be right: a site sent something else.</exception>
    public double[] Open(ReadOnlySpan<ulong> numbers, int contributions) =>
        [.. Limbs.Join(numbers, Figures, UInt128.MaxValue >> 2).Select(figure => (double)((Int128)figure - ((Int128)Offset * contributions)) / Steps)];

    /// <summary>The nearest counts that are not below zero and add up to the same total, by least squares: noise that single counts have is smoothed away where it contradicts. Post-processing, which costs nothing.</summary>
    /// <remarks>Projection on a simplex: Duchi, Shalev-Shwartz, Singer, Chandra 2008, Figure 1.</remarks>
    public static double[] Counts(ReadOnlySpan<double> noisy)
    {
        double[] sorted = noisy.ToArray();
        double total = Math.Max(0, sorted.Sum()), sum = 0, threshold = 0;
        Array.Sort(sorted, (a, b) => b.CompareTo(a));
        for (int i = 0; i < sorted.Length; i++)
        {
            sum += sorted[i];
            double above = (sum - total) / (i + 1);
            if (sorted[i] > above) threshold = above;
        }

        double[] counts = noisy.ToArray();
        for (int i = 0; i < counts.Length; i++) counts[i] = total == 0 ? 0 : Math.Max(0, counts[i] - threshold);
        return counts;
    }
}
