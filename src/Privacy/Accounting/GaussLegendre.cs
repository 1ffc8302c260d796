namespace Federation.Privacy.Accounting;

/// <summary>Gauss–Legendre quadrature on panels whose width follows the integrand.</summary>
/// <remarks>Abramowitz and Stegun 1964, table 25.4, 8 nodes.</remarks>
internal static class GaussLegendre
{
    // On [−1, 1], the positive half.
    private static readonly double[] s_nodes = [0.1834346424956498, 0.5255324099163290, 0.7966664774136267, 0.9602898564975363];
    private static readonly double[] s_weights = [0.3626837833783620, 0.3137066458778873, 0.2223810344533745, 0.1012285362903763];

    /// <summary>The places of one panel with the logarithms of their weights.</summary>
    public static IEnumerable<(double At, double LogWeight)> Panel(double low, double high)
    {
        double middle = low + ((high - low) / 2), half = (high - low) / 2;
        for (int i = 0; i < s_nodes.Length; i++)
        {
            double logWeight = Math.Log(half * s_weights[i]);
            yield return (middle - (half * s_nodes[i]), logWeight);
            yield return (middle + (half * s_nodes[i]), logWeight);
        }
    }

    /// <summary>Panels from low to high, each as wide as the width at its lower end says.</summary>
    public static IEnumerable<(double Low, double High)> Panels(double low, double high, Func<double, double> width)
    {
        while (low < high)
        {
            double next = low + width(low);
            // The last one takes a small rest along; one too narrow to move by ends it.
            if (next + (0.5 * (next - low)) >= high || next <= low) next = high;
            yield return (low, next);
            low = next;
        }
    }
}

/// <summary>ln Σ e^x, added to one by one.</summary>
internal struct LogSum()
{
    private double _largest = double.NegativeInfinity, _scaled;

    public readonly double Value => double.IsInfinity(_largest) ? _largest : _largest + Math.Log(_scaled);

    public void Add(double x)
    {
        if (double.IsNegativeInfinity(x)) return;
        if (x <= _largest)
        {
            _scaled += double.IsPositiveInfinity(x) ? 0 : Math.Exp(x - _largest);
        }
        else
        {
            _scaled = (_scaled * Math.Exp(_largest - x)) + 1;
            _largest = x;
        }
    }
}
