using Federation.Privacy.Homomorphic;
using Federation.Privacy.Mechanisms;

namespace Federation.Privacy.SecureAggregation;

/// <summary>The secret of one message in the pad ring: 2048 values of a discrete Gaussian, σ = 6.1. It encrypts one message and no other. Dispose wipes it.</summary>
public sealed class PadSecret : IDisposable
{
    private readonly SecretMemory<long> _values = new(PadRing.Degree);
    private const ulong LargestValue = 1023; // of the sampler's table, at σ = 6.1

    private int _taken;

    /// <summary>A fresh one.</summary>
    public PadSecret(SecureRandom random) => new DiscreteGaussianSampler(PadRing.Sigma * PadRing.Sigma, random).Fill(_values.Span);

    /// <exception cref="ObjectDisposedException">The secret has been wiped: zeros would encrypt nothing.</exception>
    internal ReadOnlySpan<long> Values => _values.Span;

    /// <summary>What travels under the committee's key: the secret in coefficients 0–2047 (negative values as t + s), small sums of the round after it.</summary>
    /// <param name="sums">At most N − 2048 values of at most ⌊(t − 1)/cohort⌋, so that no sum over the cohort wraps.</param>
    /// <param name="cohort">The most contributors.</param>
    /// <exception cref="ArgumentException">There are too many sums, or one is too large.</exception>
    public Plaintext ToPlaintext(BfvParameters parameters, ReadOnlySpan<ulong> sums, int cohort)
    {
        if (parameters.Degree < PadRing.Degree || parameters.PlainModulus.Value <= 2 * (ulong)cohort * LargestValue) throw new ArgumentException($"Sums of {cohort} pad secrets take N ≥ {PadRing.Degree} and t > {2 * (ulong)cohort * LargestValue}; these parameters have {parameters}.", nameof(parameters));
        ulong largest = (parameters.PlainModulus.Value - 1) / (ulong)cohort;
        foreach (ulong sum in sums)
        {
            if (sum > largest) throw new ArgumentOutOfRangeException(nameof(sums), $"A value beside a pad secret is above {largest}: the sum over {cohort} sites could wrap.");
        }

        if (sums.Length > parameters.Degree - PadRing.Degree) throw new ArgumentException($"Beside a pad secret there is room for {parameters.Degree - PadRing.Degree} sums, not {sums.Length}.", nameof(sums));
        Modulus t = parameters.PlainModulus;
        using SecretWords words = new(PadRing.Degree + sums.Length);
        for (int i = 0; i < PadRing.Degree; i++) words.Span[i] = t.FromSigned(Values[i]);
        sums.CopyTo(words.Span[PadRing.Degree..]);
        return new(parameters, words.Span);
    }

    /// <summary>Σs from the opened sum of such plaintexts: centred modulo t.</summary>
    /// <exception cref="ArgumentException">Its parameters have no room for a pad secret.</exception>
    public static long[] SumFrom(Plaintext opened)
    {
        if (opened.Parameters.Degree < PadRing.Degree) throw new ArgumentException($"A pad secret has {PadRing.Degree} values; this plaintext has {opened.Parameters.Degree}.", nameof(opened));
        long t = (long)opened.Parameters.PlainModulus.Value;
        return [.. opened.Coefficients[..PadRing.Degree].ToArray().Select(value => (long)value > t / 2 ? (long)value - t : (long)value)];
    }

    /// <exception cref="InvalidOperationException">A message was begun with it before.</exception>
    internal void Take()
    {
        if (Interlocked.Exchange(ref _taken, 1) != 0) throw new InvalidOperationException("A pad secret encrypts one message only; draw a new one.");
    }

    public void Dispose() => _values.Dispose();
}
