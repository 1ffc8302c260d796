using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Federation.Privacy.Accounting;

/// <summary>The discrete Fourier transform of N reals, as its first N/2 + 1 values (the others are their conjugates), by a complex transform of half the length. Real and imaginary parts lie apart, for vectors.</summary>
/// <remarks>
/// Packing: Press et al., Numerical Recipes, Section 12.3, even and odd places as real and imaginary parts. The complex transform: Stockham's, radix 2 (Van Loan 1992, Algorithm 1.7.2), no bit reversal.
/// Every root of unity comes from <see cref="Math.SinCos"/> itself, so that Higham's error bound (2002, Theorem 24.2) holds with roots good to an ulp; the plain twin in the tests is MathNet.Numerics' transform.
/// </remarks>
internal sealed class RealTransform
{
    private readonly int _half;
    private readonly double[] _cos, _sin; // of 2πk/N, k < N/2

    /// <param name="length">N, a power of two, at least 4.</param>
    public RealTransform(int length)
    {
        _half = length / 2;
        (_cos, _sin) = (new double[_half], new double[_half]);
        // One octant; the others by symmetry.
        for (int k = 0; k <= _half / 4; k++)
        {
            (double sin, double cos) = Math.SinCos(Math.PI * k / _half);
            (_cos[k], _sin[k]) = (cos, sin);
            (_cos[(_half / 2) - k], _sin[(_half / 2) - k]) = (sin, cos);
            if (k > 0) (_cos[_half - k], _sin[_half - k]) = (-cos, sin);
            (_cos[(_half / 2) + k], _sin[(_half / 2) + k]) = (-sin, cos);
        }
    }

    public int Length => 2 * _half;

    /// <summary>X_k = Σ_j x_j·e^(−2πijk/N), k = 0 … N/2.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public Spectrum Forward(ReadOnlySpan<double> values)
    {
        double[] real = new double[_half], imaginary = new double[_half];
        for (int i = 0; i < _half; i++) (real[i], imaginary[i]) = (values[2 * i], values[(2 * i) + 1]);
        (real, imaginary) = Transform(real, imaginary);
        Spectrum spectrum = new(_half + 1);
        for (int k = 0; k <= _half; k++)
        {
            int here = k == _half ? 0 : k, there = k == 0 ? 0 : _half - k;
            // Even = (z + z̄′)/2, odd = (z − z̄′)/(2i), X = even + e^(−2πik/N)·odd
            double evenReal = real[here] + real[there], evenImaginary = imaginary[here] - imaginary[there];
            double oddReal = imaginary[here] + imaginary[there], oddImaginary = real[there] - real[here];
            (double cos, double sin) = k == _half ? (-1, 0) : (_cos[k], _sin[k]);
            spectrum.Real[k] = 0.5 * (evenReal + (cos * oddReal) + (sin * oddImaginary));
            spectrum.Imaginary[k] = 0.5 * (evenImaginary + (cos * oddImaginary) - (sin * oddReal));
        }

        return spectrum;
    }

    /// <summary>The inverse, scaled: Inverse(Forward(x)) = x.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public double[] Inverse(Spectrum spectrum)
    {
        double[] real = new double[_half], imaginary = new double[_half];
        for (int k = 0; k < _half; k++)
        {
            double evenReal = spectrum.Real[k] + spectrum.Real[_half - k], evenImaginary = spectrum.Imaginary[k] - spectrum.Imaginary[_half - k];
            double differenceReal = spectrum.Real[k] - spectrum.Real[_half - k], differenceImaginary = spectrum.Imaginary[k] + spectrum.Imaginary[_half - k];
            double oddReal = (_cos[k] * differenceReal) - (_sin[k] * differenceImaginary), oddImaginary = (_cos[k] * differenceImaginary) + (_sin[k] * differenceReal);
            // The inverse transform is the forward one of the conjugate.
            (real[k], imaginary[k]) = (0.5 * (evenReal - oddImaginary), -0.5 * (evenImaginary + oddReal));
        }

        (real, imaginary) = Transform(real, imaginary);
        double[] values = new double[Length];
        for (int i = 0; i < _half; i++) (values[2 * i], values[(2 * i) + 1]) = (real[i] / _half, -imaginary[i] / _half);
        return values;
    }

    /// <summary>The complex transform of N/2 values. The arguments are used up.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private (double[] Real, double[] Imaginary) Transform(double[] real, double[] imaginary)
    {
        double[] nextReal = new double[_half], nextImaginary = new double[_half];
        for (int size = _half, stride = 1; size > 1; size /= 2, stride *= 2)
        {
            for (int p = 0; p < size / 2; p++)
            {
                // e^(−2πip/size), size of a table of 2·half
                int root = p * (2 * _half / size), low = stride * p, high = stride * (p + (size / 2)), to = 2 * stride * p;
                Butterflies(real.AsSpan(low, stride), imaginary.AsSpan(low, stride), real.AsSpan(high, stride), imaginary.AsSpan(high, stride),
                    nextReal.AsSpan(to, 2 * stride), nextImaginary.AsSpan(to, 2 * stride), _cos[root], -_sin[root]);
            }

            (real, nextReal) = (nextReal, real);
            (imaginary, nextImaginary) = (nextImaginary, imaginary);
        }

        return (real, imaginary);
    }

