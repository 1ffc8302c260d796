namespace Federation.Formats.Runs;

/// <summary>How a run is tried on one machine: how many clients there are and how they behave. Coordinators and nodes ignore it.</summary>
/// <param name="Clients">1 to 100,000.</param>
/// <param name="Workers">Clients trained side by side; null: as many as there are cores. The model does not depend on it.</param>
/// <param name="Dropout">In [0, 1): with this probability a client that was asked falls silent for the round.</param>
/// <param name="Availability">Null: all clients are always there.</param>
/// <param name="EvaluateEvery">The global model is evaluated on the public test set after every so many rounds, and after the last; null: as the spec's <c>evaluate</c> says, or after the last alone.</param>
/// <param name="CheckpointEvery">After so many rounds everything is stored that the run goes on from; null: never.</param>
public sealed record SimulationSpec(int Clients, int? Workers, ClientSpeed Speed, double Dropout, ClientAvailability? Availability, int? EvaluateEvery, int? CheckpointEvery)
{
    /// <summary>Null: the program that simulates brings its own.</summary>
    public SimulatedData? Data { get; init; }

    /// <summary>Which client holds what of it.</summary>
    public PartitionSpec Partition { get; init; } = PartitionSpec.Iid;
}

/// <summary>How long a client takes for its part of a round: the delay, and its examples over its rate. In virtual time; nobody waits.</summary>
/// <param name="ExamplesPerSecond">Of the median client; positive.</param>
/// <param name="Spread">Clients' rates are this times e^(spread·z), z standard normal, drawn once for each; at least 0.</param>
/// <param name="Delay">Of each round, whatever the examples.</param>
public sealed record ClientSpeed(double ExamplesPerSecond, double Spread, TimeSpan Delay)
{
    public static readonly ClientSpeed Usual = new(1000, 0, TimeSpan.FromSeconds(1));
}

/// <summary>Whether a client is connected is drawn anew for each period of virtual time.</summary>
/// <param name="Share">In (0, 1]: the probability.</param>
public sealed record ClientAvailability(double Share, TimeSpan Period);
