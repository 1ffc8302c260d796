using Federation.Formats.Models;
using Federation.Formats.Runs;

namespace Federation.Learning.Strategies;

/// <summary>A site's control variate cᵢ of SCAFFOLD: Karimireddy, Kale, Mohri, Reddi, Stich, Suresh 2020, Algorithm 1 with option II of line 12.</summary>
public static class Scaffold
{
    /// <summary>c − cᵢ, which every local step adds to its gradient (line 10).</summary>
    public static ModelState Drift(ModelState global, ModelState own) => global.Combine(own, (c, ci) => c - ci);

    /// <summary>After training: (Δy, Δc) as one update, Δc = −c + (x − y)/(Kη) (line 12).</summary>
    /// <param name="trained">Over the model's tensors.</param>
    /// <param name="global">c.</param>
    /// <exception cref="LearningException">The learner does not say how many steps it took, or a value does not fit float32.</exception>
    public static TrainingResult After(RunSpec run, TrainingResult trained, ModelState global)
    {
        TrainingResult one = trained.AsOne();
        double scale = 1 / (SiteUpdate.StepsOf(trained) * run.Local.Optimizer.LearningRate);
        ModelState change = global.Combine(one.WeightedDelta, (c, moved) => -c - (moved * scale));
        if (change.FirstNonFinite() is { } bad) throw new LearningException($"The change of the control variate does not fit float32: {bad}");
        return one with { WeightedDelta = ModelControls.Join(one.WeightedDelta, change) };
    }

    /// <summary>cᵢ + Δc, once the update counts.</summary>
    /// <param name="counted">(Δy, Δc) as the coordinator's sum holds it.</param>
    public static ModelState Moved(ModelState own, ModelState counted) => own.Combine(ModelControls.Controls(counted), (ci, moved) => ci + moved);
}
