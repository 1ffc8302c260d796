using System.Collections.Concurrent;
using System.Numerics;
using System.Runtime.CompilerServices;

namespace Federation.Privacy.Mechanisms;

/// <summary>
/// An alias table of a discrete Gaussian with σ ≤ 80 on −1023…1023, its masses integers in units of 2^−128.
/// A draw takes 32 bits: 11 choose a column, 21 are compared with the column's threshold; the threshold's other 96 bits are asked for only on a tie, so a draw is as exact as the masses.
/// </summary>
/// <remarks>Walker 1977, built as in Vose 1991, in integers. The masses come from 256-bit fixed point.</remarks>
internal sealed class NoiseTable
{
    public const double LargestVariance = 6400;

    /// <summary>Of the table's distribution from the discrete Gaussian: 2e^(−1024²/(2·6400)) &lt; 2^−117 beyond the table (E[e^(λX)] ≤ e^(λ²σ²/2), so each tail is at most e^(−x²/(2σ²))), less than 2^−117 from rounding 2047 masses.</summary>
    public const double StatisticalDistance = 1.0 / (1UL << 58) / (1UL << 58); // 2^−116

    private const int Columns = 2048, Middle = Columns / 2, ColumnBits = 11, FractionBits = 21, RestBits = 96;
    private const int Precision = 256;

    private readonly uint[] _entries = GC.AllocateArray<uint>(Columns, pinned: true); // threshold's top 21 bits, then the alias
    private readonly UInt128[] _rests = new UInt128[Columns]; // the threshold's other 96 bits

    private const int MostKept = 64;
    private static readonly ConcurrentDictionary<double, NoiseTable> s_kept = [];

    /// <summary>A table of this variance; the last few are kept, 40 kB each. They hold no secret.</summary>
    public static NoiseTable Of(double variance)
    {
        if (s_kept.Count >= MostKept) s_kept.Clear();
        return s_kept.GetOrAdd(variance, value => new NoiseTable(value));
    }

    public NoiseTable(double variance)
    {
        BigInteger[] masses = Masses(variance);
        BigInteger capacity = BigInteger.One << (FractionBits + RestBits);
        BigInteger[] left = [.. masses];
        Stack<int> poor = new(), rich = new();
        for (int i = 0; i < Columns; i++) (left[i] < capacity ? poor : rich).Push(i);
        while (poor.TryPop(out int column))
        {
            if (!rich.TryPeek(out int donor)) throw new InvalidOperationException("The masses do not add up to one.");
            Set(column, left[column], donor);
            left[donor] -= capacity - left[column];
            if (left[donor] < capacity) poor.Push(rich.Pop());
        }

        foreach (int full in rich) Set(full, 0, full);
    }

    /// <summary>The table, for vector code: entry = threshold's top 21 bits · 2¹¹ + alias.</summary>
    public ReadOnlySpan<uint> Entries => _entries;

    /// <summary>The value of 32 uniform bits; a tie, one in 2²¹, asks for more.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public int Value(uint bits, SecureRandom random)
    {
        uint column = bits >> FractionBits, fraction = bits & ((1u << FractionBits) - 1), entry = _entries[column], threshold = entry >> ColumnBits;
        if (fraction == threshold) return Resolve(column, random);
        // All ones where fraction < threshold: no jump on a secret, whatever the compiler makes of a conditional.
        uint own = unchecked((uint)((int)fraction - (int)threshold >> 31)), alias = entry & (Columns - 1);
        return (int)(alias ^ ((column ^ alias) & own)) - Middle;
    }

    internal int Resolve(uint column, SecureRandom random)
    {
        UInt128 more = new(random.NextUInt32(), random.NextUInt64());
        return (int)(more < _rests[column] ? column : _entries[column] & (Columns - 1)) - Middle;
    }

    /// <summary>Pr[value]·2¹²⁸ that this table draws, for tests.</summary>
    internal BigInteger Mass(int value)
    {
        BigInteger sum = 0;
        for (int column = 0; column < Columns; column++)
        {
            BigInteger threshold = ((BigInteger)(_entries[column] >> ColumnBits) << RestBits) + (BigInteger)_rests[column];
            if (column - Middle == value) sum += threshold;
            if ((int)(_entries[column] & (Columns - 1)) - Middle == value) sum += (BigInteger.One << (FractionBits + RestBits)) - threshold;
        }

        return sum;
    }

    /// <summary>Of −1024…1023, adding up to 2¹²⁸; the first is 0.</summary>
    internal static BigInteger[] Masses(double variance)
    {
        // w(x) = e^(−x²/(2σ²)) from w(x + 1) = w(x)·g^(2x+1), g = e^(−1/(2σ²)).
        BigInteger one = BigInteger.One << Precision;
        (BigInteger numerator, BigInteger denominator) = ExactSampler.Fraction(variance);
        BigInteger g = ExpOfMinus((denominator << Precision) / (2 * numerator)), squared = (g * g) >> Precision, ratio = g, weight = one, total = one;
        BigInteger[] weights = new BigInteger[Middle];
        weights[0] = one;
        for (int x = 1; x < Middle; x++)
        {
            weight = (weight * ratio) >> Precision;
            ratio = (ratio * squared) >> Precision;
            weights[x] = weight;
            total += 2 * weight;
        }

        BigInteger[] masses = new BigInteger[Columns];
        BigInteger rest = BigInteger.One << 128;
        for (int x = 1; x < Middle; x++)
        {
            BigInteger mass = ((weights[x] << 128) + (total / 2)) / total;
            masses[Middle + x] = masses[Middle - x] = mass;
            rest -= 2 * mass;
        }

        masses[Middle] = rest;
        return masses;
    }

    /// <summary>e^(−value), in units of 2^−256.</summary>
    internal static BigInteger ExpOfMinus(BigInteger value)
    {
        const int Guard = 64;
        BigInteger one = BigInteger.One << (Precision + Guard);
        if (value >> Precision > 256) return 0; // e^−256 < 2^−369
        // Halved until below 1/256, by Taylor, squared again.
        BigInteger argument = value << Guard;
        int halvings = 0;
        for (; argument > one >> 8; halvings++) argument >>= 1;
        BigInteger sum = one, term = one;
        for (int k = 1; !term.IsZero; k++)
        {
            term = -((term * argument) >> (Precision + Guard)) / k;
            sum += term;
        }

        for (; halvings > 0; halvings--) sum = (sum * sum) >> (Precision + Guard);
        return sum >> Guard;
    }

    private void Set(int column, BigInteger threshold, int alias)
    {
        _entries[column] = ((uint)(threshold >> RestBits) << ColumnBits) | (uint)alias;
        _rests[column] = (UInt128)(threshold & ((BigInteger.One << RestBits) - 1));
    }
}
