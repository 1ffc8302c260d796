namespace Federation.Cli.Results;

internal sealed record InitializedServer(string State, string Ca, string AdminCredential);

internal sealed record RunningServer(Uri Nodes, Uri Operators, string State);
