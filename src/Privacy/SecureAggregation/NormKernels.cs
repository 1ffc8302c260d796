using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;
using System.Runtime.Intrinsics.X86;

namespace Federation.Privacy.SecureAggregation;

/// <summary>Sums of squares. Every path gives the same bits.</summary>
internal static class NormKernels
{
    private const int Lanes = 16, LowBits = 20;

    /// <summary>Integers up to this have squares of which 4096 add up in 63 bits.</summary>
    public const long LargestNarrow = 1L << 25;

    /// <summary>Σvalues², summed in doubles: value i in lane i % 16, then lane after lane. Not finite if and only if a value is not.</summary>
    public static double OfFloats(ReadOnlySpan<float> values) =>
        Vector512.IsHardwareAccelerated ? OfFloats512(values) : Vector256.IsHardwareAccelerated ? OfFloats256(values) : OfFloatsPlain(values);

    /// <summary>The plain twin. A float's square is exact in a double, so each step rounds once.</summary>
    internal static double OfFloatsPlain(ReadOnlySpan<float> values) => Rest(values, stackalloc double[Lanes]);

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static double OfFloats512(ReadOnlySpan<float> values)
    {
        ReadOnlySpan<Vector512<float>> vectors = MemoryMarshal.Cast<float, Vector512<float>>(values);
        Vector512<double> low = default, high = default;
        foreach (Vector512<float> vector in vectors)
        {
            (Vector512<double> a, Vector512<double> b) = Vector512.Widen(vector);
            low += a * a;
            high += b * b;
        }

        Span<double> lanes = stackalloc double[Lanes];
        low.CopyTo(lanes);
        high.CopyTo(lanes[8..]);
        return Rest(values[(vectors.Length * Lanes)..], lanes);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static double OfFloats256(ReadOnlySpan<float> values)
    {
        int whole = values.Length / Lanes * Lanes;
        ReadOnlySpan<Vector256<float>> vectors = MemoryMarshal.Cast<float, Vector256<float>>(values[..whole]);
        Vector256<double> first = default, second = default, third = default, fourth = default;
        for (int i = 0; i < vectors.Length; i += 2)
        {
            (Vector256<double> a, Vector256<double> b) = Vector256.Widen(vectors[i]);
            (Vector256<double> c, Vector256<double> d) = Vector256.Widen(vectors[i + 1]);
            first += a * a;
            second += b * b;
            third += c * c;
            fourth += d * d;
        }

        Span<double> lanes = stackalloc double[Lanes];
        first.CopyTo(lanes);
        second.CopyTo(lanes[4..]);
        third.CopyTo(lanes[8..]);
        fourth.CopyTo(lanes[12..]);
        return Rest(values[whole..], lanes);
    }

    private static double Rest(ReadOnlySpan<float> values, Span<double> lanes)
    {
        for (int i = 0; i < values.Length; i++) lanes[i % Lanes] += (double)values[i] * values[i];
        double sum = 0;
        foreach (double lane in lanes) sum += lane;
        return sum;
    }

    /// <summary>Σgrid², exact.</summary>
    /// <param name="grid">At most 4096 integers of at most 2³⁹.</param>
    /// <param name="largest">None is larger in absolute value.</param>
    public static UInt128 OfIntegers(ReadOnlySpan<long> grid, long largest) =>
        Avx512F.IsSupported ? OfIntegers512(grid, largest) : Avx2.IsSupported ? OfIntegers256(grid, largest) : OfIntegersPlain(grid);

    /// <summary>The plain twin.</summary>
    internal static UInt128 OfIntegersPlain(ReadOnlySpan<long> grid)
    {
        UInt128 sum = 0;
        foreach (long value in grid) sum += (UInt128)((Int128)value * value);
        return sum;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static UInt128 OfIntegers512(ReadOnlySpan<long> grid, long largest)
    {
        ReadOnlySpan<Vector512<long>> vectors = MemoryMarshal.Cast<long, Vector512<long>>(grid);
        UInt128 rest = OfIntegersPlain(grid[(vectors.Length * Vector512<long>.Count)..]);
        if (largest <= LargestNarrow)
        {
            Vector512<long> squares = default;
            foreach (Vector512<long> vector in vectors) squares += Avx512F.Multiply(vector.AsInt32(), vector.AsInt32());
            return rest + (ulong)Vector512.Sum(squares);
        }

        // |x| = 2²⁰·a + b: x² = 2⁴⁰·a² + 2²¹·ab + b².
        Vector512<ulong> high = default, middle = default, low = default, mask = Vector512.Create((1UL << LowBits) - 1);
        foreach (Vector512<long> vector in vectors)
        {
            Vector512<ulong> size = Vector512.Abs(vector).AsUInt64();
            Vector512<uint> a = (size >>> LowBits).AsUInt32(), b = (size & mask).AsUInt32();
            high += Avx512F.Multiply(a, a);
            middle += Avx512F.Multiply(a, b);
            low += Avx512F.Multiply(b, b);
        }

        return rest + ((UInt128)Vector512.Sum(high) << (2 * LowBits)) + ((UInt128)Vector512.Sum(middle) << (LowBits + 1)) + Vector512.Sum(low);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static UInt128 OfIntegers256(ReadOnlySpan<long> grid, long largest)
    {
        ReadOnlySpan<Vector256<long>> vectors = MemoryMarshal.Cast<long, Vector256<long>>(grid);
        UInt128 rest = OfIntegersPlain(grid[(vectors.Length * Vector256<long>.Count)..]);
        if (largest <= LargestNarrow)
        {
            Vector256<long> squares = default;
            foreach (Vector256<long> vector in vectors) squares += Avx2.Multiply(vector.AsInt32(), vector.AsInt32());
            return rest + (ulong)Vector256.Sum(squares);
        }

        Vector256<ulong> high = default, middle = default, low = default, mask = Vector256.Create((1UL << LowBits) - 1);
        foreach (Vector256<long> vector in vectors)
        {
            Vector256<ulong> size = Vector256.Abs(vector).AsUInt64();
            Vector256<uint> a = (size >>> LowBits).AsUInt32(), b = (size & mask).AsUInt32();
            high += Avx2.Multiply(a, a);
            middle += Avx2.Multiply(a, b);
            low += Avx2.Multiply(b, b);
        }

        return rest + ((UInt128)Vector256.Sum(high) << (2 * LowBits)) + ((UInt128)Vector256.Sum(middle) << (LowBits + 1)) + Vector256.Sum(low);
    }
}