    /// <summary>sums ← a + b in the first half of the result, (a − b)·w in the second.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void Butterflies(
        ReadOnlySpan<double> aReal, ReadOnlySpan<double> aImaginary, ReadOnlySpan<double> bReal, ReadOnlySpan<double> bImaginary, Span<double> real, Span<double> imaginary, double cos, double sin)
    {
        int count = aReal.Length, i = 0;
        if (count >= Vector<double>.Count)
        {
            ReadOnlySpan<Vector<double>> ar = Vectors(aReal), ai = Vectors(aImaginary), br = Vectors(bReal), bi = Vectors(bImaginary);
            Span<Vector<double>> sumReal = MemoryMarshal.Cast<double, Vector<double>>(real[..count]), sumImaginary = MemoryMarshal.Cast<double, Vector<double>>(imaginary[..count]);
            Span<Vector<double>> turnedReal = MemoryMarshal.Cast<double, Vector<double>>(real[count..]), turnedImaginary = MemoryMarshal.Cast<double, Vector<double>>(imaginary[count..]);
            for (int v = 0; v < ar.Length; v++)
            {
                Vector<double> differenceReal = ar[v] - br[v], differenceImaginary = ai[v] - bi[v];
                sumReal[v] = ar[v] + br[v];
                sumImaginary[v] = ai[v] + bi[v];
                turnedReal[v] = (differenceReal * cos) - (differenceImaginary * sin);
                turnedImaginary[v] = (differenceReal * sin) + (differenceImaginary * cos);
            }

            i = ar.Length * Vector<double>.Count; // a power of two of both: nothing is left
        }

        for (; i < count; i++)
        {
            double differenceReal = aReal[i] - bReal[i], differenceImaginary = aImaginary[i] - bImaginary[i];
            (real[i], imaginary[i]) = (aReal[i] + bReal[i], aImaginary[i] + bImaginary[i]);
            (real[count + i], imaginary[count + i]) = ((differenceReal * cos) - (differenceImaginary * sin), (differenceReal * sin) + (differenceImaginary * cos));
        }
    }

    private static ReadOnlySpan<Vector<double>> Vectors(ReadOnlySpan<double> values) => MemoryMarshal.Cast<double, Vector<double>>(values);
}

/// <summary>Complex values, their real and imaginary parts apart.</summary>
internal sealed class Spectrum(int length)
{
    public double[] Real { get; } = new double[length];

    public double[] Imaginary { get; } = new double[length];

    /// <summary>All ones: the spectrum of a single 1 at place 0.</summary>
    public static Spectrum Ones(int length)
    {
        Spectrum ones = new(length);
        Array.Fill(ones.Real, 1);
        return ones;
    }

    /// <summary>this ← this · other^count by repeated squaring, place by place; count ≥ 1. Returns Σ min(1, |other|^(2(count − 1))).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public double MultiplyByPower(Spectrum other, long count)
    {
        double damping = 0;
        int i = 0;
        for (; i <= Real.Length - Vector<double>.Count; i += Vector<double>.Count)
        {
            Vector<double> real = new(other.Real, i), imaginary = new(other.Imaginary, i);
            (Vector<double> powerReal, Vector<double> powerImaginary) = Power(real, imaginary, count - 1);
            damping += Vector.Sum(Vector.Min(Vector<double>.One, (powerReal * powerReal) + (powerImaginary * powerImaginary)));
            (powerReal, powerImaginary) = Multiply(powerReal, powerImaginary, real, imaginary);
            (real, imaginary) = Multiply(new(Real, i), new(Imaginary, i), powerReal, powerImaginary);
            real.CopyTo(Real, i);
            imaginary.CopyTo(Imaginary, i);
        }

        for (; i < Real.Length; i++)
        {
            Complex factor = new(other.Real[i], other.Imaginary[i]), power = Complex.One, square = factor;
            for (long rest = count - 1; rest > 0; rest >>= 1)
            {
                if ((rest & 1) == 1) power *= square;
                square *= square;
            }

            damping += Math.Min(1, (power.Real * power.Real) + (power.Imaginary * power.Imaginary));
            power = new Complex(Real[i], Imaginary[i]) * (power * factor);
            (Real[i], Imaginary[i]) = (power.Real, power.Imaginary);
        }

        return damping;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static (Vector<double> Real, Vector<double> Imaginary) Power(Vector<double> real, Vector<double> imaginary, long exponent)
    {
        Vector<double> powerReal = Vector<double>.One, powerImaginary = Vector<double>.Zero;
        for (; exponent > 0; exponent >>= 1)
        {
            if ((exponent & 1) == 1) (powerReal, powerImaginary) = Multiply(powerReal, powerImaginary, real, imaginary);
            (real, imaginary) = Multiply(real, imaginary, real, imaginary);
        }

        return (powerReal, powerImaginary);
    }

    private static (Vector<double> Real, Vector<double> Imaginary) Multiply(Vector<double> aReal, Vector<double> aImaginary, Vector<double> bReal, Vector<double> bImaginary) =>
        ((aReal * bReal) - (aImaginary * bImaginary), (aReal * bImaginary) + (aImaginary * bReal));
}
