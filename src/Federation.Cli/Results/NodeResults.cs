namespace Federation.Cli.Results;

internal sealed record EnrolledNode(string Site, string State, DateTimeOffset Expires);

/// <summary>What a node would work with.</summary>
/// <param name="Site">Null where there is no usable credential.</param>
internal sealed record NodeReport(string? Site, DateTimeOffset? CertificateExpires, Uri Coordinator, string State, string Role, string Device, int Threads, IReadOnlyList<NodeData> Data, IReadOnlyList<string> Problems);

/// <param name="Report">Null where the entry names no schema of its own, or does not fit it.</param>
internal sealed record NodeData(string Id, string Path, DataReport? Report);

/// <summary>How the run ended that the node waited for with <c>--exit-after-run</c>.</summary>
/// <param name="State">completed, failed or cancelled.</param>
/// <param name="ModelSha256">Null: the run asked for statistics.</param>
internal sealed record FinishedNode(string Run, string State, string? ModelSha256, int Rounds, string Reason);
