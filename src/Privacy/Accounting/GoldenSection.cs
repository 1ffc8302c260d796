namespace Federation.Privacy.Accounting;

/// <summary>The least value of a quasi-convex function on an interval.</summary>
/// <remarks>Kiefer 1953.</remarks>
internal static class GoldenSection
{
    private const double Ratio = 0.6180339887498949;

    /// <param name="steps">Each leaves 0.618 of the interval.</param>
    public static (double At, double Value) Least(Func<double, double> function, double low, double high, int steps)
    {
        double a = high - (Ratio * (high - low)), b = low + (Ratio * (high - low)), atA = function(a), atB = function(b);
        for (int i = 0; i < steps; i++)
        {
            if (atA <= atB)
            {
                (high, b, atB) = (b, a, atA);
                a = high - (Ratio * (high - low));
                atA = function(a);
            }
            else
            {
                (low, a, atA) = (a, b, atB);
                b = low + (Ratio * (high - low));
                atB = function(b);
            }
        }

        return atA <= atB ? (a, atA) : (b, atB);
    }
}
