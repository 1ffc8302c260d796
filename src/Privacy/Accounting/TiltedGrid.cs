using System.Runtime.CompilerServices;

namespace Federation.Privacy.Accounting;

/// <summary>A privacy loss on the points First·step … Last·step, each weight multiplied by e^(tilt·loss): so the losses near the ε that is asked for weigh most, and rounding errors stay small beside them.</summary>
/// <remarks>Tilting as in the saddle-point accountant (Alghamdi et al. 2022), here before an exact convolution.</remarks>
/// <param name="logScale">Taken off every weight's logarithm, so that none overflows.</param>
internal sealed class TiltedGrid(double step, double tilt, long first, long last, double logScale)
{
    // Methods here and in the other kernels are compiled for speed at once: an accountant is often asked once in a process.
    // What rounding can do to a mass and to where it is split, relative to the mass: a few units in the last place of the logarithms that it is computed from. Both are moved up by more.
    private const double Slack = 1e-14, SlackOfLog = 4e-16;
    private readonly double _width = -Precise.Expm1(-step), _next = Math.Exp(tilt * step); // ∞ where a step is far too long for the tilt

    public double Step => step;

    public double Tilt => tilt;

    public long First => first;

    public long Last => last;

    public double LogScale => logScale;

    public double[] Weights { get; } = new double[last - first + 1];

    /// <summary>Mass between points k and k + 1 goes to both so that e^logP and e^logQ are kept: a + b = P, a·e^(−l_k) + b·e^(−l_(k+1)) = Q.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public void AddStretch(long k, double logP, double logQ)
    {
        if (double.IsNegativeInfinity(logP) || k < first || k >= last) return;
        double slack = Slack - (SlackOfLog * (Math.Min(logP, 0) + Math.Min(logQ, 0)));
        double upper = (slack - Precise.Expm1((k * step) + logQ - logP)) / _width;
        Add(k, logP + slack, upper);
    }

    public void AddAtom(double loss, double logMass)
    {
        if (double.IsNegativeInfinity(logMass)) return;
        double position = loss / step;
        long k = (long)Math.Floor(position);
        if (position < first || position > last) return;
        double slack = Slack - (SlackOfLog * logMass) + (SlackOfLog * Math.Abs(loss));
        if (k == last) Add(k - 1, logMass + slack, 1);
        else Add(k, logMass + slack, (slack - Precise.Expm1((k * step) - loss)) / _width);
    }

    /// <summary>Adds mass to point k and, its fraction <paramref name="upper"/>, to point k + 1.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Add(long k, double logMass, double upper)
    {
        upper = Math.Clamp(upper, 0, 1);
        double mass = Math.Exp(logMass - logScale + (tilt * k * step));
        if (upper < 1) Weights[k - first] += (1 - upper) * mass;
        if (upper > 0) Weights[k + 1 - first] += upper * (_next < 1e10 && mass > 1e-290 ? mass * _next : Math.Exp(logMass - logScale + (tilt * (k + 1) * step)));
    }

    /// <summary>ln Σ weights·e^(extra·loss), as the weights stand.</summary>
    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    public double LogMoment(double extra = 0)
    {
        const int Run = 128; // factors multiplied up before the exponential is computed anew: an error of some 1e-14
        double sum = 0, shift = extra * (extra >= 0 ? last : first) * step, ratio = Math.Exp(extra * step), factor = 1;
        for (int i = 0; i < Weights.Length; i++)
        {
            factor = i % Run == 0 || ratio > 1e3 ? Math.Exp((extra * (first + i) * step) - shift) : factor * ratio;
            sum += Weights[i] * factor;
        }

        return Math.Log(sum) + shift + 1e-13;
    }

    public void Normalize(double logMoment)
    {
        double factor = Math.Exp(-logMoment);
        for (int i = 0; i < Weights.Length; i++) Weights[i] *= factor;
    }
}
