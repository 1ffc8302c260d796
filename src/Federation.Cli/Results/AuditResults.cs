namespace Federation.Cli.Results;

/// <param name="Valid">Whether the chain holds.</param>
internal sealed record AuditReport(string File, bool Valid, IReadOnlyList<AuditLine> Entries);

/// <param name="What">What was tried.</param>
/// <param name="Times">How often by then.</param>
internal sealed record AuditLine(long Number, DateTimeOffset Time, string Kind, string? Run, int? Round, string What, long Times);

/// <param name="Entries">Those that could be read.</param>
/// <param name="Count">Number of the last line.</param>
/// <param name="Hash">Of the last line; zeros: there is none.</param>
/// <param name="Unfinished">A last line that is not whole does not count.</param>
internal sealed record VerifiedAudit(string File, bool Valid, int Entries, long Count, string Hash, bool Unfinished, IReadOnlyList<string> Problems);
