namespace Federation.Privacy.Accounting;

/// <summary>Losses that need no Fourier transform: one step alone, or few steps whose losses all lie on one coarse lattice. Every weight then keeps its relative precision, however small it is.</summary>
internal sealed class DirectLoss
{
    private const int GridPoints = 1 << 16, Passes = 4, MostLatticePoints = 4096;
    private const double Tight = 1e-6, TruncationNats = 17;

    // Relative rounding errors of a weight: of its logarithm's parts, and of the sums and products in a lattice power.
    private const double Slack = 1e-12;

    private readonly StepLoss? _single;
    private readonly ComposedLoss? _lattice;
    private readonly double _highest;

    private readonly (double Loss, double Mass)[]? _atoms;

    private DirectLoss(StepLoss? single, ComposedLoss? lattice, double highest)
    {
        (_single, _lattice, _highest) = (single, lattice, highest);
        if (single is { IsAtomic: true }) _atoms = Descending(single);
    }

    /// <returns>Null: the composition is neither.</returns>
    public static DirectLoss? Of(IReadOnlyList<(StepLoss Loss, long Count)> parts)
    {
        if (parts is not [var (loss, count)]) return null;
        double low = loss.Sketch[0].Low, high = loss.Sketch[^1].High;
        if (loss.Spacing is { } spacing && ((high - low) / spacing) + 1 <= MostLatticePoints / (double)count)
        {
            (long first, double[] masses) = loss.Lattice();
            double[] weights = Power(masses, count);
            for (int i = 0; i < weights.Length; i++) weights[i] *= 1 + Slack;
            return new DirectLoss(null, new ComposedLoss(weights, count * first, spacing, 0, 0, 0, 0, 0, count * loss.Infinite), count * high);
        }

        return count == 1 ? new DirectLoss(loss, null, high) : null;
    }

    /// <summary>A single step's atoms from the highest loss down to 0, each a little too high and too heavy.</summary>
    private static (double Loss, double Mass)[] Descending(StepLoss loss)
    {
        List<(double Loss, double Mass)> atoms = [(0, 0)];
        foreach ((double at, double logMass) in loss.Atoms())
        {
            if (at > 0 && Math.Exp(logMass) is > 0 and double mass) atoms.Add((at * (1 + 1e-15), mass * (1 + Slack)));
        }

        return [.. atoms.OrderByDescending(atom => atom.Loss)];
    }

    /// <summary>The least ε at which Σ_{l &gt; ε} P(l)·(1 − e^(ε − l)) is at most δ. Just below an atom l it is A + B·(1 − e^(ε − l)): no two nearly equal sums are subtracted.</summary>
    private double EpsilonOfAtoms(double delta)
    {
        double target = delta - _single!.Infinite, over = 0, scaled = 0, at = _atoms![0].Loss; // A, B and l
        foreach ((double loss, double mass) in _atoms)
        {
            double next = over - (scaled * Precise.Expm1(loss - at));
            if (next > target) return Math.Max(0, Math.BitIncrement(at + Precise.Log1P((over - target) / scaled)));
            (over, scaled, at) = (next, (scaled * Math.Exp(loss - at)) + mass, loss);
        }

        return 0;
    }

    private double DeltaOfAtoms(double epsilon)
    {
        double sum = _single!.Infinite;
        foreach ((double loss, double mass) in _atoms!)
        {
            if (loss <= epsilon) break;
            sum += mass * -Precise.Expm1(epsilon - loss);
        }

        return Math.Min(1, sum);
    }

    public double Epsilon(double delta)
    {
        if (_lattice is not null) return _lattice.Epsilon(delta) is { } answer ? answer.Epsilon : _lattice.IsInfinite(delta) ? double.PositiveInfinity : _highest;
        if (_single!.Infinite > delta) return double.PositiveInfinity;
        if (_atoms is not null) return EpsilonOfAtoms(delta);
        (double high, double truncated) = Truncated(delta * Math.Exp(-TruncationNats));
        double low = _single.Sketch[0].Low, best = Math.Max(0, _highest);
        for (int pass = 0; pass < Passes; pass++)
        {
            double step = Step(low, high);
            if (Grid(step, low, high, truncated).Epsilon(delta) is not { } answer) break;
            double before = best;
            best = Math.Min(best, answer.Epsilon);
            if (best == 0 || (pass > 0 && before - best <= Tight * best)) break;
            low = Math.Max(low, best - (4 * step));
        }

        return best;
    }

    public double Delta(double epsilon)
    {
        if (_lattice is not null) return _lattice.Delta(epsilon).Delta;
        if (_atoms is not null) return DeltaOfAtoms(epsilon);
        double best = 1, high = _highest, truncated = 0;
        for (int pass = 0; pass < Passes; pass++)
        {
            double before = best, step = Step(epsilon, high);
            best = Math.Min(best, Grid(step, epsilon - (2 * step), high, truncated).Delta(epsilon).Delta);
            if (best == 0 || (pass > 0 && before - best <= Tight * best)) break;
            (high, truncated) = Truncated(best * Math.Exp(-TruncationNats));
            if (high <= epsilon) break;
        }

        return best;
    }

    private static double Step(double low, double high) => Math.Max((high - low) / GridPoints, 1e-15 * Math.Max(Math.Abs(low), Math.Abs(high)));

    private ComposedLoss Grid(double step, double low, double high, double truncated)
    {
        TiltedGrid grid = _single!.Discretize(step, 0, low, high, 0);
        for (int i = 0; i < grid.Weights.Length; i++) grid.Weights[i] *= 1 + Slack;
        return new ComposedLoss(grid.Weights, grid.First, step, 0, 0, 0, 0, 0, _single.Infinite + truncated);
    }

    /// <summary>The least end of a bin above which there is no more than this mass; and that mass.</summary>
    private (double High, double Mass) Truncated(double limit)
    {
        LossBin[] bins = _single!.Sketch;
        int kept = bins.Length;
        double mass = 0;
        while (kept > 1 && mass + Math.Exp(bins[kept - 1].LogMass) <= limit) mass += Math.Exp(bins[--kept].LogMass);
        return (bins[kept - 1].High, mass);
    }

    /// <summary>The n-fold convolution by repeated squaring: sums of positive products.</summary>
    private static double[] Power(double[] weights, long count)
    {
        double[] result = [1], square = weights;
        while (true)
        {
            if ((count & 1) == 1) result = Convolve(result, square);
            count >>= 1;
            if (count == 0) return result;
            square = Convolve(square, square);
        }
    }

    private static double[] Convolve(double[] a, double[] b)
    {
        double[] sum = new double[a.Length + b.Length - 1];
        for (int i = 0; i < a.Length; i++)
        {
            if (a[i] == 0) continue;
            for (int j = 0; j < b.Length; j++) sum[i + j] += a[i] * b[j];
        }

        return sum;
    }
}
