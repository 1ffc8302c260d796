namespace Federation.Server.Strategies;

/// <summary>model + mean: McMahan et al. 2017, Algorithm 1.</summary>
public sealed class FedAvg : Strategy
{
    public override void Apply(Span<double> weights, ReadOnlySpan<double> mean, Span<float> state)
    {
        for (int i = 0; i < mean.Length; i++) weights[i] += mean[i];
    }
}
