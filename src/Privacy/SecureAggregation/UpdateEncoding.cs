using Federation.Privacy.Accounting;
using Federation.Privacy.Canonical;
using Federation.Privacy.Mechanisms;

namespace Federation.Privacy.SecureAggregation;

/// <summary>
/// What every site of a round must agree on to encode its update, and what follows from it. Immutable.
/// The vector is weight·(update, w₀), clipped as a whole to L2 norm C, rotated if there is a seed, in steps of γ, cut to ±x_cut, rounded at random to integers under a norm bound, with this site's discrete Gaussian noise added.
/// </summary>
/// <remarks>Kairouz, Liu, Steinke 2021, "The Distributed Discrete Gaussian Mechanism for Federated Learning with Secure Aggregation", Algorithm 1, with a range check in place of the modulus.</remarks>
public sealed class UpdateEncoding
{
    /// <summary>Most values of direct mode: one ciphertext of the key ring.</summary>
    public const int MostDirectValues = 8192;

    private const double LeastRange = 9, LeastNoise = 2, LeastWeightSteps = 16; // in σ of a site; in steps
    private const double RoundedUp = SharedNoise.RoundedUp;
    private readonly byte[]? _rotationSeed;

    /// <param name="layout">Chosen from precision and cohort.</param>
    /// <param name="values">Of an update, without the weight that is sent as one more. Positive.</param>
    /// <param name="clip">C, the L2 bound of the weighted vector, weight included. In [2⁻⁶⁰, 2⁶⁰].</param>
    /// <param name="weightScale">w₀ > 0: a weight w is sent as the value w₀·w. About the size of an update's values at weight 1 is a good choice.</param>
    /// <param name="rotationSeed">32 bytes, public; null: no rotation.</param>
    /// <param name="cut">x_cut: larger coordinates are cut. Null with rotation: min(C, 6·C/√d), made for updates whose blocks of 2048 values are about equally long. Required without.</param>
    /// <param name="noiseVariance">σ² of one site's noise in a value, in the square of its unit; 0: none.</param>
    /// <param name="largestWeight">The most that a site may claim; 1 where all count the same.</param>
    /// <param name="unitClip">How far one privacy unit within a site (a record, a person) moves the site's vector in L2 norm; then clip and cut only keep the vector in range. Null: the site itself is the unit, and moves it by C.</param>
    /// <exception cref="ArgumentException">A value is out of range, or the cut is missing.</exception>
    /// <exception cref="UpdateLayoutException">The noise is finer than the grid allows, the weight is finer than the grid or beyond the cut, or the values do not fit direct mode.</exception>
    public UpdateEncoding(UpdateLayout layout, int values, double clip, float weightScale, byte[]? rotationSeed, double? cut, double noiseVariance, double largestWeight = 1, double? unitClip = null)
        : this(layout, values, clip, weightScale, rotationSeed, cut, noiseVariance, largestWeight, LeastRange, unitClip)
    {
        // A cut weight, or one lost in the rounding, would be wrong without a sign of it, and the whole mean with it.
        double weight = (double)weightScale * largestWeight, room = IsRotated ? Clip : Cut;
        if (weight > room * (1 + 1e-6)) throw new UpdateLayoutException($"The largest weight {largestWeight:g6} is sent as {weight:g4}, beyond {(IsRotated ? "the clipping norm" : "the cut")} of {room:g4}: a scale of the weight of at most {room / largestWeight:g4} fits.");
        if (!IsNoisy && weight < LeastWeightSteps * Grid) throw new UpdateLayoutException($"The largest weight {largestWeight:g6} is sent as {weight:g4}, less than {LeastWeightSteps} grid steps of {Grid:g4}: a scale of the weight of at least {LeastWeightSteps * Grid / largestWeight:g4} is needed, or more bits.");
    }

    /// <summary>For tests: any weight, however fine or large.</summary>
    internal static UpdateEncoding AnyWeight(UpdateLayout layout, int values, double clip, float weightScale, byte[]? rotationSeed, double? cut, double noiseVariance) =>
        new(layout, values, clip, weightScale, rotationSeed, cut, noiseVariance, double.MaxValue, LeastRange);

