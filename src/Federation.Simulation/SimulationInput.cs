using Federation.Formats.Runs;
using Federation.Learning.DataSets;
using static TorchSharp.torch;

namespace Federation.Simulation;

/// <summary>What is simulated.</summary>
/// <param name="Spec">With a simulation.</param>
/// <param name="Train">What the clients hold.</param>
/// <param name="Test">Public: the global model is evaluated on it. Null: it is not evaluated.</param>
/// <param name="Partition">Which client holds which examples.</param>
public sealed record SimulationInput(RunSpec Spec, ExampleSet Train, ExampleSet? Test, Partition Partition)
{
    /// <summary>A module of one's own, for specs with <c>model: { kind: custom }</c>; called once a worker. It takes examples [n, …] as the set shapes them and gives logits [n, classes].</summary>
    public Func<nn.Module<Tensor, Tensor>>? CreateModule { get; init; }

    internal SimulationSpec Simulation => Spec.Simulation ?? throw new ArgumentException("The spec says no simulation.");

    internal bool IsBinary => Spec.Task?.Kind == TaskKind.BinaryClassification;
}
