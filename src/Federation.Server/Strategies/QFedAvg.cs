using Federation.Server.Aggregation;

namespace Federation.Server.Strategies;

/// <summary>x − ΣΔₖ/Σhₖ: Li, Sanjabi, Beirami, Smith 2020, Algorithm 2, in which Δₖ = Fₖ^q·L(x − x̄ₖ) and hₖ = qFₖ^(q−1)‖L(x − x̄ₖ)‖² + LFₖ^q. Sites send −Δₖ/L and hₖ/L, whose means have the same ratio; only these are opened.</summary>
internal sealed class QFedAvg : Strategy
{
    private double _scale;

    internal override void Begin(RoundFigures round) => _scale = round.Scalar is > 0 and < double.PositiveInfinity ? round.Scalar : throw new AggregationException($"The mean of q-FedAvg's h was opened as {round.Scalar}; it must be positive.");

    public override void Apply(Span<double> weights, ReadOnlySpan<double> mean, Span<float> state)
    {
        for (int i = 0; i < mean.Length; i++) weights[i] += mean[i] / _scale;
    }
}
