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

    private DirectLoss(StepLoss? single, ComposedLoss? lattice, double highest) => (_single, _lattice, _highest) = (single, lattice, highest);

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

    public double Epsilon(double delta)
    {
        if (_lattice is not null) return _lattice.Epsilon(delta) is { } answer ? answer.Epsilon : _lattice.IsInfinite(delta) ? double.PositiveInfinity : _highest;
        if (_single!.Infinite > delta) return double.PositiveInfinity;
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
