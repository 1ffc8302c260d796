namespace Federation.Server.Strategies;

/// <summary>x ← x + η_g·mean Δy, then c ← c + |S|/N·mean Δc: Karimireddy, Kale, Mohri, Reddi, Stich, Suresh 2020, Algorithm 1, lines 16 and 17. c is the latter half of the coordinates: it travels with the model, as the sites' Δc do with their Δy.</summary>
/// <param name="learningRate">η_g.</param>
internal sealed class Scaffold(double learningRate) : Strategy
{
    private long _weights;
    private double _share;

    internal override void Begin(RoundFigures round) => (_weights, _share) = (round.Weights, round.Share);

    public override void Apply(Span<double> weights, ReadOnlySpan<double> mean, Span<float> state)
    {
        int own = (int)Math.Min(_weights, mean.Length);
        for (int i = 0; i < own; i++) weights[i] += learningRate * mean[i];
        for (int i = own; i < mean.Length; i++) weights[i] += _share * mean[i];
        _weights -= own;
    }
}
