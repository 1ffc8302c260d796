using Federation.Server.Aggregation;

namespace Federation.Server.Strategies;

/// <summary>x + τ_eff·Σ pᵢdᵢ, dᵢ what site i's model moved by over ‖aᵢ‖₁, τ_eff = Σ pᵢ‖aᵢ‖₁, pᵢ its part of the examples: Wang, Liu, Liang, Joshi, Poor 2020, section 5, with the τ_eff that it recommends. Both sums are opened, and no site's own.</summary>
internal sealed class FedNova : Strategy
{
    private double _steps;

    internal override void Begin(RoundFigures round) => _steps = round.Scalar is > 0 and < double.PositiveInfinity ? round.Scalar : throw new AggregationException($"The sites' mean number of steps was opened as {round.Scalar}; it must be positive.");

    public override void Apply(Span<double> weights, ReadOnlySpan<double> mean, Span<float> state)
    {
        for (int i = 0; i < mean.Length; i++) weights[i] += _steps * mean[i];
    }
}
