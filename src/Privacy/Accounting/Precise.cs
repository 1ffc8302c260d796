using System.Runtime.CompilerServices;

namespace Federation.Privacy.Accounting;

/// <summary>Functions that lose no digits near zero. (<c>double.LogP1</c> and <c>double.ExpM1</c> compute ln(1 + x) and e^x − 1 as they are written.)</summary>
/// <remarks>Kahan's corrections: the rounding error of 1 + x, and of e^x, cancels in the quotient. Errors of a few units in the last place.</remarks>
internal static class Precise
{
    /// <summary>ln(1 + x), x ≥ −1.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static double Log1P(double x)
    {
        if (Math.Abs(x) < 0.01)
        {
            // The series to x⁹; the next term is below x·1e-19.
            return x * (1 - (x * (0.5 - (x * ((1.0 / 3) - (x * (0.25 - (x * (0.2 - (x * ((1.0 / 6) - (x * ((1.0 / 7) - (x * (0.125 - (x / 9))))))))))))))));
        }

        double sum = 1 + x;
        return double.IsInfinity(sum) || sum == 0 ? Math.Log(sum) : Math.Log(sum) * (x / (sum - 1));
    }

    /// <summary>e^x − 1.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public static double Expm1(double x)
    {
        if (Math.Abs(x) > 1) return Math.Exp(x) - 1;
        if (Math.Abs(x) < 0.01) return x * (1 + (x / 2 * (1 + (x / 3 * (1 + (x / 4 * (1 + (x / 5 * (1 + (x / 6 * (1 + (x / 7)))))))))))); // to x⁷
        double power = Math.Exp(x);
        return (power - 1) * (x / Math.Log(power));
    }

    /// <summary>ln(e^x − 1), x &gt; 0.</summary>
    public static double LogExpm1(double x) => x > 30 ? x + Log1P(-Math.Exp(-x)) : Math.Log(Expm1(x));

    /// <summary>ln(1 + e^x).</summary>
    public static double LogOnePlusExp(double x) => x > 40 ? x : Log1P(Math.Exp(x));

    /// <summary>ln(e^a + e^b).</summary>
    public static double LogAdd(double a, double b)
    {
        double larger = Math.Max(a, b);
        return double.IsInfinity(larger) ? larger : larger + Log1P(Math.Exp(Math.Min(a, b) - larger));
    }

    /// <summary>e^(αL) − 1 − α(e^L − 1).</summary>
    public static double Excess(double log, double order)
    {
        if (Math.Abs(order * log) > 0.05 || Math.Abs(log) > 0.05) return Precise.Expm1(order * log) - (order * Precise.Expm1(log));
        // Σ_{k≥2} (α^k − α) L^k / k!
        double sum = 0, power = log, orderPower = order, factorial = 1;
        for (int k = 2; k <= 9; k++)
        {
            power *= log;
            orderPower *= order;
            factorial *= k;
            sum += (orderPower - order) * power / factorial;
        }

        return sum;
    }
}
