namespace Federation.Server.Strategies;

/// <summary>x ← x + η_g·mean Δy, then c ← c + |S|/N·mean Δc: Karimireddy, Kale, Mohri, Reddi, Stich, Suresh 2020, Algorithm 1, lines 16 and 17. c is the latter half of the coordinates: it travels with the model, as the sites' Δc do with their Δy. Where N has grown, c is first the mean of the more sites, those that are new with 0.</summary>
/// <param name="learningRate">η_g.</param>
internal sealed class Scaffold(double learningRate) : Strategy
{
    private long _weights;
    private double _share, _kept;

    internal override void Begin(RoundFigures round) => (_weights, _share, _kept) = (round.Weights, round.Share, round.Kept);

    public override void Apply(Span<double> weights, ReadOnlySpan<double> mean, Span<float> state)
    {
        int own = (int)Math.Min(_weights, mean.Length);
        for (int i = 0; i < own; i++) weights[i] += learningRate * mean[i];
        for (int i = own; i < mean.Length; i++) weights[i] = (_kept * weights[i]) + (_share * mean[i]);
        _weights -= own;
    }
}
