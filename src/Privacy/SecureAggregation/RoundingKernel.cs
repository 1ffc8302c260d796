using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Federation.Privacy.SecureAggregation;

/// <summary>
/// Scale, cut, round at random: y = value·scale in double precision, cut to ±limit, then the integer nearest to y + r, r evenly spread over (−½, ½): (k + ½)/2³² − ½ for 32 random bits k.
/// So y is rounded up with probability y − ⌊y⌋, but for at most 2⁻³² + 2⁻⁵¹·(|y| + 1): unbiased within 2⁻³⁰ of a step for |y| below 2²⁰, within 2⁻²⁴ below 2²⁶, and beyond that within 2⁻⁵⁰ of the value itself, far below a float's own last place. Every path does the same operations in IEEE doubles and gives the same integers.
/// </summary>
internal static class RoundingKernel
{
    // 2⁵² + 2⁵¹: added to a double of at most 2⁵⁰, it leaves the nearest integer in the low bits (ties to even).
    private const double Shifter = (1L << 52) + (1L << 51);

    // 1 + 2⁻³³ as bits; with k from bit 20 on: 1 + (k + ½)/2³².
    private const ulong OneAndHalfAStep = 0x3FF0000000080000;

    /// <param name="values">Finite.</param>
    /// <param name="scale">Steps a unit.</param>
    /// <param name="limit">In steps, at most 2⁴⁰; larger values are cut to it.</param>
    /// <param name="random">As many.</param>
    /// <param name="grid">As many; overwritten.</param>
    /// <returns>How many values were cut.</returns>
    public static int Round(ReadOnlySpan<float> values, double scale, double limit, ReadOnlySpan<uint> random, Span<long> grid) =>
        Vector512.IsHardwareAccelerated ? Round512(values, scale, limit, random, grid) : Vector256.IsHardwareAccelerated ? Round256(values, scale, limit, random, grid) : RoundPlain(values, scale, limit, random, grid);

    /// <summary>The plain twin.</summary>
    internal static int RoundPlain(ReadOnlySpan<float> values, double scale, double limit, ReadOnlySpan<uint> random, Span<long> grid)
    {
        int cut = 0;
        for (int i = 0; i < values.Length; i++)
        {
            double y = values[i] * scale;
            if (Math.Abs(y) > limit) cut++;
            y = Math.Min(Math.Max(y, -limit), limit);
            double r = ((random[i] + 0.5) / 4294967296) - 0.5;
            grid[i] = (long)Math.Round(y + r, MidpointRounding.ToEven);
        }

        return cut;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static int Round512(ReadOnlySpan<float> values, double scale, double limit, ReadOnlySpan<uint> random, Span<long> grid)
    {
        ReadOnlySpan<Vector512<float>> inputs = MemoryMarshal.Cast<float, Vector512<float>>(values);
        ReadOnlySpan<Vector512<uint>> bits = MemoryMarshal.Cast<uint, Vector512<uint>>(random[..values.Length]);
        Span<Vector512<long>> outputs = MemoryMarshal.Cast<long, Vector512<long>>(grid[..values.Length]);
        Vector512<double> factor = Vector512.Create(scale), most = Vector512.Create(limit), least = -most;
        Vector512<long> within = default; // −1 for each value that is not cut
        for (int i = 0; i < inputs.Length; i++)
        {
            (Vector512<double> low, Vector512<double> high) = Vector512.Widen(inputs[i]);
            (Vector512<ulong> lowBits, Vector512<ulong> highBits) = Vector512.Widen(bits[i]);
            low *= factor;
            high *= factor;
            within += Vector512.LessThanOrEqual(Vector512.Abs(low), most).AsInt64() + Vector512.LessThanOrEqual(Vector512.Abs(high), most).AsInt64();
            outputs[2 * i] = Nearest(Vector512.MinNative(Vector512.MaxNative(low, least), most), lowBits);
            outputs[(2 * i) + 1] = Nearest(Vector512.MinNative(Vector512.MaxNative(high, least), most), highBits);
        }

        int done = inputs.Length * Vector512<float>.Count;
        return done + (int)Vector512.Sum(within) + RoundPlain(values[done..], scale, limit, random[done..], grid[done..]);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector512<long> Nearest(Vector512<double> y, Vector512<ulong> bits)
    {
        Vector512<double> r = ((bits << 20) | Vector512.Create(OneAndHalfAStep)).AsDouble() - Vector512.Create(1.5);
        return (y + r + Vector512.Create(Shifter)).AsInt64() - Vector512.Create(Shifter).AsInt64();
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static int Round256(ReadOnlySpan<float> values, double scale, double limit, ReadOnlySpan<uint> random, Span<long> grid)
    {
        ReadOnlySpan<Vector256<float>> inputs = MemoryMarshal.Cast<float, Vector256<float>>(values);
        ReadOnlySpan<Vector256<uint>> bits = MemoryMarshal.Cast<uint, Vector256<uint>>(random[..values.Length]);
        Span<Vector256<long>> outputs = MemoryMarshal.Cast<long, Vector256<long>>(grid[..values.Length]);
        Vector256<double> factor = Vector256.Create(scale), most = Vector256.Create(limit), least = -most;
        Vector256<long> within = default;
        for (int i = 0; i < inputs.Length; i++)
        {
            (Vector256<double> low, Vector256<double> high) = Vector256.Widen(inputs[i]);
            (Vector256<ulong> lowBits, Vector256<ulong> highBits) = Vector256.Widen(bits[i]);
            low *= factor;
            high *= factor;
            within += Vector256.LessThanOrEqual(Vector256.Abs(low), most).AsInt64() + Vector256.LessThanOrEqual(Vector256.Abs(high), most).AsInt64();
            outputs[2 * i] = Nearest(Vector256.MinNative(Vector256.MaxNative(low, least), most), lowBits);
            outputs[(2 * i) + 1] = Nearest(Vector256.MinNative(Vector256.MaxNative(high, least), most), highBits);
        }

        int done = inputs.Length * Vector256<float>.Count;
        return done + (int)Vector256.Sum(within) + RoundPlain(values[done..], scale, limit, random[done..], grid[done..]);
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector256<long> Nearest(Vector256<double> y, Vector256<ulong> bits)
    {
        Vector256<double> r = ((bits << 20) | Vector256.Create(OneAndHalfAStep)).AsDouble() - Vector256.Create(1.5);
        return (y + r + Vector256.Create(Shifter)).AsInt64() - Vector256.Create(Shifter).AsInt64();
    }

    /// <summary>scaled ← values·scale, rounded to floats.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static void Scale(ReadOnlySpan<float> values, double scale, Span<float> scaled)
    {
        ReadOnlySpan<Vector256<float>> inputs = MemoryMarshal.Cast<float, Vector256<float>>(values);
        Span<Vector256<float>> outputs = MemoryMarshal.Cast<float, Vector256<float>>(scaled[..values.Length]);
        for (int i = 0; i < inputs.Length; i++)
        {
            (Vector256<double> low, Vector256<double> high) = Vector256.Widen(inputs[i]);
            outputs[i] = Vector256.Narrow(low * scale, high * scale);
        }

        for (int i = inputs.Length * Vector256<float>.Count; i < values.Length; i++) scaled[i] = (float)(values[i] * scale);
    }
}
