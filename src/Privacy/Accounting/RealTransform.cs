using System.Numerics;
using MathNet.Numerics.IntegralTransforms;

namespace Federation.Privacy.Accounting;

/// <summary>The discrete Fourier transform of N reals, as its first N/2 + 1 values (the others are their conjugates), by a complex transform of half the length.</summary>
/// <remarks>Press et al., Numerical Recipes, Section 12.3: even and odd places as real and imaginary parts. N is a power of two.</remarks>
internal static class RealTransform
{
    public static Complex[] Forward(double[] values)
    {
        int half = values.Length / 2;
        Complex[] spectrum = new Complex[half + 1];
        Complex[] packed = new Complex[half];
        for (int i = 0; i < half; i++) packed[i] = new(values[2 * i], values[(2 * i) + 1]);
        Fourier.Forward(packed, FourierOptions.NoScaling);
        for (int k = 0; k <= half; k++)
        {
            Complex z = packed[k == half ? 0 : k], mirrored = Complex.Conjugate(packed[k == 0 ? 0 : half - k]);
            spectrum[k] = 0.5 * (z + mirrored + (MinusI(z - mirrored) * Root(-k, half)));
        }

        return spectrum;
    }

    /// <summary>The inverse, scaled: Inverse(Forward(x)) = x.</summary>
    public static double[] Inverse(Complex[] spectrum)
    {
        int half = spectrum.Length - 1;
        Complex[] packed = new Complex[half];
        for (int k = 0; k < half; k++)
        {
            Complex x = spectrum[k], mirrored = Complex.Conjugate(spectrum[half - k]);
            packed[k] = 0.5 * (x + mirrored - (MinusI(x - mirrored) * Root(k, half)));
        }

        Fourier.Inverse(packed, FourierOptions.NoScaling);
        double[] values = new double[2 * half];
        for (int i = 0; i < half; i++) (values[2 * i], values[(2 * i) + 1]) = (packed[i].Real / half, packed[i].Imaginary / half);
        return values;
    }

    private static Complex MinusI(Complex z) => new(z.Imaginary, -z.Real);

    /// <summary>e^(2πik/N), N = 2·half.</summary>
    private static Complex Root(int k, int half)
    {
        (double sin, double cos) = Math.SinCos(Math.PI * k / half);
        return new(cos, sin);
    }
}
