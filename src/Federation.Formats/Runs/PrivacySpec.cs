using System.Collections.Concurrent;
using System.Globalization;
using Federation.Privacy.Accounting;

namespace Federation.Formats.Runs;

/// <summary>Differentially private training by DP-SGD (Abadi et al. 2016): each step samples privacy units, clips each one's gradient, and adds noise to the sum. With a site as the unit: its update is clipped and the sum of the updates gets the noise (McMahan et al. 2018).</summary>
/// <param name="Unit">What one neighbouring data set adds or removes.</param>
/// <param name="Key">Column of the table whose value says which person a record belongs to; null where every record is a unit.</param>
/// <param name="Noise">Whose noise protects a record.</param>
/// <param name="Clip">C, the L2 bound on a unit's gradient, or on a site's update: of the first round, where it is adaptive.</param>
/// <param name="Clipping">How the bound is kept.</param>
/// <param name="NoiseMultiplier">σ, in units of C; null: the least that keeps <paramref name="MaxEpsilon"/> over all rounds.</param>
/// <param name="SamplingRate">q: with this probability each unit enters a step, independently.</param>
/// <param name="Steps">DP-SGD steps of a site in a round; 1 with shared noise.</param>
/// <param name="MaxUnitRecords">Of a person that go into one step.</param>
/// <param name="Delta">δ at which ε is stated.</param>
/// <param name="MaxEpsilon">The run costs no unit more; null: whatever the noise multiplier gives.</param>
/// <param name="MaxColluding">Shared noise: so many contributors may know, or leave out, their own part of it.</param>
/// <param name="AdaptiveClip">A site as the unit: C follows a quantile of the updates' norms; null: it stays.</param>
public sealed record PrivacySpec(
    DpUnit Unit, string? Key, NoiseSource Noise, double Clip, GradientClipping Clipping, double? NoiseMultiplier, double SamplingRate, int Steps, int MaxUnitRecords, double Delta, double? MaxEpsilon, int MaxColluding,
    AdaptiveClipSpec? AdaptiveClip = null)
{
    /// <summary>A gradient's norm is taken in float32 and may come out too small by less than this part of itself: a unit moves the sum by up to C(1 + 2⁻¹⁶).</summary>
    public const double NormRounding = 1.0 / (1 << 16);

    private static readonly ConcurrentDictionary<(PrivacySpec, int, int, double), double> s_found = new();

    /// <summary>Samples and noise follow from the run's seed, which all its parties know: for experiments that are to repeat. Nothing that comes of it is differentially private, and ledgers record each release as of unlimited ε.</summary>
    public bool InsecureSeededNoise { get; init; }

    /// <summary>For sentences: record, person or site.</summary>
    public string UnitName => Unit.ToString().ToLowerInvariant();

    /// <summary>Whether the coordinator clips the sites' updates, which it sees as they are, and adds the noise.</summary>
    public bool IsCentral => Noise == NoiseSource.Central;

    /// <summary>n: so many parts of the noise are sure to be in an opened sum and unknown; 1 where somebody adds all of it.</summary>
    /// <param name="minContributors">Of the run.</param>
    public int NoisySites(int minContributors) => Noise == NoiseSource.Shared ? minContributors - MaxColluding : 1;

    /// <summary>σ as written, or the least that keeps the ε over all rounds and evaluations with a thousandth to spare for grids and samplers, rounded up to four digits so that every machine finds the same.</summary>
    /// <param name="rounds">Of the run.</param>
    /// <param name="evaluate">Whose noise is as written; null: none.</param>
    /// <exception cref="UnreachableTargetException">No noise is enough.</exception>
    internal double Sigma(int rounds, EvaluateSpec? evaluate) =>
        NoiseMultiplier ?? s_found.GetOrAdd((this, rounds, evaluate?.Every ?? 0, evaluate?.NoiseMultiplier ?? 0), static asked => asked.Item1.Calibrate(asked.Item2, asked.Item3, asked.Item4));

    private double Calibrate(int rounds, int every, double evaluationNoise)
    {
        PrivacyEvent[] evaluations = every == 0 ? [] : [new RepeatedEvent(new GaussianEvent(evaluationNoise), EvaluateSpec.Evaluations(every, rounds, rounds))];
        var target = new PrivacyLoss(MaxEpsilon!.Value * (1 - 1e-3), Delta, NeighboringRelation.AddOrRemoveOne);
        double least = Calibration.NoiseMultiplier(new PldAccountant(), target, sigma => [new RepeatedEvent(new GaussianEvent(sigma, new SamplingRate(SamplingRate)), (long)rounds * Steps), .. evaluations]).Value;
        double unit = Math.Pow(10, Math.Floor(Math.Log10(least)) - 3);
        return double.Parse((Math.Ceiling(least / unit) * unit).ToString("G4", CultureInfo.InvariantCulture), CultureInfo.InvariantCulture);
    }
}

public enum DpUnit
{
    /// <summary>A row of the table.</summary>
    Record,

    /// <summary>All rows with the same key.</summary>
    Person,

    /// <summary>All that a site contributes: its update is clipped as a whole.</summary>
    Site,
}

/// <summary>How C follows the updates' norms: Andrew, Thakkar, McMahan, Ramaswamy 2021, Algorithm 1.</summary>
/// <param name="Quantile">γ: the share of updates whose norm is to be at most C; in [0, 1].</param>
/// <param name="LearningRate">η_C, positive.</param>
public sealed record AdaptiveClipSpec(double Quantile, double LearningRate);

public enum NoiseSource
{
    /// <summary>Each site adds all the noise that its records need: nobody else has to be trusted.</summary>
    Own,

    /// <summary>Under secure aggregation the sites' parts add up to the noise of one central step: less noise in the model, and a guarantee that holds while enough contributors keep their parts to themselves.</summary>
    Shared,

    /// <summary>A site as the unit, without secure aggregation: the coordinator clips each update and adds the noise to their sum. It guards against everybody who sees the models alone, never against the coordinator.</summary>
    Central,
}

public enum GradientClipping
{
    Flat,
    PerLayer,
    Automatic,
}
