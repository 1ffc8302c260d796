using System.Runtime.CompilerServices;

namespace Federation.Privacy.Accounting;

/// <summary>Rényi divergence of the Poisson-sampled Gaussian mechanism at any real order above 1.</summary>
/// <remarks>
/// Mironov, Talwar, Zhang 2019, Theorem 5 and Section 3: D_α = ln A_α / (α − 1), A_α = E[((1 − q) + q·e^((2x−1)/(2σ²)))^α], x ~ N(0, σ²), for adding or removing one.
/// The trapezoid rule converges exponentially here: the integrand decays like a Gaussian and its nearest branch point lies πσ² off the real line. Where σ is so small that it would take many points,
/// Gauss–Legendre on panels that narrow towards the bend takes its place.
/// </remarks>
public static class SampledGaussianRdp
{
    private const double TailDeviations = 12;

    // Beyond, only the first term of A − 1 counts: the next is at most α·q/σ² of it.
    private const double VeryWide = 1e8, MostPoints = 4000;

    /// <param name="q">Sampling rate in (0, 1].</param>
    /// <param name="sigma">Noise multiplier in [0, ∞).</param>
    /// <param name="order">α, in (1, ∞).</param>
    /// <returns>In [0, ∞].</returns>
    /// <exception cref="ArgumentOutOfRangeException">A value is out of range or NaN.</exception>
    public static double At(double q, double sigma, double order)
    {
        if (q is not (> 0 and <= 1)) throw new ArgumentOutOfRangeException(nameof(q), q, "A sampling rate must be in (0, 1].");
        if (sigma is not (>= 0 and < double.PositiveInfinity)) throw new ArgumentOutOfRangeException(nameof(sigma), sigma, "A noise multiplier must be in [0, ∞).");
        if (order is not (> 1 and < double.PositiveInfinity)) throw new ArgumentOutOfRangeException(nameof(order), order, "An order must be in (1, ∞).");
        if (order * order / sigma / sigma > 1e300 || sigma == 0) return double.PositiveInfinity;
        if (q == 1) return order / sigma / sigma / 2; // Mironov 2017, Proposition 7
        if (sigma > VeryWide * Math.Sqrt(order)) return order / 2 * q * q / sigma / sigma * (1 + 1e-9);
        return Math.Max(0, (order == Math.Floor(order) && order <= 4096 ? LogMomentBySum(q, sigma, (int)order) : LogMomentByQuadrature(q, sigma, order)) / (order - 1));
    }

    /// <summary>ln A_α at an integer order: the finite binomial sum. Where it is small, as ln(1 + Σ_{k≥2}), whose terms are all positive.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static double LogMomentBySum(double q, double sigma, int order)
    {
        // A − 1 = Σ_{k=2}^{α} C(α,k) (1−q)^(α−k) q^k (e^((k²−k)/(2σ²)) − 1), because the binomial weights sum to 1.
        double logQ = Math.Log(q), logOther = Precise.Log1P(-q), logBinomial = Math.Log(order);
        LogSum sum = new();
        for (int k = 2; k <= order; k++)
        {
            logBinomial += Math.Log((order - k + 1) / (double)k);
            double exponent = k * (k - 1.0) / (2 * sigma * sigma);
            sum.Add(logBinomial + ((order - k) * logOther) + (k * logQ) + Precise.LogExpm1(exponent));
        }

        return Precise.LogOnePlusExp(sum.Value);
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static double LogMomentByQuadrature(double q, double sigma, double order)
    {
        double step = Math.Min(0.4 * sigma, 0.4 * sigma * sigma), low = -TailDeviations * sigma, high = order + (TailDeviations * sigma);
        if ((high - low) / step > MostPoints) return LogMomentByPanels(q, sigma, order);
        long count = (long)Math.Ceiling((high - low) / step);
        double logWeight = Math.Log(step) - Math.Log(sigma * Math.Sqrt(2 * Math.PI));
        LogSum sum = new();
        for (long i = 0; i <= count; i++)
        {
            double x = low + (i * step);
            sum.Add(logWeight - (x * x / (2 * sigma * sigma)) + (order * LogRatio(q, sigma, x)));
        }

        double log = sum.Value;
        return log > RenyiDivergence.SmallLog ? log : Precise.Log1P(SmallMoment(q, sigma, order, step, low, count));
    }

    /// <summary>The integrand is two Gaussians' sum, around 0 and around α, bent where the ratio's two terms are equal: panels of at most σ/2, narrower the nearer to the bend, down to σ²/2.</summary>
    private static double LogMomentByPanels(double q, double sigma, double order)
    {
        double square = sigma * sigma, bend = 0.5 + (square * (Precise.Log1P(-q) - Math.Log(q))), reach = TailDeviations * sigma;
        double Width(double x) => Math.Min(sigma / 2, Math.Max(square / 2, Math.Abs(x - bend) / 3));
        double logScale = -Math.Log(sigma * Math.Sqrt(2 * Math.PI));
        LogSum sum = new();
        double excess = 0;
        (double Low, double High)[] stretches = order <= 2 * reach ? [(-reach, order + reach)] : [(-reach, reach), (order - reach, order + reach)];
        foreach ((double from, double to) in stretches)
        {
            // Up to the bend mirrored, so that panels narrow towards it from both sides.
            double middle = Math.Clamp(bend, from, to);
            foreach ((double low, double high) in GaussLegendre.Panels(middle, to, Width)) Include(low, high);
            foreach ((double low, double high) in GaussLegendre.Panels(-middle, -from, x => Width(-x))) Include(-high, -low);
        }

        double log = sum.Value;
        return log > RenyiDivergence.SmallLog ? log : Precise.Log1P(excess);

        void Include(double low, double high)
        {
            foreach ((double at, double logWeight) in GaussLegendre.Panel(low, high))
            {
                double mass = logWeight + logScale - (at * at / (2 * square)), ratio = LogRatio(q, sigma, at);
                sum.Add(mass + (order * ratio));
                excess += RenyiDivergence.ExcessOf(ratio, mass, order);
            }
        }
    }

    /// <summary>A − 1 = E[r^α − 1 − α(r − 1)], r the density ratio, whose mean is 1: no term is negative, so nothing cancels.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static double SmallMoment(double q, double sigma, double order, double step, double low, long count)
    {
        double sum = 0, logWeight = Math.Log(step) - Math.Log(sigma * Math.Sqrt(2 * Math.PI));
        for (long i = 0; i <= count; i++)
        {
            double x = low + (i * step);
            sum += RenyiDivergence.ExcessOf(LogRatio(q, sigma, x), logWeight - (x * x / (2 * sigma * sigma)), order);
        }

        return sum;
    }

    /// <summary>ln((1 − q) + q·e^((2x−1)/(2σ²))).</summary>
    private static double LogRatio(double q, double sigma, double x) => StepLoss.Sampled(((2 * x) - 1) / (2 * sigma * sigma), q);
}
