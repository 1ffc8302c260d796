using Federation.Formats.Models;

namespace Federation.Formats.Runs;

/// <summary>What a site's update of a run holds: the tensors of the model that are not personal, and before them one number where the strategy needs one. Coordinator and sites compute the same.</summary>
public sealed class UpdateShape
{
    /// <summary>The tensor of the strategy's number; sorts before every name that a model's tensor usually has.</summary>
    public const string Scalar = "!";

    private const double ScaleRoom = 64; // of q-FedAvg's h, whose usual size is that of a loss

    private UpdateShape(SafetensorsHeader header, IReadOnlyList<(long Start, long Length)> shared, bool hasScalar, double unit, double largest) =>
        (Header, Shared, HasScalar, Unit, LargestScalar) = (header, shared, hasScalar, unit, largest);

    /// <summary>Of an update in the clear.</summary>
    public SafetensorsHeader Header { get; }

    /// <summary>Of an update, the number included.</summary>
    public int Values => Header.ValueCount;

    /// <summary>Which of the model's values are shared, in its order.</summary>
    public IReadOnlyList<(long Start, long Length)> Shared { get; }

    /// <summary>Whether the first value is the strategy's number.</summary>
    public bool HasScalar { get; }

    /// <summary>The number is sent as so many times itself.</summary>
    public double Unit { get; }

    /// <summary>A larger number would be cut by the encoding.</summary>
    public double LargestScalar { get; }

    /// <param name="model">The global model's header.</param>
    /// <exception cref="InvalidInputException">A pattern of <c>personal.tensors</c> fits no tensor, or they fit all; or a tensor has the number's name; or scaffold's control variates are missing.</exception>
    public static UpdateShape Of(RunSpec run, SafetensorsHeader model)
    {
        (double unit, double largest) = ScaleOf(run);
        bool hasScalar = run.Strategy.HasScalar;
        if (run.Strategy.Kind == StrategyKind.Scaffold && !ModelControls.AreIn(model)) throw Wrong("model.initial", "does not hold a control variate for each of its tensors, as a run of scaffold needs from its first round.", "`fed run submit` adds them; a program of one's own calls ModelControls.Begin.");
        if (!hasScalar && run.Personal is not { Tensors.Count: > 0 }) return new(model, [(0, model.DataLength / sizeof(float))], false, 1, double.PositiveInfinity);
        Check(run, model, hasScalar);
        TensorInfo[] shared = [.. model.Tensors.Where(tensor => run.Personal?.Keeps(tensor.Name) != true)];
        List<(long Start, long Length)> parts = [];
        foreach (TensorInfo tensor in shared)
        {
            long start = tensor.Begin / sizeof(float);
            if (parts is [.., var (before, length)] && before + length == start) parts[^1] = (before, length + tensor.Count);
            else parts.Add((start, tensor.Count));
        }

        IEnumerable<(string Name, IReadOnlyList<long> Shape)> tensors = shared.Select(tensor => (tensor.Name, tensor.Shape));
        return new(SafetensorsHeader.Float32(hasScalar ? tensors.Prepend((Scalar, [1])) : tensors), parts, hasScalar, unit, largest);
    }

    /// <summary>Values that a release of a round is reckoned with: under site-level differential privacy those that are sent, else those that are trained.</summary>
    /// <inheritdoc cref="Of"/>
    public static int Charged(RunSpec run, SafetensorsHeader model) => run.Privacy is { Unit: DpUnit.Site } ? Of(run, model).Values : model.ValueCount;

    private static void Check(RunSpec run, SafetensorsHeader model, bool hasScalar)
    {
        foreach (string pattern in run.Personal?.Tensors ?? [])
        {
            if (!model.Tensors.Any(tensor => new PersonalSpec([pattern], 0).Keeps(tensor.Name))) throw Wrong("personal.tensors", $"'{pattern}' fits no tensor of the model, so what it means would be sent.", Nearest.Repair(pattern, [.. model.Tensors.Take(100).Select(tensor => tensor.Name)]));
        }

        if (model.Tensors.All(tensor => run.Personal?.Keeps(tensor.Name) == true)) throw Wrong("personal.tensors", "fits all of the model's tensors; then the sites share nothing.", "Leave some of them to be averaged.");
        if (hasScalar && model.Tensors.FirstOrDefault(tensor => string.CompareOrdinal(tensor.Name, Scalar) <= 0) is { } first) throw Wrong("strategy.kind", $"needs a number before the model's tensors, and '{first.Name}' would stand before it or in its place.", "Name the tensor otherwise.");
    }

    private static InvalidInputException Wrong(string field, string message, string? repair) => new(new Problem(message, Field: field, Repair: repair));

    // Under secure aggregation a value beyond the cut is cut; the scales are public, so that nobody's number decides them.
    private static (double Unit, double Largest) ScaleOf(RunSpec run)
    {
        if (run.SecureAggregation is not { } secure) return (1, double.PositiveInfinity);
        double largest = run.Strategy.Kind == StrategyKind.FedNova ? NormalizedSteps.Most(run.Local, secure.MaxWeight) : ScaleRoom * secure.Cut;
        return (secure.Cut / largest, largest);
    }
}