    /// <summary>For tests: without what holds the weight against grid and cut.</summary>
    /// <param name="range">Room for the noise, in σ of a site; tests make it small to see what happens beyond.</param>
    internal UpdateEncoding(UpdateLayout layout, int values, double clip, float weightScale, byte[]? rotationSeed, double? cut, double noiseVariance, double largestWeight, double range, double? unitClip = null)
    {
        const double largest = 1L << 60;
        if (values is < 1 or > int.MaxValue - (1 << 17)) throw new ArgumentOutOfRangeException(nameof(values), values, $"An update must have 1 to {int.MaxValue - (1 << 17)} values.");
        if (clip is not (>= 1 / largest and <= largest)) throw new ArgumentOutOfRangeException(nameof(clip), clip, "A clipping norm must be in [2^-60, 2^60].");
        if (weightScale is not (> 0 and < float.PositiveInfinity)) throw new ArgumentOutOfRangeException(nameof(weightScale), weightScale, "The scale of the weight must be in (0, ∞).");
        if (rotationSeed is { Length: not 32 }) throw new ArgumentException($"A rotation's seed has 32 bytes, not {rotationSeed.Length}.", nameof(rotationSeed));
        if (rotationSeed == null && cut == null) throw new ArgumentException("Without rotation the cut must be given: the largest absolute value that a weighted value may have.", nameof(cut));
        if (noiseVariance is not (>= 0 and < double.PositiveInfinity)) throw new ArgumentOutOfRangeException(nameof(noiseVariance), noiseVariance, "A variance must be in [0, ∞).");
        if (largestWeight is not (> 0 and < double.PositiveInfinity)) throw new ArgumentOutOfRangeException(nameof(largestWeight), largestWeight, "The largest weight must be in (0, ∞).");
        if (unitClip is { } unit && !(unit > 0 && unit <= clip)) throw new ArgumentOutOfRangeException(nameof(unitClip), unitClip, $"A unit's clipping norm must be in (0, {clip}], the site's.");
        if (unitClip != null && rotationSeed != null) throw new ArgumentException("Vectors of which a unit is a part are not rotated: the rotation's rounding is bounded for whole vectors only.", nameof(rotationSeed));
        UnitClip = unitClip;
        (Layout, Values, Clip, WeightScale, NoiseVariance, LargestWeight, _rotationSeed) = (layout, values, clip, weightScale, noiseVariance, largestWeight, rotationSeed?.AsSpan().ToArray());
        Dimension = rotationSeed == null ? values + 1 : (values + UpdateLayout.BlockLength) / UpdateLayout.BlockLength * UpdateLayout.BlockLength;
        if (layout.IsDirect && Dimension > MostDirectValues) throw new UpdateLayoutException($"{Dimension} values with the weight do not fit direct mode: at most {MostDirectValues} do. Choose the hybrid layout.");
        Cut = cut ?? Math.Min(clip, 6 * clip / Math.Sqrt(Dimension));
        if (!(Cut >= clip / (1 << 20) && Cut <= clip)) throw new ArgumentOutOfRangeException(nameof(cut), Cut, $"The cut must be in [C/2^20, C], C = {clip}.");

        double half = layout.Levels / 2.0, deviation = Math.Sqrt(noiseVariance);
        if (noiseVariance > 0 && half < 2)
        {
            throw new UpdateLayoutException($"{layout.Levels} levels leave no room for noise.", Advice(Cut, deviation));
        }

        Grid = noiseVariance > 0 ? (Cut + (range * deviation)) / (half - 1.5) : Cut / half;
        CutSteps = noiseVariance > 0 ? Cut / Grid : half;
        NoiseDeviationSteps = deviation / Grid;
        if (noiseVariance > 0 && NoiseDeviationSteps < LeastNoise)
        {
            throw new UpdateLayoutException($"One site's noise, σ = {deviation:g4}, is {NoiseDeviationSteps:g4} grid steps of {Grid:g4}; at least {LeastNoise} are needed.", Advice(Cut, deviation));
        }

        double root = Math.Sqrt(Dimension), norm = Clip / Grid;
        double bound = Math.Min((norm + root) * (norm + root), (norm * norm) + (Dimension / 4.0) + norm + (root / 2)); // √(2·ln(1/β)) = 1
        LargestSquaredNorm = unitClip == null ? (UInt128)bound : UInt128.MaxValue;
        SquaredSensitivity = (unitClip is { } moved ? Math.Pow(moved + (Grid * root), 2) : bound * Grid * Grid) * RoundedUp;
    }

    public UpdateLayout Layout { get; }

    /// <summary>Of an update, without the weight.</summary>
    public int Values { get; }

    /// <summary>C.</summary>
    public double Clip { get; }

    /// <summary>w₀.</summary>
    public float WeightScale { get; }

