using System.Numerics;
using System.Runtime.InteropServices;

namespace Federation.Privacy.Mechanisms;

/// <summary>A vector holds NaN or ∞: its norm cannot be bounded, so nothing of it may be released.</summary>
public sealed class NonFiniteValueException(string message) : ArithmeticException(message);

/// <summary>Scales vectors to a largest L2 norm. The bound holds for the floats that come out, rounding included.</summary>
/// <remarks>Abadi et al. 2016, Algorithm 1; per layer: McMahan et al. 2018, section 2.3.</remarks>
public static class Clipping
{
    // A norm is off by less than 2⁻²⁴ of itself (double sums of up to 2²⁸ terms); four times that is left free. Products are rounded towards zero, so they add nothing.
    private const double Margin = 1 - (1.0 / (1 << 22));

    /// <summary>Scales the whole vector to L2 norm at most C; one that is short enough stays as it is.</summary>
    /// <param name="vector">Any length; changed in place.</param>
    /// <param name="norm">C, positive: the sensitivity of a sum of such vectors under AddOrRemoveOne, half of it under ReplaceOne.</param>
    /// <returns>The norm before.</returns>
    /// <exception cref="ArgumentOutOfRangeException">C is not positive and finite.</exception>
    /// <exception cref="NonFiniteValueException">The vector holds NaN or ∞; it is unchanged.</exception>
    public static double Flat(Span<float> vector, double norm)
    {
        Checked(norm);
        double before = Norm(vector);
        Shorten(vector, before, norm);
        return before;
    }

    /// <summary>Scales each layer to its own bound. The sensitivity of the whole is <see cref="Sensitivity"/>.</summary>
    /// <param name="vector">The layers one after another; changed in place.</param>
    /// <param name="lengths">Of the layers; they add up to the vector's.</param>
    /// <param name="norms">C of each layer, positive.</param>
    /// <exception cref="ArgumentException">Lengths and norms do not fit each other or the vector.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A bound is not positive and finite, or a length is negative.</exception>
    /// <exception cref="NonFiniteValueException">The vector holds NaN or ∞; it is unchanged.</exception>
    public static void PerLayer(Span<float> vector, ReadOnlySpan<int> lengths, ReadOnlySpan<double> norms)
    {
        if (lengths.Length != norms.Length) throw new ArgumentException($"There are {lengths.Length} layers and {norms.Length} norms.", nameof(norms));
        long total = 0;
        foreach (int length in lengths)
        {
            ArgumentOutOfRangeException.ThrowIfNegative(length, nameof(lengths));
            total += length;
        }

        if (total != vector.Length) throw new ArgumentException($"The layers hold {total} values, the vector {vector.Length}.", nameof(lengths));
        foreach (double norm in norms) Checked(norm);
        Norm(vector); // all or nothing
        for (int i = 0; i < lengths.Length; i++)
        {
            Span<float> layer = vector[..lengths[i]];
            Shorten(layer, Norm(layer), norms[i]);
            vector = vector[lengths[i]..];
        }
    }

    /// <summary>L2 sensitivity of layers clipped to these norms: √ΣC², rounded up.</summary>
    public static double Sensitivity(ReadOnlySpan<double> norms)
    {
        double largest = 0, sum = 0;
        foreach (double norm in norms) largest = Math.Max(largest, norm);
        if (largest == 0) return 0;
        // Scaled, so that no square underflows or overflows.
        foreach (double norm in norms) sum += norm / largest * (norm / largest);
        return Math.BitIncrement(Math.Sqrt(sum) * largest * (1 + ((norms.Length + 4) * 2.3e-16)));
    }

    /// <summary>‖vector‖₂, summed in double precision.</summary>
    /// <exception cref="NonFiniteValueException">The vector holds NaN or ∞.</exception>
    public static double Norm(ReadOnlySpan<float> vector) => Math.Sqrt(SquaredNorm(vector));

    /// <summary>‖vector‖₂², summed in double precision.</summary>
    /// <exception cref="NonFiniteValueException">The vector holds NaN or ∞.</exception>
    public static double SquaredNorm(ReadOnlySpan<float> vector)
    {
        ReadOnlySpan<Vector<float>> blocks = MemoryMarshal.Cast<float, Vector<float>>(vector);
        Vector<double> low = Vector<double>.Zero, high = Vector<double>.Zero;
        foreach (Vector<float> block in blocks)
        {
            Vector.Widen(block, out Vector<double> a, out Vector<double> b);
            low += a * a;
            high += b * b;
        }

        double sum = Vector.Sum(low + high);
        foreach (float value in vector[(blocks.Length * Vector<float>.Count)..]) sum += (double)value * value;
        return double.IsFinite(sum) ? sum : throw NonFinite(vector);
    }

    /// <summary>Scales a part of a vector so that the whole has L2 norm at most C.</summary>
    /// <param name="part">Changed in place.</param>
    /// <param name="whole">The whole vector's norm: √ of the sum of its parts' <see cref="SquaredNorm"/>.</param>
    /// <param name="norm">C, positive.</param>
    /// <exception cref="ArgumentOutOfRangeException">C is not positive and finite, or the whole's norm is NaN, ∞ or negative.</exception>
    public static void Part(Span<float> part, double whole, double norm)
    {
        Checked(norm);
        if (whole is not (>= 0 and < double.PositiveInfinity)) throw new ArgumentOutOfRangeException(nameof(whole), whole, "A norm must be in [0, ∞).");
        Shorten(part, whole, norm);
    }

    private static void Shorten(Span<float> vector, double before, double norm)
    {
        if (before <= norm * Margin) return;
        double factor = norm / before * Margin;
        Span<Vector<float>> blocks = MemoryMarshal.Cast<float, Vector<float>>(vector);
        foreach (ref Vector<float> block in blocks)
        {
            Vector.Widen(block, out Vector<double> low, out Vector<double> high);
            (low, high) = (low * factor, high * factor);
            Vector<float> rounded = Vector.Narrow(low, high);
            Vector.Widen(rounded, out Vector<double> roundedLow, out Vector<double> roundedHigh);
            // All ones, which is −1, where rounding went away from zero: one unit in the last place back.
            Vector<int> back = Vector.Narrow(Vector.GreaterThan(Vector.Abs(roundedLow), Vector.Abs(low)), Vector.GreaterThan(Vector.Abs(roundedHigh), Vector.Abs(high)));
            block = Vector.AsVectorSingle(Vector.AsVectorInt32(rounded) + back);
        }

        foreach (ref float value in vector[(blocks.Length * Vector<float>.Count)..]) value = TowardsZero(value * factor);
    }

    /// <summary>The float nearest to it that is no further from zero.</summary>
    internal static float TowardsZero(double value)
    {
        float rounded = (float)value;
        return Math.Abs((double)rounded) > Math.Abs(value) ? BitConverter.Int32BitsToSingle(BitConverter.SingleToInt32Bits(rounded) - 1) : rounded;
    }

    private static void Checked(double norm)
    {
        if (norm is not (> 0 and < double.PositiveInfinity)) throw new ArgumentOutOfRangeException(nameof(norm), norm, "A clipping norm must be in (0, ∞).");
    }

    private static NonFiniteValueException NonFinite(ReadOnlySpan<float> vector)
    {
        int i = 0;
        while (float.IsFinite(vector[i])) i++; // a sum of squares of finite floats is finite in double precision
        return new($"Value {i} of {vector.Length} is {vector[i]}.");
    }
}
