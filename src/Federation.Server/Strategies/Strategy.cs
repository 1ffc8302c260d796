namespace Federation.Server.Strategies;

/// <summary>How the coordinator turns the mean of a round's updates into the next global model, coordinate by coordinate. One of your own derives from it and is given to <see cref="Coordinator.StartAsync"/> under a name, which a spec's <c>strategy: { kind: custom, name }</c> asks for.</summary>
/// <remarks>It sees what was opened and nothing else, so it runs under secure aggregation, and under differential privacy it is post-processing. One instance serves one run, one block of coordinates after the other, always in the model's order.</remarks>
public abstract class Strategy
{
    /// <summary>Numbers that are kept for each coordinate from round to round, on disk; float32.</summary>
    public virtual int StateValues => 0;

    /// <summary>What they are before the first round.</summary>
    /// <param name="state"><see cref="StateValues"/> for each coordinate, those of one coordinate together; 0.</param>
    public virtual void Start(Span<float> state)
    {
    }

    /// <summary>Before the first block of a round.</summary>
    internal virtual void Begin(RoundFigures round)
    {
    }

    /// <param name="weights">In: the global model's. Out: the next one's, which are rounded to float32 once.</param>
    /// <param name="mean">Σ wᵢ(local model − global model) / Σ wᵢ; w is 1 under differential privacy.</param>
    /// <param name="state">As <see cref="Start"/>; in and out.</param>
    public abstract void Apply(Span<double> weights, ReadOnlySpan<double> mean, Span<float> state);
}
