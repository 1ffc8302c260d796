namespace Federation.Privacy.Accounting;

/// <summary>The composed privacy loss on a grid, tilted: Pr[loss = s] ≤ e^(logMoment − tilt·s)·(weight(s) + error).</summary>
/// <param name="error">Bounds the rounding error of each weight.</param>
/// <param name="leftOut">Bounds the tilted mass left out of the steps.</param>
/// <param name="beyond">Bounds the tilted mass above the window.</param>
/// <param name="infinite">Bounds the mass of infinite loss.</param>
internal sealed class ComposedLoss(double[] weights, long first, double step, double tilt, double logMoment, double error, double leftOut, double beyond, double infinite)
{
    /// <summary>Upper bound of δ at ε, and whether more than a thousandth of it is error terms: infinite + e^(logMoment − tilt·ε)·(Σ_{s &gt; ε} (w + error)·e^(−tilt·(s − ε))·(1 − e^(ε − s)) + leftOut + beyond·e^(−tilt·(top − ε))).</summary>
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

    /// <summary>The least ε ≥ 0 at which the bound is at most δ; null if it lies outside the window. Loose: more than a thousandth of δ there is error terms.</summary>
    public (double Epsilon, bool Loose)? Epsilon(double delta)
    {
        double target = delta - infinite;
        if (!(target > 0)) return null;
        double decay = Math.Exp(-tilt * step), decayOne = Math.Exp(-(tilt + 1) * step);
        double sum = 0, sumOne = 0, errors = 0; // Σ w e^(−tilt(s−s_k)), Σ w e^(−(tilt+1)(s−s_k)), the errors' part of the first
        double logTarget = Math.Log(target);
        // What the bound is compared with, and the mass above the window, each a factor from bin to bin: good enough to see from afar that δ is not reached yet.
        double reach = 0, above = 0;
        for (long k = first + weights.Length - 1; k >= first; k--)
        {
            double at = k * step;
            // δ at s_k: bin k itself contributes nothing.
            sum *= decay;
            sumOne *= decayOne;
            errors *= decay;
            (reach, above) = (reach * decay, above * decay);
            if (k % 256 == 0) (reach, above) = (Math.Exp(logTarget - logMoment + (tilt * at)), Outside(at) - leftOut);
            if (at > 0 && double.IsFinite(reach) && sum - sumOne + leftOut + above < 0.999 * reach)
            {
                sum += weights[k - first] + error;
                sumOne += weights[k - first] + error;
                errors += error;
                continue;
            }

            double log = logMoment - (tilt * at) + Math.Log(sum - sumOne + Outside(at));
            if (log > logTarget)
            {
                if (k == first + weights.Length - 1) return null;
                // Between s_k and s_(k+1) the bound is A − e^(ε − s_k)·B.
                double allowed = Math.Exp(logTarget - logMoment + (tilt * at));
                double epsilon = at + Math.Clamp(Math.Log((sum + Outside(at) - allowed) / sumOne), 0, step);
                if (double.IsNaN(epsilon)) epsilon = at + step;
                return (Math.Max(0, epsilon), errors + Outside(at) > 1e-3 * allowed);
            }

            if (at <= 0) return (0, false);
            sum += weights[k - first] + error;
            sumOne += weights[k - first] + error;
            errors += error;
        }

        return null;
    }

    private double Outside(double epsilon) => leftOut + (beyond * Math.Exp(-tilt * Math.Max(0, ((first + weights.Length) * step) - epsilon)));
}
