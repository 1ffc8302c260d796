namespace Federation.Server.Strategies;

/// <summary>Momentum at the coordinator: v ← βv + Δ, x ← x + ηv, Δ the mean (Hsu, Qi, Brown 2019, section 4.3, where Δ has the other sign).</summary>
/// <param name="learningRate">η.</param>
/// <param name="momentum">β, in [0, 1).</param>
public sealed class FedAvgM(double learningRate, double momentum) : Strategy
{
    public override int StateValues => 1;

    public override void Apply(Span<double> weights, ReadOnlySpan<double> mean, Span<float> state)
    {
        for (int i = 0; i < mean.Length; i++)
        {
            state[i] = (float)((momentum * state[i]) + mean[i]);
            weights[i] += learningRate * state[i];
        }
    }
}
