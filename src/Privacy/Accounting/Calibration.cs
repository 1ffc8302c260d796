namespace Federation.Privacy.Accounting;

/// <summary>Parameters that just meet a target (ε, δ), by any accountant. What is returned meets it; a thousandth of a percent less noise does not.</summary>
public static class Calibration
{
    private const double Tolerance = 1e-5, Largest = 1e9;

    /// <summary>The smallest noise multiplier whose events meet the target.</summary>
    /// <param name="events">The run's events at a noise multiplier.</param>
    /// <exception cref="UnreachableTargetException">No noise is enough: another event alone exceeds the target.</exception>
    public static NoiseMultiplier NoiseMultiplier(IPrivacyAccountant accountant, PrivacyLoss target, Func<NoiseMultiplier, IEnumerable<PrivacyEvent>> events)
    {
        RequireFinite(target);
        Dictionary<double, double> known = [];
        double Epsilon(double sigma) => known.TryGetValue(sigma, out double before) ? before : known[sigma] = accountant.AtDelta(events(new(sigma)), target.Delta, target.Relation).Epsilon;
        double high = 1;
        while (Epsilon(high) > target.Epsilon)
        {
            high *= 2;
            if (high > Largest) throw new UnreachableTargetException($"No noise multiplier up to {Largest:G1} meets ε = {target.Epsilon:R} at δ = {target.Delta:R}.");
        }

        double low = high / 2;
        while (low > 1 / Largest && Epsilon(low) <= target.Epsilon) (high, low) = (low, low / 2);
        return new(Between(low, high, target.Epsilon, Epsilon));
    }

    /// <summary>No run is longer: more than 10¹² steps are reported as so many.</summary>
    public const long MostSteps = 1L << 40;

    /// <summary>The largest number of repetitions that meets the target, at most <see cref="MostSteps"/>; 0 if one is too many.</summary>
    /// <param name="step">What each repetition releases.</param>
    /// <exception cref="ArgumentOutOfRangeException">The target's ε is infinite.</exception>
    public static long Steps(IPrivacyAccountant accountant, PrivacyLoss target, PrivacyEvent step)
    {
        bool Meets(long count) => accountant.AtDelta([new RepeatedEvent(step, count)], target.Delta, target.Relation).Epsilon <= target.Epsilon;
        RequireFinite(target);
        if (!Meets(1)) return 0;
        // Rényi divergences are quick and never too low: what they allow is allowed.
        long low = accountant is PldAccountant ? Math.Max(1, StepsByRdp(target, step)) : 1;
        if (low >= MostSteps) return MostSteps;
        long high = Math.Min(MostSteps, 2 * low);
        while (Meets(high))
        {
            if (high == MostSteps) return high;
            (low, high) = (high, Math.Min(MostSteps, 2 * high));
        }

        while (high - low > 1)
        {
            long middle = low + ((high - low) / 2);
            if (Meets(middle)) low = middle;
            else high = middle;
        }

        return low;
    }

    private static long StepsByRdp(PrivacyLoss target, PrivacyEvent step)
    {
        try
        {
            return Steps(new RdpAccountant(), target, step);
        }
        catch (UnsupportedEventException)
        {
            return 1;
        }
    }

    private static void RequireFinite(PrivacyLoss target)
    {
        if (double.IsPositiveInfinity(target.Epsilon)) throw new ArgumentOutOfRangeException(nameof(target), target.Epsilon, "A target's ε must be finite.");
    }

    /// <summary>The largest sampling rate whose events meet the target.</summary>
    /// <param name="events">The run's events at a sampling rate.</param>
    /// <exception cref="UnreachableTargetException">Not even a rate of one in a billion is low enough.</exception>
    public static SamplingRate SamplingRate(IPrivacyAccountant accountant, PrivacyLoss target, Func<SamplingRate, IEnumerable<PrivacyEvent>> events)
    {
        RequireFinite(target);
        bool Meets(double rate) => accountant.AtDelta(events(new(rate)), target.Delta, target.Relation).Epsilon <= target.Epsilon;
        if (Meets(1)) return Accounting.SamplingRate.All;
        double low = 0.5, high = 1;
        while (!Meets(low))
        {
            (high, low) = (low, low / 2);
            if (low < 1 / Largest) throw new UnreachableTargetException($"No sampling rate down to {1 / Largest:G1} meets ε = {target.Epsilon:R} at δ = {target.Delta:R}.");
        }

        return new(1 / Between(1 / high, 1 / low, inverse => Meets(1 / inverse)));
    }

    /// <summary>The least noise whose ε is at most the target's, by interpolating ln ε over ln σ, which is nearly straight; high meets the target. Where that gets stuck, by halving.</summary>
    private static double Between(double low, double high, double target, Func<double, double> epsilon)
    {
        double atLow = Math.Log(epsilon(low) / target), atHigh = Math.Log(epsilon(high) / target);
        bool wasHigh = false;
        for (int step = 0; high / low > 1 + Tolerance; step++)
        {
            double width = Math.Log(high / low), part = atLow / (atLow - atHigh);
            if (step % 6 == 5 || !double.IsFinite(part)) part = 0.5;
            // A third of the tolerance beyond the estimate, on the side that the last step missed, so that both ends close in.
            double aside = Tolerance / 3 / width;
            double middle = low * Math.Exp(width * Math.Clamp(part + (wasHigh ? -aside : aside), Math.Min(0.5, aside), Math.Max(0.5, 1 - aside))), at = Math.Log(epsilon(middle) / target);
            wasHigh = at <= 0;
            if (wasHigh) (high, atHigh) = (middle, at);
            else (low, atLow) = (middle, at);
        }

        return high;
    }

    /// <summary>The least value that meets a condition, found by halving its logarithm; high does meet it.</summary>
    private static double Between(double low, double high, Func<double, bool> meets)
    {
        while (high / low > 1 + Tolerance)
        {
            double middle = Math.Sqrt(low * high);
            if (meets(middle)) high = middle;
            else low = middle;
        }

        return high;
    }
}

/// <summary>No parameter meets the privacy that was asked for.</summary>
public sealed class UnreachableTargetException(string message) : InvalidOperationException(message);
