namespace Federation.Formats.Runs;

/// <summary>By what the optimizer's learning rate is multiplied as the run goes on: from 0 up to 1 over a warm-up, from there as <see cref="Kind"/> says.</summary>
/// <param name="IsOverSteps">Moves with each step of a site's training in a round; else with each round, in which it then stays the same.</param>
/// <param name="WarmUp">The part of the run, in [0, 1), over which it rises linearly.</param>
/// <param name="At">Step decay: parts of the run, in (0, 1) and rising; at each the rate is multiplied by <paramref name="Factor"/>.</param>
/// <param name="Factor">In (0, 1].</param>
/// <param name="Minimum">Cosine: what it falls to, in [0, 1].</param>
/// <remarks>Warm-up: Goyal et al. 2017, section 2.2. Cosine: Loshchilov and Hutter 2017, equation 5, without restarts. Step decay: He et al. 2016, section 4.2, which divides by 10 at 1/2 and 3/4 of the run.</remarks>
public sealed record LearningRateSchedule(LearningRateDecay Kind, bool IsOverSteps, double WarmUp = 0, IReadOnlyList<double>? At = null, double Factor = 0.1, double Minimum = 0)
{
    /// <param name="done">Steps or rounds before this one; from 0.</param>
    /// <param name="total">Of the whole run, positive. What comes after the last is as the last.</param>
    /// <returns>In [0, 1], and 0 nowhere: a step that moves nothing would be lost.</returns>
    public double FactorAt(long done, long total)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(done);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(total);
        done = Math.Min(done, total - 1);
        double rising = WarmUp * total;
        if (done + 1 < rising) return (done + 1) / rising;
        double part = Math.Max(0, (done - rising) / (total - rising));
        return Kind switch
        {
            LearningRateDecay.Cosine => Minimum + ((1 - Minimum) * 0.5 * (1 + Math.Cos(Math.PI * part))),
            LearningRateDecay.Step => Math.Pow(Factor, At!.Count(at => done >= at * total)),
            _ => 1,
        };
    }
}

public enum LearningRateDecay
{
    /// <summary>Stays at 1.</summary>
    Constant,

    /// <summary>Falls by a factor at given parts of the run.</summary>
    Step,

    /// <summary>Falls along half a cosine wave.</summary>
    Cosine,
}
