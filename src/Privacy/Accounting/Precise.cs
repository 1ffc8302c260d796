namespace Federation.Privacy.Accounting;

/// <summary>Functions that lose no digits near zero. (<c>double.LogP1</c> and <c>double.ExpM1</c> compute ln(1 + x) and e^x − 1 as they are written.)</summary>
/// <remarks>Kahan's corrections: the rounding error of 1 + x, and of e^x, cancels in the quotient. Errors of a few units in the last place.</remarks>
internal static class Precise
{
    /// <summary>ln(1 + x), x ≥ −1.</summary>
    public static double Log1P(double x)
    {
        double sum = 1 + x;
        if (sum == 1) return x;
        return double.IsInfinity(sum) || sum == 0 ? Math.Log(sum) : Math.Log(sum) * (x / (sum - 1));
    }

    /// <summary>e^x − 1.</summary>
    public static double Expm1(double x)
    {
        if (Math.Abs(x) > 1) return Math.Exp(x) - 1;
        double power = Math.Exp(x);
        if (power == 1) return x;
        return (power - 1) * (x / Math.Log(power));
    }

    /// <summary>ln(e^x − 1), x &gt; 0.</summary>
    public static double LogExpm1(double x) => x > 30 ? x + Log1P(-Math.Exp(-x)) : Math.Log(Expm1(x));

    /// <summary>ln(1 + e^x).</summary>
    public static double LogOnePlusExp(double x) => x > 40 ? x : Log1P(Math.Exp(x));
}
