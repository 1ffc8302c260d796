using System.Runtime.CompilerServices;

namespace Federation.Privacy.Accounting;

/// <summary>The composed privacy loss on a grid, tilted: Pr[loss = s] ≤ e^(logMoment − tilt·s)·(weight(s) + error).</summary>
/// <param name="error">Bounds the rounding error of each weight.</param>
/// <param name="leftOut">Bounds the tilted mass left out of the steps.</param>
/// <param name="beyond">Bounds the tilted mass above the window.</param>
/// <param name="infinite">Bounds the mass of infinite loss.</param>
internal sealed class ComposedLoss(double[] weights, long first, double step, double tilt, double logMoment, double error, double leftOut, double beyond, double infinite)
{
    /// <summary>Upper bound of δ at ε, and whether more than a thousandth of it is error terms: infinite + e^(logMoment − tilt·ε)·(Σ_{s &gt; ε} (w + error)·e^(−tilt·(s − ε))·(1 − e^(ε − s)) + leftOut + beyond·e^(−tilt·(top − ε))).</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public (double Delta, bool Loose) Delta(double epsilon)
    {
        long from = Math.Max(first, (long)Math.Floor(epsilon / step));
        double sum = 0, errors = Outside(epsilon);
        for (long k = from; k < first + weights.Length; k++)
        {
            double over = (k * step) - epsilon;
            if (over <= 0) continue;
            double factor = Math.Exp(-tilt * over);
            if (factor == 0) break;
            factor *= -Precise.Expm1(-over);
            sum += weights[k - first] * factor;
            errors += error * factor;
        }

        double delta = infinite + Math.Exp(logMoment - (tilt * epsilon) + Math.Log(sum + errors));
        return (Math.Min(1, delta), errors > 1e-3 * sum);
    }

    /// <summary>Whether what counts as infinite is more than δ already.</summary>
    public bool IsInfinite(double delta) => !(infinite <= delta);

    /// <summary>The least ε ≥ 0 at which the bound is at most δ; null if it lies outside the window. Loose: more than a thousandth of δ there is error terms.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public (double Epsilon, bool Loose)? Epsilon(double delta)
    {
        // Up to four million sums of positive terms, each rounded a few times.
        double target = (delta - infinite) * (1 - (5e-16 * weights.Length));
        if (!(target > 0)) return null;
        double decay = Math.Exp(-tilt * step), one = Math.Exp(-step), gap = -Precise.Expm1(-step);
        double all = 0, over = 0, scaled = 0, errors = 0; // Σ w e^(−tilt·d), Σ w e^(−tilt·d)(1 − e^(−d)), Σ w e^(−(tilt+1)d), d = s − s_k; and the errors' part of the first
        double logTarget = Math.Log(target);
        // What the bound is compared with, and the mass above the window, each a factor from bin to bin: good enough to see from afar that δ is not reached yet.
        double reach = 0, above = 0;
        for (long k = first + weights.Length - 1; k >= first; k--)
        {
            double at = k * step;
            // δ at s_k, where bin k itself contributes nothing; from s_(k+1) to s_k no difference is taken.
            over = decay * ((one * over) + (gap * all));
            all *= decay;
            scaled *= decay * one;
            errors *= decay;
            (reach, above) = (reach * decay, above * decay);
            if (k % 256 == 0) (reach, above) = (Math.Exp(logTarget - logMoment + (tilt * at)), Outside(at) - leftOut);
            double weight = weights[k - first] + error;
            if (at > 0 && double.IsFinite(reach) && over + leftOut + above < 0.999 * reach)
            {
                all += weight;
                scaled += weight;
                errors += error;
                continue;
            }

            double log = logMoment - (tilt * at) + Math.Log(over + Outside(at));
            if (!(log <= logTarget))
            {
                if (k == first + weights.Length - 1) return null;
                // Between s_k and s_(k+1) the bound is A − (e^(ε − s_k) − 1)·B, A its value at s_k.
                double allowed = Math.Exp(logTarget - logMoment + (tilt * at));
                double epsilon = at + Math.Clamp(Precise.Log1P((over + Outside(at) - allowed) / scaled), 0, step);
                if (double.IsNaN(epsilon)) epsilon = at + step;
                return (Math.Max(0, epsilon), errors + Outside(at) > 1e-3 * allowed);
            }

            if (at <= 0) return (0, false);
            all += weight;
            scaled += weight;
            errors += error;
        }

        return null;
    }

    private double Outside(double epsilon) => leftOut + (beyond * Math.Exp(-tilt * Math.Max(0, ((first + weights.Length) * step) - epsilon)));
}
