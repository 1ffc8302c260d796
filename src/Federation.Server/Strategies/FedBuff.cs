namespace Federation.Server.Strategies;

/// <summary>The server's step of buffered asynchronous aggregation: x ← x + ηΔ, Δ the mean of the buffer's updates, each times <see cref="WeightOf"/>.</summary>
/// <param name="learningRate">η.</param>
/// <remarks>Nguyen, Malik, Zhan, Yousefpour, Rabbat, Malek, Huba 2022, Algorithm 1.</remarks>
public sealed class FedBuff(double learningRate) : Strategy
{
    /// <summary>s(τ) = 1/√(1 + τ): what an update counts whose model was τ steps old when it was used.</summary>
    public static double WeightOf(int staleness) => 1 / Math.Sqrt(1.0 + staleness);

    public override void Apply(Span<double> weights, ReadOnlySpan<double> mean, Span<float> state)
    {
        for (int i = 0; i < mean.Length; i++) weights[i] += learningRate * mean[i];
    }
}
