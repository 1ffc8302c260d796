using System.Runtime.CompilerServices;

namespace Federation.Privacy.Accounting;

/// <summary>From which of two neighbouring data sets the outputs come.</summary>
internal enum LossDirection
{
    /// <summary>The unit is there: P = (1 − q)·without + q·with, Q = without.</summary>
    Remove,

    /// <summary>The unit is not there: P = without, Q = (1 − q)·without + q·with.</summary>
    Add,

    /// <summary>One unit instead of another: Remove's δ(ε) for ε ≥ 0, and the same with P and Q exchanged below (see <see cref="StepLoss"/>).</summary>
    Replace,
}

/// <summary>One step's privacy loss l = ln(P/Q) under P, its units sampled at rate q before the mechanism.</summary>
/// <remarks>
/// Adding or removing: Zhu, Dong, Wang 2022, Theorem 11, P and Q as <see cref="LossDirection"/> says; each direction is composed by itself.
/// Replacing: with A the mechanism's output without either unit and B, B′ with one of them, the pair is (1−q)A + qB and (1−q)A + qB′. By advanced joint convexity (Balle, Barthe, Gaboardi 2018, Theorem 2)
/// δ(ln(1 + q(e^ε − 1))) ≤ q·δ₀(ε) for ε ≥ 0, δ₀ of the unsampled mechanism, if its sensitivity bounds B against B′ and against A. That is Remove's curve; below 0 the same holds with the two exchanged.
/// </remarks>
internal sealed class StepLoss(LossPair pair, double q, LossDirection direction)
{
    private readonly double _logQ = Math.Log(q), _logRest = Precise.Log1P(-q);
    private LossBin[]? _sketch;
    private SketchMoments? _moments;

    /// <summary>Where all losses are whole multiples of one number, that number; else null.</summary>
    public double? Spacing => q == 1 && direction != LossDirection.Replace ? pair.Spacing : null;

    /// <summary>With a <see cref="Spacing"/>: P-mass by multiple of it, from the returned one on.</summary>
    public (long First, double[] Masses) Lattice()
    {
        (long Place, double Mass)[] atoms = [.. Atoms().Select(atom => ((long)Math.Round(atom.Loss / Spacing!.Value), Math.Exp(atom.LogMass))).Where(atom => atom.Item2 > 0)];
        long first = atoms.Min(atom => atom.Place);
        double[] masses = new double[atoms.Max(atom => atom.Place) - first + 1];
        foreach ((long place, double mass) in atoms) masses[place - first] += mass;
        return (first, masses);
    }

    /// <summary>P-mass of infinite loss, one step.</summary>
    public double Infinite => pair.Truncated;

    /// <summary>All losses have positive mass, so that sums over them are exact.</summary>
    public bool IsAtomic => !(pair.DensityRange.High > pair.DensityRange.Low);

    /// <summary>The atoms under P: the loss, and ln of its mass.</summary>
    public IEnumerable<(double Loss, double LogMass)> Atoms()
    {
        foreach ((double loss, double logMass) in pair.Atoms)
        {
            if (direction == LossDirection.Remove || (direction == LossDirection.Replace && loss > 0)) yield return (Sampled(loss), Mixture(logMass, logMass + loss));
            if (direction == LossDirection.Add || (direction == LossDirection.Replace && loss > 0)) yield return (-Sampled(loss), logMass);
        }

        if (direction == LossDirection.Replace) yield return (0, Math.Log(Math.Max(0, Undecided())));
    }

    /// <summary>Coarse bins that hold all of P's finite mass, sorted by their upper ends.</summary>
    public LossBin[] Sketch => _sketch ??= MakeSketch();

    public SketchMoments Moments => _moments ??= new SketchMoments(Sketch);

