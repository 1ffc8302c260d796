namespace Federation.Privacy.Accounting;

/// <summary>Many steps' losses, all in one direction, added up: plans tilt, grid and window from coarse sketches, then convolves by FFT.</summary>
/// <param name="gridError">The grid's share of ε at most, as far as can be told beforehand.</param>
internal sealed class LossComposition(IReadOnlyList<(StepLoss Loss, long Count)> parts, double gridError = LossComposition.GridError)
{
    // Convolving n steps on a grid of step h raises ε by about n(θ + 1)h²/12.
    public const double GridError = 1e-5;
    private const double WindowNats = 26, AliasNats = 16, TruncationNats = 17;
    private const double SmallestLogDelta = -740, SmallestDeviation = 0.05, MostPoints = 4e6, MostSteps = 3e8;
    private const int SmallestLog = 14, LargestLog = 22;

    // Normwise relative error of a radix-2 transform, a level (Higham 2002, Theorem 24.2, with twiddles good to 2 units; the packing of reals is one more level), and of a product.
    internal const double TransformError = 10 * 1.2e-16, ProductError = 4 * 1.2e-16;

    // A plan's view of each part: the bins that it does not leave out, and the mass of those that it does.
    private readonly LossBin[][] _finite = [.. parts.Select(part => part.Loss.Sketch)];
    private readonly double[] _truncated = new double[parts.Count];

    /// <summary>The sum of the highest finite losses: at an ε from there on, only what counts as infinite is left.</summary>
    public double Highest { get; } = parts.Sum(part => part.Count * part.Loss.Sketch[^1].High) * (1 + 1e-14); // losses are rounded

    /// <summary>So many steps that rounding would drown the answer.</summary>
    public bool IsTooLong { get; } = parts.Sum(part => (double)part.Count) > MostSteps;

    /// <summary>A way without Fourier transforms, where there is one.</summary>
    public DirectLoss? Direct { get; } = DirectLoss.Of(parts);

    /// <summary>Bounds the mass of infinite loss.</summary>
    public double Infinite { get; } = parts.Sum(part => part.Count * part.Loss.Infinite);

    /// <summary>The tilt under which losses centre where δ(ε) = e^logDelta, by the saddle-point approximation; and that ε.</summary>
    public LossPlan PlanForDelta(double logDelta)
    {
        Truncate(logDelta);
        double tilt = Increasing(t => -LogDelta(t), -logDelta);
        double epsilon = Cumulant(tilt).Mean;
        return new(tilt, epsilon, epsilon, logDelta);
    }

    /// <summary>The tilt under which losses centre at ε; 0 if they already centre above it.</summary>
    public LossPlan PlanForEpsilon(double epsilon)
    {
        double Tilt() => Cumulant(0).Mean >= epsilon ? 0 : Increasing(t => Cumulant(t).Mean, epsilon);
        Truncate(SmallestLogDelta);
        double tilt = Tilt(), before;
        do
        {
            // A δ(ε) this small asks for no more of the tail than this; and without that tail it may be smaller still.
            before = LogDelta(tilt) - (tilt * (epsilon - Cumulant(tilt).Mean));
            Truncate(before);
            tilt = Tilt();
        }
        while (LogDelta(tilt) < before - 1);
        return new(tilt, epsilon, Math.Max(epsilon, 0.1 * Math.Sqrt(Cumulant(tilt).Variance)), before);
    }

