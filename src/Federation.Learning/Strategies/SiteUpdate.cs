using Federation.Formats.Models;
using Federation.Formats.Runs;

namespace Federation.Learning.Strategies;

/// <summary>A site's part of its run's strategy: what of a training is sent, and how.</summary>
public static class SiteUpdate
{
    /// <param name="trained">Over all of the model.</param>
    /// <param name="shape">Of the run and the global model.</param>
    /// <returns>The update, in the shape's layout; what stays at the site is not in it.</returns>
    /// <exception cref="LearningException">The learner does not say what the strategy needs, or a number does not fit the encoding.</exception>
    public static TrainingResult Of(LearningTask task, TrainingResult trained, UpdateShape shape)
    {
        (double factor, double? scalar) = (1, null);
        switch (task.Spec.Strategy.Kind)
        {
            case StrategyKind.FedNova:
                double steps = NormalizedSteps.Of(task.Spec.Local, StepsOf(trained));
                (factor, scalar) = (1 / steps, steps);
                break;
            case StrategyKind.QFedAvg:
                trained = trained.AsOne();
                (factor, scalar) = Fair(task.Spec, trained);
                break;
        }

        if (scalar > shape.LargestScalar) throw new LearningException(FormattableString.Invariant($"The strategy's number at this site is more than the {shape.LargestScalar:g4} that the run's encoding has room for. Raise secureAggregation.{(task.Spec.Strategy.Kind == StrategyKind.FedNova ? "maxWeight" : "cut")} in the run's spec."));
        if (scalar is null && task.Spec.Personal is not { Tensors.Count: > 0 }) return trained;
        IEnumerable<NamedTensor> tensors = Shared(trained.WeightedDelta, task.Spec).Select(tensor => factor == 1 ? tensor : tensor with { Values = [.. tensor.Values.Select(value => (float)(value * factor))] });
        if (scalar is { } number) tensors = tensors.Prepend(new NamedTensor(UpdateShape.Scalar, [1], [(float)(number * shape.Unit * trained.Weight)]));
        var update = new ModelState(tensors);
        return update.FirstNonFinite() is { } bad ? throw new LearningException($"The update does not fit float32: {bad}") : trained with { WeightedDelta = update };
    }

    /// <summary>Steps that training took.</summary>
    /// <exception cref="LearningException">The learner does not say.</exception>
    public static long StepsOf(TrainingResult trained) => trained.Steps > 0 ? trained.Steps : throw new LearningException("The run's strategy needs to know how many steps a site has trained; this node's learner does not say it (TrainingResult.Steps).");

    private static IEnumerable<NamedTensor> Shared(ModelState update, RunSpec run) => update.Tensors.Where(tensor => run.Personal?.Keeps(tensor.Name) != true);

    /// <summary>F^q and qF^(q−1)·L‖x − x̄‖² + F^q, L = 1/η.</summary>
    /// <remarks>Li et al. 2020, Algorithm 2: L(x − x̄) stands for a gradient, which buffers have none of.</remarks>
    private static (double Factor, double? Scalar) Fair(RunSpec run, TrainingResult trained)
    {
        const double least = 1e-10; // as in the authors' code: a loss of 0 has no power below 0
        double loss = trained.StartLoss + least, q = run.Strategy["q"], squares = 0;
        if (loss is not (>= least and < double.PositiveInfinity)) throw new LearningException($"q-fedavg weights a site by its training loss, which must be finite and at least 0; at this site it is not{(double.IsNaN(trained.StartLoss) ? ", or this node's learner does not say it (TrainingResult.StartLoss)" : "")}.");
        foreach (float value in Shared(trained.WeightedDelta, run).Where(tensor => !trained.Buffers.Contains(tensor.Name)).SelectMany(tensor => tensor.Values)) squares += (double)value * value;
        double power = Math.Pow(loss, q);
        return (power, (q * Math.Pow(loss, q - 1) / run.Local.Optimizer.LearningRate * squares) + power);
    }
}
