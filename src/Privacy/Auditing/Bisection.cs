namespace Federation.Privacy.Auditing;

/// <summary>Where something stops to hold.</summary>
internal static class Bisection
{
    private const int Halvings = 60;

    /// <summary>The highest value of [low, high] at which it holds, where it holds up to some value and not beyond; within 2⁻⁶⁰ of the range, <paramref name="low"/> where it never does.</summary>
    public static double Highest(double low, double high, Func<double, bool> holds)
    {
        if (holds(high)) return high;
        for (int i = 0; i < Halvings && low < high; i++)
        {
            double middle = low + ((high - low) / 2);
            if (holds(middle)) low = middle;
            else high = middle;
        }

        return low;
    }
}