    /// <summary>The distribution of the summed loss, tilted; fine enough for an ε near the plan's.</summary>
    /// <param name="whole">Take a window that holds nearly all of the tilted mass, wherever ε turns out to be.</param>
    public ComposedLoss Compose(LossPlan plan, bool whole)
    {
        // A smaller tilt can do with a far shorter window where a few rare, huge losses dominate the tilted tail, at the price of larger rounding errors.
        LossPlan shortest = Enumerable.Range(0, whole ? 1 : 4).Select(i => plan with { Tilt = plan.Tilt * (1 - (0.15 * i)) }).MinBy(candidate => Length(Window(candidate, whole)));
        (double bottom, double top) = Window(shortest, whole);
        double tilt = shortest.Tilt, scale = Math.Max(plan.Scale, Math.Max(double.Epsilon, SmallestDeviation * Math.Sqrt(Cumulant(0).Variance)));
        double steps = parts.Sum(part => (double)part.Count);
        double coarsest = Math.Sqrt(12 * gridError * scale / ((plan.Tilt + 1) * steps));
        int log = (int)Math.Clamp(Math.Ceiling(Math.Log2((top - bottom) / coarsest / 1.15)), SmallestLog, LargestLog);
        int length = 1 << log;
        // Where the window is short, a finer step costs nothing, within reason.
        var reaches = parts.Select((part, i) => Reach(part.Loss, _finite[i], tilt, part.Count)).ToArray();
        double step = Math.Max(Math.Max((top - bottom) / length, coarsest / 16), reaches.Max(reach => reach.High - reach.Low) / MostPoints), logMoment = 0, error = 0, leftOut = 0, infinite = 0, tailLog = 0;
        long first = (long)Math.Floor(bottom / step);
        double extra = Math.Min(LeastAt(t => (Cumulant(tilt + t).Value - Cumulant(tilt).Value + WindowNats) / t), 1 / step);

        RealTransform transform = new(length);
        Spectrum product = Spectrum.Ones((length / 2) + 1);
        double[] weights = new double[length];
        for (int i = 0; i < parts.Count; i++)
        {
            (StepLoss loss, long count) = parts[i];
            (double low, double high, double logScale, double omitted) = reaches[i];
            TiltedGrid grid = loss.Discretize(step, tilt, low, high, logScale);
            double moment = grid.LogMoment();
            grid.Normalize(moment);
            logMoment += count * (moment + logScale);
            leftOut += count * Math.Exp(omitted - moment - logScale);
            infinite += count * (loss.Infinite + _truncated[i]);
            tailLog += count * grid.LogMoment(extra);
            Spread(grid, weights);
            // Of both: at most the root mean square over the frequencies, by Parseval and Cauchy–Schwarz.
            error += count * Norm(weights) * ((TransformError * log) + ProductError) * Multiply(product, transform.Forward(weights), count);
        }

        double[] sums = transform.Inverse(product);
        error += TransformError * log * Norm(sums);
        for (int i = 0; i < length; i++) weights[i] = Math.Max(0, sums[Modulo(first + i, length)]);

        double beyond = Math.Exp(Math.Min(0, tailLog - (extra * (first + length) * step)));
        return new(weights, first, step, tilt, logMoment + (steps * 1e-16), error, leftOut, beyond, infinite);
    }

    /// <summary>A step's weights, their places taken modulo the length.</summary>
    private static void Spread(TiltedGrid grid, double[] weights)
    {
        Array.Clear(weights);
        for (int i = 0; i < grid.Weights.Length; i++) weights[Modulo(grid.First + i, weights.Length)] += grid.Weights[i];
    }

    private static double Norm(double[] values)
    {
        double sum = 0;
        foreach (double value in values) sum += value * value;
        return Math.Sqrt(sum);
    }

    /// <summary>product ← product · spectrum^count. Returns the root mean square of |spectrum|^(count − 1), which damps the transform's errors.</summary>
    private static double Multiply(Spectrum product, Spectrum spectrum, long count) => Math.Sqrt((product.MultiplyByPower(spectrum, count) / product.Real.Length) + (count == 1 ? 1 : 0));

    /// <summary>Leaves out each step's highest losses while their mass, times the steps, is below e^−17·δ: they count as infinite.</summary>
    private void Truncate(double logDelta)
    {
        for (int i = 0; i < parts.Count; i++)
        {
            LossBin[] bins = parts[i].Loss.Sketch;
            double limit = Math.Exp(logDelta - TruncationNats) / parts[i].Count / parts.Count, mass = 0;
            int kept = bins.Length;
            while (kept > 1 && mass + Math.Exp(bins[kept - 1].LogMass) <= limit) mass += Math.Exp(bins[--kept].LogMass);
            (_finite[i], _truncated[i]) = (bins[..kept], mass);
        }
    }

