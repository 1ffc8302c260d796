using Federation.Server.Aggregation;

namespace Federation.Server.Strategies;

/// <summary>model + mean: McMahan et al. 2017, Algorithm 1.</summary>
public sealed class FedAvg : Strategy
{
    /// <summary>Writes the data region of the next model from updates in the clear.</summary>
    /// <param name="model">At its data; float32, little-endian.</param>
    /// <param name="updates">Each at its data: weight·(local − global), in the model's layout.</param>
    /// <param name="length">Bytes of the data region.</param>
    /// <param name="weight">Σ weights, positive.</param>
    /// <exception cref="AggregationException">A value of the next model does not fit float32, or the weight is not positive.</exception>
    public static void WriteNext(Stream model, IReadOnlyList<Stream> updates, long length, double weight, Stream destination, CancellationToken cancellationToken) =>
        new NextModel(model, destination, new FedAvg()).AddAll(new WeightedMean(updates, weight), length / sizeof(float), cancellationToken);

    public override void Apply(Span<double> weights, ReadOnlySpan<double> mean, Span<float> state)
    {
        for (int i = 0; i < mean.Length; i++) weights[i] += mean[i];
    }
}