    /// <summary>What a site's weight is capped at.</summary>
    public double LargestWeight { get; }

    /// <summary>Null: the vector is not rotated.</summary>
    public ReadOnlySpan<byte> RotationSeed => _rotationSeed;

    public bool IsRotated => _rotationSeed != null;

    /// <summary>x_cut.</summary>
    public double Cut { get; }

    /// <summary>σ² of one site's noise; 0 is none.</summary>
    public double NoiseVariance { get; }

    public bool IsNoisy => NoiseVariance > 0;

    /// <summary>d: the values and the weight, with rotation padded to whole blocks of 2048.</summary>
    public int Dimension { get; }

    /// <summary>Of 2048 coefficients.</summary>
    public int Blocks => Layout.Blocks(Dimension);

    /// <summary>γ, what one step of the grid is worth: 2·x_cut/L; with noise so wide that 9σ more fit.</summary>
    public double Grid { get; }

    /// <summary>x_cut/γ.</summary>
    public double CutSteps { get; }

    /// <summary>σ/γ of one site; at least 2 if there is noise.</summary>
    public double NoiseDeviationSteps { get; }

    /// <summary>C_u: one privacy unit moves a site's vector by at most this before it is rounded. Null: the site is the unit.</summary>
    public double? UnitClip { get; }

    /// <summary>The bound on the squared norm of a site's rounded vector in steps, noise left out: ⌊(Δ₂/γ)²⌋. None where the unit is within a site: a rounding chosen by the whole vector's norm would depend on every unit.</summary>
    public UInt128 LargestSquaredNorm { get; }

    /// <summary>
    /// Δ₂², the most that one unit adds to the sum before noise, squared. A site: min{(C + γ√d)², C² + γ²d/4 + γ·(C + γ√d/2)}, β = e^(−1/2).
    /// A unit within one: (C_u + γ√d)², because clipping and cutting bring no two vectors further apart, and roundings with the same random bits move each coordinate by less than one step more.
    /// </summary>
    public double SquaredSensitivity { get; }

    /// <summary>At most how probable is it that one upload is withheld because a value with its noise is out of range. Part of δ. 0 without noise.</summary>
    /// <remarks>Pr[X ≥ m] ≤ Pr[N(0, σ²) ≥ m − 1] for integers m ≥ 1 (Canonne, Kamath, Steinke 2020, Proposition 25), over d values and both sides.</remarks>
    public double RangeErrorProbability => IsNoisy ? Math.Min(1, 2.0 * Dimension * Math.Exp(Normal.LogTail(((Layout.Levels / 2.0) - CutSteps - 1) / NoiseDeviationSteps)) * RoundedUp) : 0;

    /// <summary>How far, in total variation, the noise of one upload is at most from discrete Gaussians. Part of δ, for each site whose noise counts. 0 without noise.</summary>
    public double SamplerDistance => IsNoisy ? Math.Min(1, Dimension * DiscreteGaussianSampler.DistanceOf(NoiseDeviationSteps * NoiseDeviationSteps)) : 0;

    /// <summary>The least L at which a site's noise spans the two steps required: 4·x_cut/σ + 39.</summary>
    /// <param name="cut">x_cut, positive.</param>
    /// <param name="noiseVariance">σ² of one site, positive.</param>
    public static double LeastLevels(double cut, double noiseVariance) => Math.Ceiling((2 * LeastNoise * cut / Math.Sqrt(noiseVariance)) + (2 * LeastNoise * LeastRange) + 3);

    /// <summary>ε of ½ε²-concentrated differential privacy of the opened sum, where so many sites added their noise. ∞ without noise.</summary>
    /// <param name="noisySites">n: minContributors against everybody outside, minContributors − c against c colluding sites. Never the number that came.</param>
    /// <remarks>
    /// Kairouz, Liu, Steinke 2021, Theorem 1: τ = 10·Σ_{k=1}^{n−1} e^(−2π²(σ/γ)²·k/(k+1)) bounds, a coordinate, how far a sum of n discrete Gaussians is from one of variance nσ²;
    /// ε = min{√(Δ₂²/(nσ²) + 2τd), Δ₂/(√n·σ) + τ√d}. Neighbours differ by one site (AddOrRemoveOne).
    /// </remarks>
    /// <exception cref="ArgumentOutOfRangeException">There are no such sites, or more than the cohort.</exception>
    public double ConcentratedEpsilon(int noisySites)
    {
        if (noisySites < 1 || noisySites > Layout.Cohort) throw new ArgumentOutOfRangeException(nameof(noisySites), noisySites, $"The noise must come from 1 to {Layout.Cohort} sites.");
        return IsNoisy ? ConcentratedEpsilon(SquaredSensitivity / NoiseVariance, noisySites, NoiseDeviationSteps, Dimension) : double.PositiveInfinity;
    }

