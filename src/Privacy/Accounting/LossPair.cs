namespace Federation.Privacy.Accounting;

/// <summary>
/// The two output distributions of an unsampled mechanism that are hardest to tell apart (Zhu, Dong, Wang 2022, dominating pair): one without the unit, one with it.
/// Described by the loss L = ln(with/without): atoms, and a density between two losses. Exchanging the two only flips L's sign.
/// </summary>
internal abstract class LossPair
{
    private const int Bins = 1024;
    private (double Low, double High, double Without, double With)[]? _bins;

    /// <summary>The density part in equal coarse bins, with <see cref="LogMass"/> of each.</summary>
    public IReadOnlyList<(double Low, double High, double Without, double With)> DensityBins => _bins ??= MakeBins();

    /// <summary>Points of positive mass: the loss, and ln Pr[loss] without the unit; with it, the mass is e^Loss times that.</summary>
    public virtual IEnumerable<(double Loss, double LogMass)> Atoms => [];

    /// <summary>Where the loss has a density; an empty range if nowhere.</summary>
    public virtual (double Low, double High) DensityRange => (0, 0);

    /// <summary>ln of the density part's mass in (low, high], without the unit and with it.</summary>
    public virtual (double Without, double With) LogMass(double low, double high) => (double.NegativeInfinity, double.NegativeInfinity);

    /// <summary>Where all losses are whole multiples of one number, that number; else null.</summary>
    public virtual double? Spacing => null;

    /// <summary>Upper bound of the mass, with the unit, that neither the atoms nor the density range hold: its loss counts as infinite.</summary>
    public virtual double Truncated => 0;

    private (double Low, double High, double Without, double With)[] MakeBins()
    {
        (double from, double to) = DensityRange;
        if (!(to > from)) return [];
        var bins = new (double, double, double, double)[Bins];
        for (int i = 0; i < Bins; i++)
        {
            double low = from + ((to - from) * i / Bins), high = i == Bins - 1 ? to : from + ((to - from) * (i + 1) / Bins);
            (double without, double with) = LogMass(low, high);
            bins[i] = (low, high, without, with);
        }

        return bins;
    }

    public static LossPair Of(PrivacyEvent one) => one switch
    {
        GaussianEvent gaussian => new GaussianLossPair(gaussian.NoiseMultiplier.Value),
        LaplaceEvent laplace => new LaplaceLossPair(laplace.Scale / laplace.Sensitivity),
        DiscreteGaussianEvent discrete => new DiscreteGaussianLossPair(discrete.Variance, discrete.Sensitivity),
        DiscreteLaplaceEvent discrete => new DiscreteLaplaceLossPair(discrete.Parameter, discrete.Sensitivity),
        RandomizedResponseEvent response => new RandomizedResponseLossPair(response.NoiseParameter, response.Categories),
        RenyiEvent => throw new UnsupportedEventException("Of this event only the Rényi divergences are known: use the RDP accountant."),
        _ => throw new UnsupportedEventException($"No accountant knows the loss of a {one.GetType().Name}."),
    };
}

/// <summary>N(0, σ²) against N(1, σ²): L = (2x − 1)/(2σ²), so x/σ = σL + 1/(2σ).</summary>
internal sealed class GaussianLossPair(double sigma) : LossPair
{
    private const double Deviations = 39; // Pr[Z > 39] < 1e-332, less than any δ that a double holds

    public override (double Low, double High) DensityRange => (((-Deviations * sigma) - 0.5) / (sigma * sigma), ((Deviations * sigma) + 0.5) / (sigma * sigma));

    public override (double Without, double With) LogMass(double low, double high)
    {
        double shift = 0.5 / sigma, width = sigma * (high - low), middle = (sigma * low) + (width / 2);
        return (Normal.LogMass(middle + shift, width), Normal.LogMass(middle - shift, width));
    }

    public override double Truncated => double.Epsilon;
}

/// <summary>Laplace(0, b) against Laplace(1, b): L = (|x| − |x − 1|)/b, which stays at ±1/b outside [0, 1].</summary>
internal sealed class LaplaceLossPair(double b) : LossPair
{
    public override IEnumerable<(double Loss, double LogMass)> Atoms => [(-1 / b, -Math.Log(2)), (1 / b, -Math.Log(2) - (1 / b))];

