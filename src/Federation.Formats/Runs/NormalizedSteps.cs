namespace Federation.Formats.Runs;

/// <summary>‖a‖₁ of FedNova: how much a site's local steps accumulate of each gradient.</summary>
/// <remarks>Wang, Liu, Liang, Joshi, Poor 2020, section 4.1: a site's model moves by −η Σ_k a_k g_k. For sgd a_k = 1; with momentum ρ a_k = (1 − ρ^(τ−k))/(1 − ρ); with FedProx's μ a_k = (1 − ημ)^(τ−1−k).</remarks>
public static class NormalizedSteps
{
    /// <summary>As far as an optimizer moves, in learning rates, whose every gradient is 1: the sum of the a_k, which are positive while ημ &lt; 1 and ρ = 0, or μ = 0.</summary>
    /// <param name="steps">τ, positive.</param>
    public static double Of(LocalSpec local, long steps)
    {
        double rho = local.Optimizer.Momentum, pull = local.Proximal * local.Optimizer.LearningRate, velocity = 0, moved = 0;
        if (rho == 0 && pull == 0) return steps;
        for (long step = 0; step < steps; step++)
        {
            velocity = (rho * velocity) + 1 - (pull * moved);
            moved += velocity;
        }

        return moved;
    }

    /// <summary>No site of at most so many examples has more.</summary>
    public static double Most(LocalSpec local, int examples) => (double)local.Epochs * ((examples + (double)local.BatchSize - 1) / local.BatchSize) / (1 - local.Optimizer.Momentum);
}