    /// <param name="squaredRatio">(Δ₂/σ)².</param>
    /// <param name="noisySites">n.</param>
    /// <param name="steps">σ/γ.</param>
    /// <param name="dimension">d.</param>
    internal static double ConcentratedEpsilon(double squaredRatio, int noisySites, double steps, int dimension)
    {
        double tau = SharedNoise.Tau(noisySites, steps), squared = squaredRatio / noisySites;
        return Math.Min(Math.Sqrt(squared + (2 * tau * dimension)), Math.Sqrt(squared) + (tau * Math.Sqrt(dimension))) * RoundedUp;
    }

    /// <summary>What one opening costs, for accountants: <see cref="SharedNoise.Event"/> on the grid, with the samplers' distances and the chance that an upload is withheld.</summary>
    /// <param name="noisySites">n, as for <see cref="ConcentratedEpsilon(int)"/>.</param>
    /// <param name="samplingRate">With which each unit entered its site's vector.</param>
    /// <param name="moves">By so many times the unit's part the vector moves; 2: a site's vector becomes another one, as where a record in it does.</param>
    /// <exception cref="ArgumentOutOfRangeException">There are no such sites, or more than the cohort.</exception>
    public PrivacyEvent Event(int noisySites, SamplingRate samplingRate, int moves = 1)
    {
        if (noisySites < 1 || noisySites > Layout.Cohort) throw new ArgumentOutOfRangeException(nameof(noisySites), noisySites, $"The noise must come from 1 to {Layout.Cohort} sites.");
        if (!IsNoisy) return new NonPrivateEvent();
        return SharedNoise.Event(noisySites, NoiseDeviationSteps, moves * Math.Sqrt(SquaredSensitivity) / Grid, Dimension, samplingRate, (noisySites * SamplerDistance) + RangeErrorProbability);
    }

    /// <summary>ρ = ε²/2 of <see cref="ConcentratedEpsilon(int)"/>.</summary>
    /// <inheritdoc cref="ConcentratedEpsilon(int)"/>
    public double Rho(int noisySites)
    {
        double epsilon = ConcentratedEpsilon(noisySites);
        return epsilon * epsilon / 2;
    }

    public byte[] Encode()
    {
        CanonicalWriter writer = Layout.Write(new CanonicalWriter("update-encoding")).Field((ulong)Values);
        return writer.Field(Clip).Field((double)WeightScale).Field(RotationSeed).Field(Cut).Field(NoiseVariance).Field(LargestWeight).Field(UnitClip ?? 0).Field(Grid).ToArray();
    }

    /// <exception cref="FormatException">The bytes are no encoding, or its grid is not the one that this program computes.</exception>
    public static UpdateEncoding Decode(ReadOnlySpan<byte> bytes)
    {
        CanonicalReader reader = new(bytes, "update-encoding");
        UpdateLayout layout = UpdateLayout.Read(ref reader);
        int values = reader.Int32(1, int.MaxValue);
        double clip = reader.Double(), weightScale = reader.Double();
        byte[] seed = reader.Field(32).ToArray();
        double cut = reader.Double(), variance = reader.Double(), largest = reader.Double(), unit = reader.Double(), grid = reader.Double();
        reader.End();
        try
        {
            UpdateEncoding encoding = new(layout, values, clip, (float)weightScale, seed.Length == 0 ? null : seed, cut, variance, largest, unit == 0 ? null : unit);
            if (encoding.WeightScale != weightScale) throw new FormatException($"The scale of the weight, {weightScale}, is no float.");
            return encoding.Grid == grid ? encoding : throw new FormatException($"The grid is said to be {grid}; clip, cut, levels and noise give {encoding.Grid}.");
        }
        catch (Exception wrong) when (wrong is ArgumentException or UpdateLayoutException)
        {
            throw new FormatException(wrong.Message, wrong);
        }
    }

    private static string Advice(double cut, double deviation) => $"Choose a layout of at least {Math.Ceiling(Math.Log2(LeastLevels(cut, deviation * deviation) + 1))} bits, a smaller cut or more noise.";
}
