namespace Federation.Cli.Results;

internal sealed record InitializedServer(string State, string Ca, string AdminCredential);

internal sealed record RunningServer(Uri Nodes, Uri Operators, string State);

internal sealed record BackedUp(string File, long Bytes, DateTimeOffset Created, string Federation, bool HoldsCa, int Files);

/// <param name="Runs">That go on.</param>
/// <param name="Next">What is left to do.</param>
internal sealed record RestoredServer(string State, DateTimeOffset Created, string Federation, bool HoldsCa, int Runs, IReadOnlyList<string> Next);
