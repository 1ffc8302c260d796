using Federation.Formats.Runs;

namespace Federation.Samples.Tuning;

/// <summary>Hyper-parameters that a tuner tries, by stochastic gradient descent.</summary>
/// <param name="Rounds">Null: the spec's.</param>
/// <param name="Hidden">Widths of the hidden layers; empty: logistic; null: the spec's model.</param>
/// <param name="Clip">Of a run with differential privacy; null: the spec's.</param>
public sealed record Candidate(double LearningRate, double WeightDecay, int? Rounds = null, IReadOnlyList<int>? Hidden = null, double? Clip = null)
{
    public RunSpec Apply(RunSpec spec) => spec with
    {
        Rounds = Rounds ?? spec.Rounds,
        Model = Hidden switch { null => spec.Model, [] => new ModelSpec(ModelKind.Logistic, []), _ => new ModelSpec(ModelKind.Mlp, Hidden) },
        Local = spec.Local with { Optimizer = new OptimizerSpec(OptimizerKind.Sgd, LearningRate, 0, WeightDecay) },
        Privacy = spec.Privacy is { } privacy ? privacy with { Clip = Clip ?? privacy.Clip } : null,
    };
}
