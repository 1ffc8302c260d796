using System.Numerics;
using Federation.Privacy.Accounting;

namespace Federation.Privacy.Mechanisms;

/// <summary>
/// The Gaussian mechanism for real vectors without its floating-point holes: values are rounded to a grid, the noise is whole grid steps, the sum is one of integers.
/// What comes out depends on the data only through that sum, so neither the doubles' gaps (Mironov 2012) nor their rounding (Haney, Desfontaines, Hartman, Shrestha, Hay 2022) tells anything.
/// </summary>
/// <remarks>
/// The grid's step g is a power of two. Rounding moves two neighbouring vectors apart by at most g√d more, so the L2 sensitivity is Δ + g√d.
/// A discrete Gaussian of variance s² around an integer vector is, within 2^−111 a coordinate, the continuous one of variance s² − 4 followed by a discrete Gaussian of variance 4 around its outcome
/// (as for <see cref="DiscreteGaussianSampler"/>, by Poisson summation). The latter is post-processing, so the release costs no more than the continuous Gaussian of noise multiplier g√(s² − 4)/(Δ + g√d); <see cref="Event"/> says so.
/// </remarks>
public sealed class GridGaussian
{
    private const int Chunk = 1024;
    private const double Fineness = 1.0 / (1 << 14); // of the grid against σ and Δ/√d
    private const double LargestMultiple = 1L << 61;

    private readonly DiscreteGaussianSampler _sampler;
    private readonly int _dimension;

    /// <param name="standardDeviation">σ of the noise in each coordinate, positive.</param>
    /// <param name="sensitivity">Δ, the L2 sensitivity of the vector before rounding, under the relation that <see cref="Event"/> will be accounted for, positive: a clipping norm C is Δ under AddOrRemoveOne, 2C is it under ReplaceOne.
    /// The sum of the contributions must be exact, or its rounding be part of Δ (Casacuberta, Shoemate, Vadhan, Wagaman 2022).</param>
    /// <param name="dimension">d, positive.</param>
    /// <exception cref="ArgumentOutOfRangeException">A value is not positive and finite, or σ is more than 2⁵⁰ of the grid's steps.</exception>
    public GridGaussian(double standardDeviation, double sensitivity, int dimension, SecureRandom random)
    {
        if (standardDeviation is not (> 0 and < double.PositiveInfinity)) throw new ArgumentOutOfRangeException(nameof(standardDeviation), standardDeviation, "A standard deviation must be in (0, ∞).");
        if (sensitivity is not (> 0 and < double.PositiveInfinity)) throw new ArgumentOutOfRangeException(nameof(sensitivity), sensitivity, "A sensitivity must be in (0, ∞).");
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(dimension);
        double root = Math.Sqrt(dimension);
        Step = Math.ScaleB(1, Math.ILogB(Fineness * Math.Min(standardDeviation, sensitivity / root)));
        double inSteps = standardDeviation / Step; // exact: a power of two
        if (!double.IsFinite(inSteps) || inSteps * inSteps > DiscreteGaussianSampler.LargestVariance)
        {
            throw new ArgumentOutOfRangeException(nameof(standardDeviation), standardDeviation, $"Noise of {standardDeviation} is too wide for {dimension} values of sensitivity {sensitivity}.");
        }

        _dimension = dimension;
        _sampler = new(inSteps * inSteps, random);
        double wide = (sensitivity / Step) + root;
        double noiseMultiplier = Math.Sqrt(_sampler.Variance - DiscreteGaussian.RoundingVariance) / wide * (1 - 1e-15); // rounded down
        Event = new InexactEvent(new GaussianEvent(noiseMultiplier), Math.Min(1, dimension * (_sampler.StatisticalDistance + DiscreteGaussian.RoundingDistance)));
    }

    /// <summary>g: what comes out is a multiple of it.</summary>
    public double Step { get; }

    /// <summary>What one release costs, under the relation of the sensitivity.</summary>
    public PrivacyEvent Event { get; }

    /// <summary>The same where each unit entered the vector with this probability.</summary>
    public PrivacyEvent Sampled(SamplingRate rate)
    {
        var inexact = (InexactEvent)Event;
        return new InexactEvent(new GaussianEvent(((GaussianEvent)inexact.Exact).NoiseMultiplier, rate), inexact.StatisticalDistance);
    }

