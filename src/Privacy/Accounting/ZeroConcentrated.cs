namespace Federation.Privacy.Accounting;

/// <summary>Zero-concentrated differential privacy: Rényi divergence at most ρα at every order α. It adds up over compositions.</summary>
/// <remarks>Bun and Steinke 2016.</remarks>
public static class ZeroConcentrated
{
    /// <summary>ρ = 1/(2σ²) of a Gaussian, continuous or discrete, with this noise multiplier (Bun and Steinke 2016, Proposition 1.6; Canonne, Kamath, Steinke 2020, Theorem 4).</summary>
    public static double Rho(NoiseMultiplier noise) => 1 / (2 * noise.Value * noise.Value);

    /// <summary>ρ for k units together: k²ρ (Bun and Steinke 2016, Proposition 1.9).</summary>
    public static double RhoForGroup(double rho, int size)
    {
        CheckRho(rho);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(size);
        return rho * size * size;
    }

    /// <summary>The least ε over all real orders: inf_{α&gt;1} ρα + ln(1 − 1/α) − ln(αδ)/(α − 1).</summary>
    /// <remarks>Canonne, Kamath, Steinke 2020, Proposition 12.</remarks>
    /// <param name="rho">In [0, ∞]; ∞ is no noise.</param>
    /// <param name="delta">In (0, 1).</param>
    public static double Epsilon(double rho, double delta)
    {
        CheckRho(rho);
        Checked.Delta(delta);
        if (rho == 0 || double.IsPositiveInfinity(rho)) return rho;
        double At(double log)
        {
            double excess = Math.Exp(log), order = 1 + excess;
            return (rho * order) - Math.Log(1 / excess + 1) - (Math.Log(order * delta) / excess);
        }

        // Quasi-convex in ln(α − 1); a coarse scan finds the valley, golden sections its floor.
        double best = Enumerable.Range(-60, 121).Select(i => i / 2.0).MinBy(At);
        return Math.Max(0, GoldenSection.Least(At, best - 0.5, best + 0.5, 80).Value);
    }

    /// <summary>ρ + 2√(ρ·ln(1/δ)), the simple conversion (Bun and Steinke 2016, Proposition 1.3).</summary>
    public static double SimpleEpsilon(double rho, double delta)
    {
        CheckRho(rho);
        Checked.Delta(delta);
        return rho + (2 * Math.Sqrt(-rho * Math.Log(delta)));
    }

    private static void CheckRho(double rho)
    {
        if (rho is not >= 0) throw new ArgumentOutOfRangeException(nameof(rho), rho, "ρ must be in [0, ∞].");
    }
}
