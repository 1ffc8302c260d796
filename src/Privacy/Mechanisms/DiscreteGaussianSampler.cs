using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Federation.Privacy.Mechanisms;

/// <summary>
/// Discrete Gaussian noise for long vectors, Pr[x] ∝ e^(−x²/(2σ²)) on the integers: nanoseconds a value for any σ, by a few look-ups in small tables.
/// Not exact, but within <see cref="StatisticalDistance"/> of it, which accountants add to δ. The vector kernel's work does not depend on the values drawn, but for one draw in 2²¹; the tables are read at secret places.
/// The first few hundred values come from <see cref="ExactSampler"/>, because they take less time than the tables.
/// </summary>
/// <remarks>
/// A wide Gaussian is a sum: x₁ + k·x₂ with σ² = σ₁² + k²σ₂². Pr[x₁ + k·x₂ = x] = Σ_j ρ_σ₁(x − kj)·ρ_σ₂(j) ∝ ρ_σ(x)·Σ_j ρ_s(j − c·x), s = σ₁σ₂/σ, c = kσ₂²/σ²;
/// by Poisson summation the last sum is the same for all x within a factor 1 ± 2.001e^(−2π²s²), so with s ≥ 2 the distance is below 2^−112 (Micciancio and Walter 2017, Lemma 7, with explicit numbers). Split until σ ≤ 80; then a table.
/// </remarks>
public sealed class DiscreteGaussianSampler
{
    /// <summary>σ is at most 2⁵⁰.</summary>
    public const double LargestVariance = (double)(1UL << 50) * (1UL << 50);

    private const int Chunk = 1024, LargestShift = 5;
    private const double LeastSmoothness = 2; // of s = σ₁σ₂/σ
    private const double BlocksPerValue = 64; // of the generator, at most on average; an exact value takes about 15, one from tables a quarter a part
    private const double ConvolutionDistance = 1.0 / (1UL << 56) / (1UL << 56); // 2^−112
    private const ulong KeptVariance = 5200; // σ₁² is in [5200, 5200 + 4^5), within what a table holds

    // A table takes about as long as so many exact values.
    private const long ValuesPerTable = 800;

    private readonly SecureRandom _random;
    private readonly double[] _parts; // variances of x₁, x₂, …
    private readonly int[] _shifts; // log₂ k between them
    private NoiseTable[]? _tables;
    private long _asked;

    /// <param name="variance">σ², in (0, 2¹⁰⁰]: the exact value of the double.</param>
    /// <exception cref="ArgumentOutOfRangeException">The variance is out of range or NaN.</exception>
    public DiscreteGaussianSampler(double variance, SecureRandom random)
    {
        if (variance is not (> 0 and <= LargestVariance)) throw new ArgumentOutOfRangeException(nameof(variance), variance, "A variance must be in (0, 2^100].");
        (Variance, _random) = (variance, random);
        List<double> parts = [];
        List<int> shifts = [];
        Split(variance, parts, shifts);
        (_parts, _shifts) = ([.. parts], [.. shifts]);
        StatisticalDistance = Distance(parts.Count, shifts.Count);
    }

    /// <summary>σ², the parameter.</summary>
    public double Variance { get; }

    /// <summary>At most this far, in total variation, is one value's distribution from the discrete Gaussian; below 2^−107, AES-256 taken for a random permutation. Of n values: n times as far.</summary>
    public double StatisticalDistance { get; }

    public long Next()
    {
        long value = 0;
        Fill(new Span<long>(ref value));
        return value;
    }

    /// <summary>Independent noise in every place; what was there is overwritten.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)] // the first call may be the only one, and long
    public void Fill(Span<long> noise)
    {
        if (_tables is null && Interlocked.Add(ref _asked, noise.Length) < ValuesPerTable * _parts.Length)
        {
            ExactSampler exact = new(_random);
            foreach (ref long value in noise) value = (long)exact.DiscreteGaussian(Variance);
            return;
        }

        NoiseTable[] tables = Tables();
        if (!Avx2.IsSupported || noise.Length < Vector256<int>.Count)
        {
            FillScalar(noise);
            return;
        }

        Span<uint> bits = stackalloc uint[Math.Min(Chunk, noise.Length)];
        for (; noise.Length > 0; noise = noise[Math.Min(Chunk, noise.Length)..])
        {
            Span<long> chunk = noise[..Math.Min(Chunk, noise.Length)];
            chunk.Clear();
            for (int part = tables.Length - 1; part >= 0; part--)
            {
                _random.Fill(MemoryMarshal.AsBytes(bits[..chunk.Length]));
                Include(chunk, bits[..chunk.Length], tables[part], Shift(part));
            }
        }

        bits.Clear();
    }

