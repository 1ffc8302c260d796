using System.Runtime.InteropServices;
using Federation.Privacy.Accounting;
using Federation.Privacy.Mechanisms;

namespace Federation.Learning.DifferentialPrivacy;

/// <summary>Each of n units enters a sample with probability q, independently: the sampling that the accountants bound. An empty sample is a sample.</summary>
/// <remarks>q is rounded down to a multiple of 2⁻⁶⁴: what was sampled less than was accounted for costs less.</remarks>
public sealed class PoissonSampler
{
    private readonly ulong _threshold;
    private readonly SecureRandom _random;

    /// <exception cref="ArgumentOutOfRangeException">The number of units is negative.</exception>
    public PoissonSampler(int units, SamplingRate rate, SecureRandom random)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(units);
        (Units, Rate, _random) = (units, rate, random);
        // Exact: scaling by 2⁶⁴ changes no digit.
        _threshold = rate.Value == 1 ? ulong.MaxValue : (ulong)Math.ScaleB(rate.Value, 64);
    }

    public int Units { get; }

    public SamplingRate Rate { get; }

    /// <summary>The units of the next sample, ascending.</summary>
    public List<int> Next()
    {
        List<int> sample = [];
        Span<ulong> drawn = stackalloc ulong[512];
        for (int first = 0; first < Units; first += drawn.Length)
        {
            Span<ulong> chunk = drawn[..Math.Min(drawn.Length, Units - first)];
            _random.Fill(MemoryMarshal.AsBytes(chunk));
            for (int i = 0; i < chunk.Length; i++)
            {
                if (Rate.Value == 1 || chunk[i] < _threshold) sample.Add(first + i);
            }
        }

        drawn.Clear();
        return sample;
    }
}