    /// <summary>
    /// The connect-the-dots approximation, tilted: weights[k − first] = Pr[k·step]·e^(tilt·k·step).
    /// Every stretch of losses between two grid points goes to these two so that its P-mass and its Q-mass stay what they are; δ(ε) is then exact on the grid and too high between.
    /// </summary>
    /// <remarks>Doroshenko, Ghazi, Kamath, Kumar, Manurangsi 2022, Algorithm 1, as a rounding of masses: no difference of nearly equal δ is ever taken.</remarks>
    /// <param name="low">Losses below it, and above <paramref name="high"/>, are left out: the caller accounts for them.</param>
    public TiltedGrid Discretize(double step, double tilt, double low, double high, double logScale)
    {
        long first = (long)Math.Floor(low / step), last = (long)Math.Ceiling(high / step);
        TiltedGrid grid = new(step, tilt, first, last, logScale);
        Density(grid);
        foreach ((double loss, double logMass) in Atoms()) grid.AddAtom(loss, logMass);
        return grid;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private void Density(TiltedGrid grid)
    {
        (double from, double to) = pair.DensityRange;
        if (!(to > from)) return;
        // Remove's losses on the grid: Add's are theirs mirrored, Replace's are the positive ones and the mirrored.
        (double lowest, double highest) = (Sampled(from), Sampled(to));
        long first = (long)Math.Floor(lowest / grid.Step), last = (long)Math.Ceiling(highest / grid.Step);
        // What the grid leaves out anyway need not be computed.
        if (direction == LossDirection.Remove) (first, last) = (Math.Max(first, grid.First), Math.Min(last, grid.Last));
        if (direction == LossDirection.Add) (first, last) = (Math.Max(first, -grid.Last), Math.Min(last, -grid.First));
        if (direction == LossDirection.Replace) (first, last) = (Math.Max(0, Math.Max(grid.First, -grid.Last)), Math.Min(last, Math.Max(grid.Last, -grid.First)));
        bool toEnd = last * grid.Step >= highest;
        double left = Clamp(Unsampled(first * grid.Step), direction == LossDirection.Replace ? Math.Max(from, 0) : from, to);
        for (long k = first; k < last; k++)
        {
            double right = k == last - 1 && toEnd ? to : Clamp(Unsampled((k + 1) * grid.Step), from, to);
            if (right > left)
            {
                (double without, double with) = pair.LogMass(left, right);
                double mixture = Mixture(without, with);
                if (direction != LossDirection.Add) grid.AddStretch(k, mixture, without);
                if (direction != LossDirection.Remove) grid.AddStretch(-(k + 1), without, mixture);
            }

            left = right;
        }
    }

    /// <summary>1 − Pr[l &gt; 0] under P and under Q: where the pair of Replace is equally likely.</summary>
    private double Undecided()
    {
        double sum = 1;
        (double from, double to) = pair.DensityRange;
        if (to > 0 && to > from)
        {
            (double without, double with) = pair.LogMass(Math.Max(from, 0), to);
            sum -= Math.Exp(without) + Math.Exp(Mixture(without, with));
        }

        foreach ((double loss, double logMass) in pair.Atoms)
        {
            if (loss > 0) sum -= Math.Exp(logMass) + Math.Exp(Mixture(logMass, logMass + loss));
        }

        return sum;
    }

    private LossBin[] MakeSketch()
    {
        List<LossBin> bins = [];
        foreach ((double low, double high, double without, double with) in pair.DensityBins)
        {
            if (direction == LossDirection.Replace && low < 0)
            {
                if (high <= 0) continue;
                (double positiveWithout, double positiveWith) = pair.LogMass(0, high);
                Include(bins, 0, Sampled(high), positiveWithout, Mixture(positiveWithout, positiveWith));
                continue;
            }

            Include(bins, Sampled(low), Sampled(high), without, Mixture(without, with));
        }

        bins.AddRange(Atoms().Select(atom => new LossBin(atom.Loss, atom.Loss, atom.LogMass)));
        bins.RemoveAll(bin => double.IsNegativeInfinity(bin.LogMass));
        bins.Sort((a, b) => a.High.CompareTo(b.High));
        return [.. bins];
    }

    private void Include(List<LossBin> bins, double low, double high, double without, double mixture)
    {
        if (direction != LossDirection.Add) bins.Add(new(low, high, mixture));
        if (direction != LossDirection.Remove) bins.Add(new(-high, -low, without));
    }

    /// <summary>l = ln(1 − q + q·e^L).</summary>
    private double Sampled(double loss) => Sampled(loss, q);

    /// <summary>l = ln(1 − q + q·e^L).</summary>
    internal static double Sampled(double loss, double q)
    {
        if (q == 1) return loss;
        return loss <= 30 ? Precise.Log1P(q * Precise.Expm1(loss)) : loss + Math.Log(q + ((1 - q) * Math.Exp(-loss)));
    }

    /// <summary>L from l; −∞ at and below ln(1 − q).</summary>
    private double Unsampled(double loss)
    {
        if (q == 1) return loss;
        if (loss > 1) return loss - _logQ + Precise.Log1P(-(1 - q) * Math.Exp(-loss));
        double ratio = Precise.Expm1(loss) / q;
        return ratio <= -1 ? double.NegativeInfinity : Precise.Log1P(ratio);
    }

    /// <summary>ln((1 − q)·e^without + q·e^with).</summary>
    private double Mixture(double without, double with)
    {
        if (q == 1) return with;
        return Precise.LogAdd(_logRest + without, _logQ + with);
    }

    private static double Clamp(double value, double low, double high) => Math.Min(Math.Max(value, low), high);
}

/// <summary>ln of the P-mass whose loss lies in [Low, High].</summary>
internal readonly record struct LossBin(double Low, double High, double LogMass)
{
    public double Middle => Low + ((High - Low) / 2);
}