    /// <summary>What one release costs where a unit moves the vector by so many times the sensitivity: twice, where what is clipped to it can become anything else that is.</summary>
    /// <param name="times">Positive.</param>
    public PrivacyEvent Moved(int times)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(times);
        var inexact = (InexactEvent)Event;
        return new InexactEvent(new GaussianEvent(((GaussianEvent)inexact.Exact).NoiseMultiplier.Value / times), inexact.StatisticalDistance);
    }

    /// <summary>sums[i] += noise, all in steps of the grid: for a sum of vectors of which each was rounded to the grid by itself, so that nothing is rounded in the sum.</summary>
    /// <param name="sums">A release's vector or, one after another, its parts: d values in all. The rounded part of each unit is within Δ + g√d.</param>
    /// <exception cref="OverflowException">A sum with its noise is beyond 2⁶³ steps; nothing may be released.</exception>
    public void AddNoiseSteps(Span<long> sums)
    {
        Span<long> noise = stackalloc long[Chunk];
        for (; sums.Length > 0; sums = sums[Math.Min(Chunk, sums.Length)..])
        {
            Span<long> chunk = noise[..Math.Min(Chunk, sums.Length)];
            _sampler.Fill(chunk);
            for (int i = 0; i < chunk.Length; i++) sums[i] = checked(sums[i] + chunk[i]);
        }

        noise.Clear();
    }

    /// <param name="values">Length d; clipped before, so that Δ holds.</param>
    /// <param name="noisy">Length d; may be the same memory.</param>
    /// <exception cref="ArgumentException">A length is not d.</exception>
    /// <exception cref="NonFiniteValueException">A value is NaN, ∞ or beyond 2⁶¹ steps of the grid; nothing may be released.</exception>
    public void AddNoise(ReadOnlySpan<double> values, Span<double> noisy)
    {
        if (values.Length != _dimension || noisy.Length != _dimension) throw new ArgumentException($"{values.Length} values and {noisy.Length} places, where the dimension is {_dimension}.", nameof(values));
        for (int i = 0; i < values.Length; i++)
        {
            if (!(Math.Abs(values[i] / Step) <= LargestMultiple)) throw Refused(i, values.Length);
        }

        Span<long> noise = stackalloc long[Chunk];
        for (int start = 0; start < values.Length; start += Chunk)
        {
            Span<long> chunk = noise[..Math.Min(Chunk, values.Length - start)];
            _sampler.Fill(chunk);
            for (int i = 0; i < chunk.Length; i++) noisy[start + i] = ((long)Math.Round(values[start + i] / Step) + chunk[i]) * Step;
        }

        noise.Clear();
    }

    /// <summary>Noise of one release, in steps of the grid, for <see cref="Release"/>: so it can be drawn before the values are known.</summary>
    /// <param name="noise">Length d.</param>
    public void Draw(Span<long> noise)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(noise.Length, _dimension);
        for (; noise.Length > 0; noise = noise[Math.Min(Chunk, noise.Length)..]) _sampler.Fill(noise[..Math.Min(Chunk, noise.Length)]);
    }

    /// <summary>(values + noise)/divisor; the division is of what is released already.</summary>
    /// <param name="values">Length d; clipped before, so that Δ holds. The released ones come in their place.</param>
    /// <param name="noise">From <see cref="Draw"/>, fresh for this release; zeros afterwards.</param>
    /// <param name="divisor">A public number, positive.</param>
    /// <exception cref="NonFiniteValueException">As of <see cref="AddNoise"/>; the values are unchanged and nothing of them may be released.</exception>
    public void Release(Span<float> values, Span<long> noise, double divisor)
    {
        ArgumentOutOfRangeException.ThrowIfNotEqual(values.Length, _dimension);
        ArgumentOutOfRangeException.ThrowIfNotEqual(noise.Length, _dimension);
        if (divisor is not (> 0 and < double.PositiveInfinity)) throw new ArgumentOutOfRangeException(nameof(divisor), divisor, "A divisor must be in (0, ∞).");
        Check(values);
        int i = 0, half = Vector<double>.Count;
        for (; i <= values.Length - Vector<float>.Count; i += Vector<float>.Count)
        {
            Vector.Widen(new Vector<float>(values[i..]), out Vector<double> low, out Vector<double> high);
            Vector.Narrow(Noisy(low, noise[i..], divisor), Noisy(high, noise[(i + half)..], divisor)).CopyTo(values[i..]);
        }

        ReleaseScalar(values[i..], noise[i..], divisor);
        noise.Clear();
    }

    /// <summary>The plain twin, without the check.</summary>
    internal void ReleaseScalar(Span<float> values, ReadOnlySpan<long> noise, double divisor)
    {
        for (int i = 0; i < values.Length; i++) values[i] = (float)(((long)Math.Round(values[i] / Step) + noise[i]) * Step / divisor);
    }

    private Vector<double> Noisy(Vector<double> values, ReadOnlySpan<long> noise, double divisor) =>
        Vector.ConvertToDouble(Vector.ConvertToInt64(Vector.Round(values / Step)) + new Vector<long>(noise)) * Step / new Vector<double>(divisor);

    private void Check(ReadOnlySpan<float> values)
    {
        double largest = LargestMultiple * Step;
        float bound = largest < float.MaxValue ? (float)(largest / 2) : float.MaxValue;
        int i = 0;
        for (; i <= values.Length - Vector<float>.Count; i += Vector<float>.Count)
        {
            if (!Vector.LessThanOrEqualAll(Vector.Abs(new Vector<float>(values[i..])), new Vector<float>(bound))) break;
        }

        for (; i < values.Length; i++)
        {
            if (!(Math.Abs(values[i]) <= bound)) throw Refused(i, values.Length);
        }
    }

    // Never the value: messages are logged.
    private NonFiniteValueException Refused(int i, int count) => new($"Value {i} of {count} is not finite, or beyond the grid's ±{LargestMultiple * Step}.");
}
