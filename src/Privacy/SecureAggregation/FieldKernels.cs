using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics;

namespace Federation.Privacy.SecureAggregation;

/// <summary>Integers into fields of coefficients, and sums of fields back.</summary>
internal static class FieldKernels
{
    private const ulong TwoTo52 = 0x4330000000000000; // as bits of a double; a field below 2⁵² put in its low bits is added

    /// <summary>coefficients += (grid + offset)·2^shift.</summary>
    /// <param name="grid">Signed.</param>
    /// <param name="offset">L/2.</param>
    /// <param name="shift">Where the field starts.</param>
    /// <param name="coefficients">As many; changed in place.</param>
    /// <returns>Whether every integer was in [−offset, offset]. If not, the coefficients are of no use.</returns>
    public static bool Pack(ReadOnlySpan<long> grid, long offset, int shift, Span<ulong> coefficients) =>
        Vector512.IsHardwareAccelerated ? Pack512(grid, offset, shift, coefficients) : Vector256.IsHardwareAccelerated ? Pack256(grid, offset, shift, coefficients) : PackPlain(grid, offset, shift, coefficients);

    /// <summary>The plain twin.</summary>
    internal static bool PackPlain(ReadOnlySpan<long> grid, long offset, int shift, Span<ulong> coefficients)
    {
        bool fits = true;
        for (int i = 0; i < grid.Length; i++)
        {
            fits &= grid[i] >= -offset && grid[i] <= offset;
            coefficients[i] = unchecked(coefficients[i] + ((ulong)(grid[i] + offset) << shift));
        }

        return fits;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static bool Pack512(ReadOnlySpan<long> grid, long offset, int shift, Span<ulong> coefficients)
    {
        ReadOnlySpan<Vector512<long>> inputs = MemoryMarshal.Cast<long, Vector512<long>>(grid);
        Span<Vector512<ulong>> outputs = MemoryMarshal.Cast<ulong, Vector512<ulong>>(coefficients[..grid.Length]);
        Vector512<long> half = Vector512.Create(offset), most = half + half, bad = default; // the sign says: below 0 or above L
        for (int i = 0; i < inputs.Length; i++)
        {
            Vector512<long> field = inputs[i] + half;
            bad |= field | (most - field);
            outputs[i] += (field << shift).AsUInt64();
        }

        int done = inputs.Length * Vector512<long>.Count;
        return !Vector512.LessThanAny(bad, Vector512<long>.Zero) & PackPlain(grid[done..], offset, shift, coefficients[done..]);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static bool Pack256(ReadOnlySpan<long> grid, long offset, int shift, Span<ulong> coefficients)
    {
        ReadOnlySpan<Vector256<long>> inputs = MemoryMarshal.Cast<long, Vector256<long>>(grid);
        Span<Vector256<ulong>> outputs = MemoryMarshal.Cast<ulong, Vector256<ulong>>(coefficients[..grid.Length]);
        Vector256<long> half = Vector256.Create(offset), most = half + half, bad = default;
        for (int i = 0; i < inputs.Length; i++)
        {
            Vector256<long> field = inputs[i] + half;
            bad |= field | (most - field);
            outputs[i] += (field << shift).AsUInt64();
        }

        int done = inputs.Length * Vector256<long>.Count;
        return !Vector256.LessThanAny(bad, Vector256<long>.Zero) & PackPlain(grid[done..], offset, shift, coefficients[done..]);
    }

    /// <summary>values ← (field − offset)·factor, field = (sums shifted down by shift) &amp; mask, in double precision, rounded to floats.</summary>
    /// <param name="sums">Of coefficients.</param>
    /// <param name="shift">Where the field starts.</param>
    /// <param name="mask">Of the field's bits; all ones for the uppermost.</param>
    /// <param name="offset">n·L/2.</param>
    /// <param name="factor">A step's worth.</param>
    /// <param name="values">As many; overwritten.</param>
    /// <returns>Whether every field was at most 2·offset.</returns>
    public static bool Unpack(ReadOnlySpan<ulong> sums, int shift, ulong mask, long offset, double factor, Span<float> values) =>
        Vector512.IsHardwareAccelerated ? Unpack512(sums, shift, mask, offset, factor, values) : Vector256.IsHardwareAccelerated ? Unpack256(sums, shift, mask, offset, factor, values) : UnpackPlain(sums, shift, mask, offset, factor, values);

    /// <summary>The plain twin.</summary>
    internal static bool UnpackPlain(ReadOnlySpan<ulong> sums, int shift, ulong mask, long offset, double factor, Span<float> values)
    {
        bool fits = true;
        for (int i = 0; i < sums.Length; i++)
        {
            ulong field = (sums[i] >> shift) & mask;
            fits &= field <= (ulong)(2 * offset);
            values[i] = (float)((double)unchecked((long)field - offset) * factor);
        }

        return fits;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static bool Unpack512(ReadOnlySpan<ulong> sums, int shift, ulong mask, long offset, double factor, Span<float> values)
    {
        ReadOnlySpan<Vector512<ulong>> inputs = MemoryMarshal.Cast<ulong, Vector512<ulong>>(sums);
        Span<Vector512<float>> outputs = MemoryMarshal.Cast<float, Vector512<float>>(values[..sums.Length]);
        Vector512<ulong> masks = Vector512.Create(mask), most = Vector512.Create(2 * (ulong)offset), exponent = Vector512.Create(TwoTo52), bad = default;
        Vector512<double> zero = Vector512.Create((double)((1L << 52) + offset)), factors = Vector512.Create(factor);
        for (int i = 0; i < outputs.Length; i++)
        {
            Vector512<ulong> low = (inputs[2 * i] >>> shift) & masks, high = (inputs[(2 * i) + 1] >>> shift) & masks;
            bad |= low | (most - low) | high | (most - high);
            outputs[i] = Vector512.Narrow(((low | exponent).AsDouble() - zero) * factors, ((high | exponent).AsDouble() - zero) * factors);
        }

        int done = outputs.Length * Vector512<float>.Count;
        return !Vector512.LessThanAny(bad.AsInt64(), Vector512<long>.Zero) & UnpackPlain(sums[done..], shift, mask, offset, factor, values[done..]);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    internal static bool Unpack256(ReadOnlySpan<ulong> sums, int shift, ulong mask, long offset, double factor, Span<float> values)
    {
        ReadOnlySpan<Vector256<ulong>> inputs = MemoryMarshal.Cast<ulong, Vector256<ulong>>(sums);
        Span<Vector256<float>> outputs = MemoryMarshal.Cast<float, Vector256<float>>(values[..sums.Length]);
        Vector256<ulong> masks = Vector256.Create(mask), most = Vector256.Create(2 * (ulong)offset), exponent = Vector256.Create(TwoTo52), bad = default;
        Vector256<double> zero = Vector256.Create((double)((1L << 52) + offset)), factors = Vector256.Create(factor);
        for (int i = 0; i < outputs.Length; i++)
        {
            Vector256<ulong> low = (inputs[2 * i] >>> shift) & masks, high = (inputs[(2 * i) + 1] >>> shift) & masks;
            bad |= low | (most - low) | high | (most - high);
            outputs[i] = Vector256.Narrow(((low | exponent).AsDouble() - zero) * factors, ((high | exponent).AsDouble() - zero) * factors);
        }

        int done = outputs.Length * Vector256<float>.Count;
        return !Vector256.LessThanAny(bad.AsInt64(), Vector256<long>.Zero) & UnpackPlain(sums[done..], shift, mask, offset, factor, values[done..]);
    }

    /// <summary>grid ← field − offset, without rounding.</summary>
    /// <inheritdoc cref="Unpack"/>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static bool UnpackIntegers(ReadOnlySpan<ulong> sums, int shift, ulong mask, long offset, Span<long> grid)
    {
        bool fits = true;
        for (int i = 0; i < sums.Length; i++)
        {
            ulong field = (sums[i] >> shift) & mask;
            fits &= field <= (ulong)(2 * offset);
            grid[i] = unchecked((long)field - offset);
        }

        return fits;
    }
}
