namespace Federation.Server.Strategies;

/// <summary>
/// Adaptive steps at the coordinator: Reddi et al. 2021, Algorithm 2. m ← β₁m + (1 − β₁)Δ, then v by the rule, then x ← x + ηm/(√v + τ), Δ the mean.
/// As there, v is τ² before the first round, and neither m nor v is corrected for its start.
/// </summary>
/// <param name="learningRate">η.</param>
/// <param name="beta1">β₁, in [0, 1).</param>
/// <param name="tau">τ, positive: how adaptive the steps are at most.</param>
public abstract class FedOpt(double learningRate, double beta1, double tau) : Strategy
{
    public sealed override int StateValues => 2;

    public sealed override void Start(Span<float> state)
    {
        for (int i = 1; i < state.Length; i += 2) state[i] = (float)(tau * tau);
    }

    public sealed override void Apply(Span<double> weights, ReadOnlySpan<double> mean, Span<float> state)
    {
        for (int i = 0; i < mean.Length; i++)
        {
            ref float m = ref state[2 * i], v = ref state[(2 * i) + 1];
            m = (float)((beta1 * m) + ((1 - beta1) * mean[i]));
            v = (float)Second(v, mean[i] * mean[i]);
            weights[i] += learningRate * m / (Math.Sqrt(v) + tau);
        }
    }

    /// <summary>The next v.</summary>
    /// <param name="square">Δ².</param>
    protected abstract double Second(double v, double square);
}

/// <summary>v ← v + Δ².</summary>
public sealed class FedAdagrad(double learningRate, double beta1, double tau) : FedOpt(learningRate, beta1, tau)
{
    protected override double Second(double v, double square) => v + square;
}

/// <summary>v ← β₂v + (1 − β₂)Δ².</summary>
/// <param name="beta2">β₂, in [0, 1).</param>
public sealed class FedAdam(double learningRate, double beta1, double beta2, double tau) : FedOpt(learningRate, beta1, tau)
{
    protected override double Second(double v, double square) => (beta2 * v) + ((1 - beta2) * square);
}

/// <summary>v ← v − (1 − β₂)Δ² sign(v − Δ²).</summary>
/// <param name="beta2">β₂, in [0, 1).</param>
public sealed class FedYogi(double learningRate, double beta1, double beta2, double tau) : FedOpt(learningRate, beta1, tau)
{
    protected override double Second(double v, double square) => v - ((1 - beta2) * square * Math.Sign(v - square));
}