    /// <summary>The plain twin: the same noise from the same bits.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal void FillScalar(Span<long> noise)
    {
        NoiseTable[] tables = Tables();
        Span<uint> bits = stackalloc uint[Math.Min(Chunk, noise.Length)];
        for (; noise.Length > 0; noise = noise[Math.Min(Chunk, noise.Length)..])
        {
            Span<long> chunk = noise[..Math.Min(Chunk, noise.Length)];
            chunk.Clear();
            for (int part = tables.Length - 1; part >= 0; part--)
            {
                _random.Fill(MemoryMarshal.AsBytes(bits[..chunk.Length]));
                for (int i = 0; i < chunk.Length; i++) chunk[i] = (chunk[i] << Shift(part)) + tables[part].Value(bits[i], _random);
            }
        }

        bits.Clear();
    }

    /// <summary>From here on every value comes from tables.</summary>
    internal NoiseTable[] Tables() => _tables ??= [.. _parts.Select(NoiseTable.Of)];

    private int Shift(int part) => part < _shifts.Length ? _shifts[part] : 0;

    /// <summary>chunk[i] ← 2^shift·chunk[i] + the table's value of bits[i].</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private unsafe void Include(Span<long> chunk, ReadOnlySpan<uint> bits, NoiseTable table, int shift)
    {
        int i = 0;
        fixed (uint* entries = table.Entries)
        fixed (uint* source = bits)
        fixed (long* target = chunk)
        {
            Vector256<uint> fractionMask = Vector256.Create((1u << 21) - 1), aliasMask = Vector256.Create(2047u);
            Vector256<int> middle = Vector256.Create(1024);
            for (; i <= chunk.Length - Vector256<int>.Count; i += Vector256<int>.Count)
            {
                Vector256<uint> drawn = Vector256.Load(source + i), column = drawn >>> 21, fraction = drawn & fractionMask;
                Vector256<uint> entry = Avx2.GatherVector256(entries, column.AsInt32(), sizeof(uint)), threshold = entry >>> 11;
                Vector256<int> value = Vector256.ConditionalSelect(Vector256.LessThan(fraction.AsInt32(), threshold.AsInt32()), column.AsInt32(), (entry & aliasMask).AsInt32()) - middle;
                Vector256<uint> ties = Vector256.Equals(fraction, threshold);
                if (ties != Vector256<uint>.Zero) value = Resolve(table, value, column, ties);
                (Vector256<long> low, Vector256<long> high) = Vector256.Widen(value);
                ((Vector256.Load(target + i) << shift) + low).Store(target + i);
                ((Vector256.Load(target + i + 4) << shift) + high).Store(target + i + 4);
            }
        }

        for (; i < chunk.Length; i++) chunk[i] = (chunk[i] << shift) + table.Value(bits[i], _random);
    }

    private Vector256<int> Resolve(NoiseTable table, Vector256<int> value, Vector256<uint> column, Vector256<uint> ties)
    {
        for (int lane = 0; lane < Vector256<int>.Count; lane++)
        {
            if (ties[lane] != 0) value = value.WithElement(lane, table.Resolve(column[lane], _random));
        }

        return value;
    }

    /// <summary>σ² as σ₁² + 4^shift₁·(σ₂² + 4^shift₂·(…)), without rounding.</summary>
    /// <summary><see cref="StatisticalDistance"/> of a sampler of this variance.</summary>
    internal static double DistanceOf(double variance)
    {
        List<double> parts = [];
        List<int> shifts = [];
        Split(variance, parts, shifts);
        return Distance(parts.Count, shifts.Count);
    }

    private static double Distance(int parts, int shifts) => (parts * NoiseTable.StatisticalDistance) + (shifts * ConvolutionDistance) + (BlocksPerValue * SecureRandom.StatisticalDistancePerBlock);

    internal static void Split(double variance, List<double> parts, List<int> shifts)
    {
        UInt128 whole = (UInt128)variance;
        double fraction = variance - Math.Floor(variance);
        while ((double)whole + fraction > NoiseTable.LargestVariance)
        {
            double total = (double)whole + fraction;
            for (int shift = LargestShift; ; shift--)
            {
                UInt128 next = (whole - KeptVariance) >> (2 * shift);
                double kept = (double)(whole - (next << (2 * shift))) + fraction; // exact: below 2¹³, in σ²'s own last place
                if (!(kept / total * (double)next >= LeastSmoothness * LeastSmoothness)) continue;
                parts.Add(kept);
                shifts.Add(shift);
                (whole, fraction) = (next, 0);
                break;
            }
        }

        parts.Add((double)whole + fraction);
    }
}
