using Federation.Formats.Models;

namespace Federation.Formats.Runs;

/// <summary>SCAFFOLD's global model and updates: each of the model's tensors, and after all of them one of the same shape for its control variate, under the name with <c>~</c> before it. So model and control variate have one hash, and travel as one.</summary>
public static class ModelControls
{
    private const string Prefix = "~";

    private static bool IsControl(string name) => name.StartsWith(Prefix, StringComparison.Ordinal);

    /// <summary>What a run of SCAFFOLD starts from: a model with control variates of 0. Those that it has from an earlier run were the mean of that run's sites', which begin anew. Whoever submits the run makes it, because its hash is what is signed.</summary>
    /// <exception cref="InvalidInputException">A tensor's name sorts among those of the control variates.</exception>
    public static ModelState Begin(ModelState model)
    {
        model = Weights(model);
        _ = HeaderOf(model.Header);
        return Join(model, model.Zeros());
    }

    /// <summary>Whether each tensor of a model has its control variate, and there is no other.</summary>
    public static bool AreIn(SafetensorsHeader model)
    {
        IEnumerable<(string Name, IReadOnlyList<long> Shape)> weights = model.Tensors.Where(tensor => !IsControl(tensor.Name)).Select(tensor => (tensor.Name, tensor.Shape));
        return HeaderOf(SafetensorsHeader.Float32(weights)).Bytes.AsSpan().SequenceEqual(model.Bytes);
    }

    /// <summary>Of a model with its control variates.</summary>
    /// <exception cref="InvalidInputException">A tensor's name sorts among those of the control variates.</exception>
    public static SafetensorsHeader HeaderOf(SafetensorsHeader weights)
    {
        if (weights.Tensors.FirstOrDefault(tensor => string.CompareOrdinal(tensor.Name, Prefix) >= 0) is { } last) throw new InvalidInputException(new Problem($"The model's tensor '{last.Name}' stands where scaffold's control variates do.", Field: "strategy.kind", Repair: "Name the tensor otherwise: what begins with ~ or sorts after it is taken."));
        return SafetensorsHeader.Float32(weights.Tensors.SelectMany(tensor => new[] { (tensor.Name, tensor.Shape), (Prefix + tensor.Name, tensor.Shape) }));
    }

    /// <param name="weights">Of the model.</param>
    /// <param name="controls">Of the same names and shapes.</param>
    public static ModelState Join(ModelState weights, ModelState controls) => new([.. weights.Tensors, .. controls.Tensors.Select(tensor => tensor with { Name = Prefix + tensor.Name })]);

    /// <summary>The model alone; one without control variates as it is.</summary>
    public static ModelState Weights(ModelState model) => model.Tensors.Any(tensor => IsControl(tensor.Name)) ? new(model.Tensors.Where(tensor => !IsControl(tensor.Name))) : model;

    /// <summary>The model alone of what a run's coordinator sends.</summary>
    public static ModelState Weights(RunSpec run, ModelState model) => run.Strategy.Kind == StrategyKind.Scaffold ? Weights(model) : model;

    /// <summary>The control variates alone, under the names of the model's tensors.</summary>
    public static ModelState Controls(ModelState model) => new(model.Tensors.Where(tensor => IsControl(tensor.Name)).Select(tensor => tensor with { Name = tensor.Name[Prefix.Length..] }));
}