    public override (double Low, double High) DensityRange => (-1 / b, 1 / b);

    public override (double Without, double With) LogMass(double low, double high)
    {
        double from = ((b * low) + 1) / 2, width = (high - low) / 2; // width: in units of b
        double logWidth = Math.Log(-Precise.Expm1(-width) / 2);
        return ((-from / b) + logWidth, (((from - 1) / b) + width) + logWidth);
    }
}

/// <summary>Pr[x] ∝ e^(−x²/(2σ²)) on the integers, against the same moved by Δ: L = Δ(2x − Δ)/(2σ²).</summary>
/// <remarks>Canonne, Kamath, Steinke 2020, Definition 1.</remarks>
internal sealed class DiscreteGaussianLossPair : LossPair
{
    private const double LargestSpread = 2e6;
    private readonly double _variance, _logNormalizer;
    private readonly long _sensitivity;

    public DiscreteGaussianLossPair(double variance, long sensitivity)
    {
        if (Math.Sqrt(variance) + sensitivity > LargestSpread)
        {
            throw new UnsupportedEventException($"A discrete Gaussian with standard deviation {Math.Sqrt(variance):G4} and sensitivity {sensitivity} has too many values for the PLD accountant (at most {LargestSpread:G1} together); use the RDP accountant.");
        }

        (_variance, _sensitivity, _logNormalizer) = (variance, sensitivity, DiscreteGaussian.LogSum(variance, 0));
    }

    public override double? Spacing => _sensitivity / (2 * _variance);

    public override IEnumerable<(double Loss, double LogMass)> Atoms
    {
        get
        {
            // ln Pr < −760 is below the smallest double.
            long reach = (long)Math.Ceiling(Math.Sqrt(2 * 760 * _variance)) + 1;
            for (long x = -reach; x <= reach + _sensitivity; x++)
            {
                yield return (_sensitivity * ((2.0 * x) - _sensitivity) / (2 * _variance), (-(double)x * x / (2 * _variance)) - _logNormalizer);
            }
        }
    }

    public override double Truncated => double.Epsilon;
}

/// <summary>Pr[x] ∝ e^(−λ|x|) on the integers, against the same moved by Δ: L = λ(|x| − |x − Δ|).</summary>
internal sealed class DiscreteLaplaceLossPair(double parameter, long sensitivity) : LossPair
{
    /// <summary>More losses than this are not enumerated.</summary>
    public const long LargestSensitivity = 100_000;

    /// <summary>ln tanh(λ/2): of Pr[0].</summary>
    public static double LogNormalizer(double parameter) => Math.Log(-Precise.Expm1(-parameter)) + LogTail(parameter);

    /// <summary>ln Pr[x ≤ 0] = −ln(1 + e^−λ).</summary>
    public static double LogTail(double parameter) => -Precise.Log1P(Math.Exp(-parameter));

    public override double? Spacing => parameter;

    public override IEnumerable<(double Loss, double LogMass)> Atoms
    {
        get
        {
            if (sensitivity > LargestSensitivity) throw new UnsupportedEventException($"A discrete Laplace with sensitivity {sensitivity} has too many losses to enumerate (at most {LargestSensitivity}).");
            double logNormalizer = LogNormalizer(parameter), logTail = LogTail(parameter);
            yield return (-parameter * sensitivity, logTail);
            for (long x = 1; x < sensitivity; x++) yield return (parameter * ((2.0 * x) - sensitivity), logNormalizer - (parameter * x));
            yield return (parameter * sensitivity, logTail - (parameter * sensitivity));
        }
    }
}

/// <summary>One of k categories, replaced with probability p by one drawn evenly from all k; two units with different true categories.</summary>
internal sealed class RandomizedResponseLossPair(double noiseParameter, int categories) : LossPair
{
    public override IEnumerable<(double Loss, double LogMass)> Atoms
    {
        get
        {
            double other = noiseParameter / categories, own = 1 - noiseParameter + other, loss = Precise.Log1P((1 - noiseParameter) / other);
            yield return (-loss, Math.Log(own));
            if (categories > 2) yield return (0, Math.Log(other * (categories - 2)));
            yield return (loss, Math.Log(other));
        }
    }
}
