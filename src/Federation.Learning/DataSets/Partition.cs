namespace Federation.Learning.DataSets;

/// <summary>Which client holds which examples: each example belongs to at most one.</summary>
/// <param name="Clients">Indices into the set, by client.</param>
public sealed record Partition(IReadOnlyList<IReadOnlyList<int>> Clients);
