using Federation.Privacy.Accounting;

namespace Federation.Learning.DifferentialPrivacy;

public enum ClippedSumMethod
{
    /// <summary>One forward and one backward pass for many records.</summary>
    BookKeeping,

    /// <summary>One forward and one backward pass for each unit: slow, and right for any model whose losses do not mix units.</summary>
    RecordByRecord,
}

/// <summary>Settings of <see cref="DpTrainer"/> as written; <see cref="ToParameters"/> checks them. What bears on privacy has no default.</summary>
public sealed class DpSgdOptions
{
    internal const int UsualPhysicalBatchSize = 256;

    /// <summary>C, the L2 bound on each unit's gradient. Required, unless there are <see cref="LayerNorms"/>.</summary>
    public double? ClippingNorm { get; set; }

    /// <summary>Bounds of the single layers, in the order of the model's modules; only for <see cref="ClippingKind.PerLayer"/>. Without them each of L layers gets C/√L.</summary>
    public IReadOnlyList<double>? LayerNorms { get; set; }

    /// <summary>Required.</summary>
    public ClippingKind? Clipping { get; set; }

    /// <summary>σ: the noise's standard deviation over the sensitivity C. Required, positive.</summary>
    public double? NoiseMultiplier { get; set; }

    /// <summary>q: the probability with which each unit enters a step's batch. Required. It is what the accountant counts, so it must be chosen without looking at the data, and not as (wanted size)/(number of units) unless that number is public.</summary>
    public double? SamplingRate { get; set; }

    /// <summary>
    /// What the noisy sum is divided by: about as many units as a batch is to have, such as 256. Required, and a public number: chosen from what everybody may know, such as a planned size of the study.
    /// Not computed from the data, because how many units there are is itself private when neighbours differ by one unit more or less. It scales the learning rate, nothing else.
    /// </summary>
    public double? ExpectedBatchSize { get; set; }

    /// <summary>Most records that go through the model at once: it bounds memory, and changes nothing else. Of a model whose layers hold much for each record it is fewer by itself, so that about 512 MB are held. A unit is never split, so a person's records may exceed it.</summary>
    public int PhysicalBatchSize { get; set; } = UsualPhysicalBatchSize;

    /// <summary>γ of automatic clipping, relative to nothing: in the gradient's own units.</summary>
    public double Stability { get; set; } = 0.01;

    public ClippedSumMethod Method { get; set; }

    /// <exception cref="OptionsException">Lists every invalid setting: name, value, repair.</exception>
    public DpSgdParameters ToParameters()
    {
        List<string> errors = [];
        if (Clipping is not { } clipping || !Enum.IsDefined(clipping))
        {
            errors.Add(Problem(nameof(Clipping), Clipping, "Flat, PerLayer or Automatic is right"));
            clipping = default;
        }

        if (LayerNorms is not null)
        {
            if (clipping != ClippingKind.PerLayer) errors.Add(Problem(nameof(LayerNorms), "given", "they belong to Clipping = PerLayer"));
            if (ClippingNorm is not null) errors.Add(Problem(nameof(ClippingNorm), ClippingNorm, "with LayerNorms it must be left out"));
            if (LayerNorms.Count == 0) errors.Add(Problem(nameof(LayerNorms), "empty", "one bound for each layer is right"));
            foreach (double norm in LayerNorms.Where(norm => norm is not (> 0 and < double.PositiveInfinity))) errors.Add(Problem(nameof(LayerNorms), norm, "a clipping norm must be in (0, ∞)"));
        }
        else
        {
            Positive(ClippingNorm, nameof(ClippingNorm), errors);
        }

        Positive(NoiseMultiplier, nameof(NoiseMultiplier), errors);
        Positive(ExpectedBatchSize, nameof(ExpectedBatchSize), errors);
        Positive(Stability, nameof(Stability), errors);
        if (SamplingRate is not (> 0 and <= 1)) errors.Add(Problem(nameof(SamplingRate), SamplingRate, "it must be in (0, 1]"));
        if (PhysicalBatchSize <= 0) errors.Add(Problem(nameof(PhysicalBatchSize), PhysicalBatchSize, "it must be positive"));
        if (!Enum.IsDefined(Method)) errors.Add(Problem(nameof(Method), Method, "BookKeeping or RecordByRecord is right"));
        if (errors.Count > 0) throw new OptionsException(errors);
        return new(clipping, LayerNorms is null ? null : [.. LayerNorms], ClippingNorm, new(NoiseMultiplier!.Value), new(SamplingRate!.Value), ExpectedBatchSize!.Value, PhysicalBatchSize, Stability, Method);
    }

    private static void Positive(double? value, string name, List<string> errors)
    {
        if (value is not (> 0 and < double.PositiveInfinity)) errors.Add(Problem(name, value, "it must be in (0, ∞)"));
    }

    private static string Problem(string name, object? value, string repair) => FormattableString.Invariant($"{name} is {value ?? "missing"}; {repair}.");
}

/// <summary>Checked settings: <see cref="DpSgdOptions"/> says what they mean.</summary>
public sealed record DpSgdParameters
{
    internal DpSgdParameters(ClippingKind clipping, IReadOnlyList<double>? layerNorms, double? clippingNorm, NoiseMultiplier noiseMultiplier, SamplingRate samplingRate, double expectedBatchSize, int physicalBatchSize, double stability, ClippedSumMethod method) =>
        (Clipping, LayerNorms, ClippingNorm, NoiseMultiplier, SamplingRate, ExpectedBatchSize, PhysicalBatchSize, Stability, Method) = (clipping, layerNorms, clippingNorm, noiseMultiplier, samplingRate, expectedBatchSize, physicalBatchSize, stability, method);

    public ClippingKind Clipping { get; }

    public IReadOnlyList<double>? LayerNorms { get; }

    public double? ClippingNorm { get; }

    public NoiseMultiplier NoiseMultiplier { get; }

    public SamplingRate SamplingRate { get; }

    public double ExpectedBatchSize { get; }

    public int PhysicalBatchSize { get; }

    public double Stability { get; }

    public ClippedSumMethod Method { get; }

    /// <summary>One C, or one for each layer.</summary>
    /// <exception cref="LearningException">There are other layers than bounds.</exception>
    internal IReadOnlyList<double> Bounds(IReadOnlyList<Layer> layers)
    {
        if (Clipping != ClippingKind.PerLayer) return [ClippingNorm!.Value];
        if (LayerNorms is null) return [.. layers.Select(_ => ClippingNorm!.Value / Math.Sqrt(layers.Count))];
        if (LayerNorms.Count != layers.Count) throw new LearningException($"There are {LayerNorms.Count} layer norms for {layers.Count} layers: {string.Join(", ", layers.Select(layer => layer.Name))}.");
        return LayerNorms;
    }
}

/// <summary>Settings that cannot be used.</summary>
public sealed class OptionsException(IReadOnlyList<string> errors) : ArgumentException(string.Join(" ", errors))
{
    /// <summary>One sentence each.</summary>
    public IReadOnlyList<string> Errors { get; } = errors;
}
