namespace Federation.Cli.Results;

internal sealed record EnrolledNode(string Site, string State, DateTimeOffset Expires);

/// <summary>What a node would work with.</summary>
/// <param name="Site">Null where there is no usable credential.</param>
internal sealed record NodeReport(string? Site, DateTimeOffset? CertificateExpires, Uri Coordinator, string State, string Role, string Device, int Threads, IReadOnlyList<NodeData> Data, IReadOnlyList<CheckLine> Checks);

/// <summary>One thing that was looked at.</summary>
/// <param name="Check">certificate, connection, clock, data, device, disk or budget.</param>
/// <param name="Ok">False: a node could not work so.</param>
/// <param name="Repair">What sets it right; where it is ok, what would be better. Null: nothing is to be done.</param>
internal sealed record CheckLine(string Check, bool Ok, string Message, string? Repair = null);

/// <param name="Report">Null where the entry names no schema of its own, or does not fit it.</param>
internal sealed record NodeData(string Id, string Path, DataReport? Report);

/// <summary>How the run ended that the node waited for with <c>--exit-after-run</c>.</summary>
/// <param name="State">completed, failed or cancelled.</param>
/// <param name="ModelSha256">Null: the run asked for statistics.</param>
internal sealed record FinishedNode(string Run, string State, string? ModelSha256, int Rounds, string Reason);

/// <summary>What a run would cost this site, and whether it would take part.</summary>
/// <param name="Refusals">Why not, one sentence each.</param>
/// <param name="AllowedRounds">Of the run's that the budget allows.</param>
/// <param name="Unit">record, person or site; null: the run has no differential privacy.</param>
/// <param name="Noise">Whose noise counts: own, shared or central; null like <paramref name="Unit"/>.</param>
/// <param name="NoiseMultiplier">σ; null: none, or it cannot be found.</param>
/// <param name="Delta">Of every ε of the run.</param>
/// <param name="Epsilon">Against contributors who pool what they know.</param>
/// <param name="EpsilonCharged">What the ledger would be charged, which is about records or persons: more, where the unit is a site.</param>
/// <param name="EpsilonOutside">Against those who contribute nothing.</param>
/// <param name="Spent">ε so far, at the budget's δ.</param>
/// <param name="After">ε after the rounds that are allowed.</param>
internal sealed record PolicyAnswer(
    string Run, string DataSet, bool Accepted, IReadOnlyList<string> Refusals, int Rounds, int AllowedRounds, string? Unit, string? Noise, double? NoiseMultiplier, double Delta, double Epsilon, double EpsilonCharged, double EpsilonOutside, BudgetEntry? Budget, double Spent, double After)
{
    /// <summary>Of spec, schema and initial model together: what a policy approves.</summary>
    public required string SpecSha256 { get; init; }

    /// <summary>Null: the run asks for statistics.</summary>
    public required string? InitialModelSha256 { get; init; }

    public required ApprovalNeeds Signatures { get; init; }
}