    /// <summary>
    /// The stretch of sums to keep; others fall into it modulo its length, which only raises δ. Whole: nearly all of the tilted mass.
    /// Else it begins near ε, and is so long that what falls in from below, at most e^(−tilt·length), and from above, by Chernoff's bound, is below e^−16·δ.
    /// </summary>
    private (double Bottom, double Top) Window(LossPlan plan, bool whole)
    {
        (double value, double mean, double variance) = Cumulant(plan.Tilt);
        double top = Least(t => (Cumulant(plan.Tilt + t).Value - value + WindowNats) / t);
        double bottom = -Least(t => (Cumulant(plan.Tilt - t).Value - value + WindowNats) / t);
        bottom -= Below(plan.Tilt, Math.Sqrt(variance));
        double nats = AliasNats + Math.Max(0, value - (plan.Tilt * plan.Epsilon) - plan.LogDelta);
        double fromBelow = plan.Tilt == 0 ? double.PositiveInfinity : (AliasNats - plan.LogDelta) / plan.Tilt;
        double fromAbove = Least(t => (Cumulant(plan.Tilt + t).Value - value + nats) / t) - plan.Epsilon;
        double deviation = Math.Sqrt(variance), margin = deviation + Below(plan.Tilt, deviation), length = margin + Math.Max(fromBelow, fromAbove);
        if (!whole && length < top - bottom) (bottom, top) = (plan.Epsilon - margin, plan.Epsilon - margin + length);
        return (bottom, top + (0.04 * (top - bottom))); // rounding up to the grid moves the top a little
    }

    /// <summary>Where an increasing function of t &gt; 0 reaches a value, from above.</summary>
    private static double Increasing(Func<double, double> function, double value)
    {
        double low = Math.Log(1e-9), high = Math.Log(1e12);
        for (int i = 0; i < 45; i++)
        {
            double middle = (low + high) / 2;
            if (function(Math.Exp(middle)) < value) low = middle;
            else high = middle;
        }

        return Math.Exp(high);
    }

    /// <summary>How far below its mean a tilted loss may have to be looked for: a few times 1/tilt, or its deviation if that is less.</summary>
    private static double Below(double tilt, double deviation) => deviation == 0 ? (tilt == 0 ? 0 : 3 / tilt) : 3 / (tilt + (1 / deviation));

    private static double Length((double Bottom, double Top) window) => window.Top - window.Bottom;

    private static double Least(Func<double, double> function) => function(LeastAt(function));

    /// <summary>Where a quasi-convex function of t &gt; 0 is least, by golden sections in ln t.</summary>
    private static double LeastAt(Func<double, double> function) => Math.Exp(GoldenSection.Least(log => function(Math.Exp(log)), Math.Log(1e-7), Math.Log(1e9), 16).At);

    /// <summary>Which losses of one step matter under the tilt: all but e^−38/count of the tilted mass. Omitted: ln of what the losses outside contribute at most.</summary>
    private static (double Low, double High, double LogScale, double Omitted) Reach(StepLoss loss, LossBin[] bins, double tilt, long count)
    {
        double scale = loss.Moments.At(tilt, bins.Length).Value, limit = scale - WindowNats - 2 - Math.Log(count);
        int last = bins.Length - 1, first = 0;
        double omitted = double.NegativeInfinity;
        while (last > 0)
        {
            double next = Precise.LogAdd(omitted, bins[last].LogMass + (tilt * bins[last].High));
            if (next > limit) break;
            omitted = next;
            last--;
        }

        double below = double.NegativeInfinity;
        while (first < last)
        {
            double next = Precise.LogAdd(below, bins[first].LogMass + (tilt * bins[first].High));
            if (next > limit) break;
            below = next;
            first++;
        }

        omitted = Precise.LogAdd(omitted, below);
        return (bins[first].Low, bins[last].High, scale, omitted);
    }

    private double LogDelta(double tilt)
    {
        (double value, double mean, double variance) = Cumulant(tilt);
        return value - (tilt * mean) - Precise.Log1P(tilt * Math.Sqrt(2 * Math.PI * variance)) - Precise.Log1P(tilt);
    }

    private (double Value, double Mean, double Variance) Cumulant(double tilt)
    {
        double value = 0, mean = 0, variance = 0;
        for (int i = 0; i < parts.Count; i++)
        {
            (double v, double m, double s) = parts[i].Loss.Moments.At(tilt, _finite[i].Length);
            value += parts[i].Count * v;
            mean += parts[i].Count * m;
            variance += parts[i].Count * s;
        }

        return (value, mean, variance);
    }

    private static long Modulo(long value, long modulus) => ((value % modulus) + modulus) % modulus;
}

/// <summary>How strongly to tilt, near which ε to look, the ε beside which errors should be small, and ln δ(ε), about.</summary>
internal readonly record struct LossPlan(double Tilt, double Epsilon, double Scale, double LogDelta);
