namespace Federation.Privacy.Accounting;

/// <summary>Rényi divergence of the Poisson-sampled Gaussian mechanism at any real order above 1.</summary>
/// <remarks>
/// Mironov, Talwar, Zhang 2019, Theorem 5 and Section 3: D_α = ln A_α / (α − 1), A_α = E[((1 − q) + q·e^((2x−1)/(2σ²)))^α], x ~ N(0, σ²), for adding or removing one.
/// The trapezoid rule converges exponentially here: the integrand decays like a Gaussian and its nearest branch point lies πσ² off the real line.
/// </remarks>
public static class SampledGaussianRdp
{
    private const double TailDeviations = 12;
    private const double SmallLog = 0.1;

    /// <param name="q">Sampling rate in (0, 1].</param>
    /// <param name="sigma">Noise multiplier in [0, ∞).</param>
    /// <param name="order">α, above 1.</param>
    /// <returns>In [0, ∞].</returns>
    public static double At(double q, double sigma, double order)
    {
        if (order is not > 1) throw new ArgumentOutOfRangeException(nameof(order), order, "An order must be above 1.");
        if (sigma == 0) return double.PositiveInfinity;
        if (q == 1) return order / (2 * sigma * sigma); // Mironov 2017, Proposition 7
        return (order == Math.Floor(order) && order <= 4096 ? LogMomentBySum(q, sigma, (int)order) : LogMomentByQuadrature(q, sigma, order)) / (order - 1);
    }

    /// <summary>ln A_α at an integer order: the finite binomial sum. Where it is small, as ln(1 + Σ_{k≥2}), whose terms are all positive.</summary>
    private static double LogMomentBySum(double q, double sigma, int order)
    {
        // A − 1 = Σ_{k=2}^{α} C(α,k) (1−q)^(α−k) q^k (e^((k²−k)/(2σ²)) − 1), because the binomial weights sum to 1.
        double logQ = Math.Log(q), logOther = Precise.Log1P(-q), logBinomial = Math.Log(order);
        double largest = double.NegativeInfinity;
        double[] logs = new double[order - 1];
        for (int k = 2; k <= order; k++)
        {
            logBinomial += Math.Log((order - k + 1) / (double)k);
            double exponent = k * (k - 1.0) / (2 * sigma * sigma);
            logs[k - 2] = logBinomial + ((order - k) * logOther) + (k * logQ) + Precise.LogExpm1(exponent);
            largest = Math.Max(largest, logs[k - 2]);
        }

        double sum = 0;
        foreach (double log in logs) sum += Math.Exp(log - largest);
        return Precise.LogOnePlusExp(largest + Math.Log(sum));
    }

    private static double LogMomentByQuadrature(double q, double sigma, double order)
    {
        double step = Math.Min(0.4 * sigma, 0.4 * sigma * sigma), low = -TailDeviations * sigma, high = order + (TailDeviations * sigma);
        long count = (long)Math.Ceiling((high - low) / step);
        double logWeight = Math.Log(step) - Math.Log(sigma * Math.Sqrt(2 * Math.PI));
        double largest = double.NegativeInfinity, scaled = 0;
        for (long i = 0; i <= count; i++)
        {
            double x = low + (i * step), term = logWeight - (x * x / (2 * sigma * sigma)) + (order * LogRatio(q, sigma, x));
            if (term > largest)
            {
                scaled = (scaled * Math.Exp(largest - term)) + 1;
                largest = term;
            }
            else scaled += Math.Exp(term - largest);
        }

        double log = largest + Math.Log(scaled);
        return log > SmallLog ? log : Precise.Log1P(SmallMoment(q, sigma, order, step, low, count));
    }

    /// <summary>A − 1 = E[r^α − 1 − α(r − 1)], r the density ratio, whose mean is 1: no term is negative, so nothing cancels.</summary>
    private static double SmallMoment(double q, double sigma, double order, double step, double low, long count)
    {
        double sum = 0, weight = step / (sigma * Math.Sqrt(2 * Math.PI));
        for (long i = 0; i <= count; i++)
        {
            double x = low + (i * step), log = LogRatio(q, sigma, x);
            sum += weight * Math.Exp(-x * x / (2 * sigma * sigma)) * Precise.Excess(log, order);
        }

        return sum;
    }

    /// <summary>ln((1 − q) + q·e^((2x−1)/(2σ²))).</summary>
    private static double LogRatio(double q, double sigma, double x)
    {
        double exponent = ((2 * x) - 1) / (2 * sigma * sigma);
        return exponent <= 0 ? Precise.Log1P(q * Precise.Expm1(exponent)) : exponent + Math.Log(q + ((1 - q) * Math.Exp(-exponent)));
    }
}
